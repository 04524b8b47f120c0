"""spaCy's small CNN pipeline, from scratch: trained on a corpus, then tagging on command.

    python -m benchmarks.spacy_pipeline train FOLDER --language en --minutes 10
    python -m benchmarks.spacy_pipeline tag FOLDER
    python -m benchmarks.spacy_pipeline serve

Runs in an environment with spaCy, where limbeck need not be; `spacy_peer.py` calls it. FOLDER holds
`train.json`, `dev.json` and `test.json`, lists of [words, tags in IOB2]; `model/` and `tagged.json`
are written there. The configuration is that of `spacy init config -p ner -o efficiency`:
hashed embeddings of norm, prefix, suffix and shape, four convolutions of width 96, and NER by
transitions, all as in `en_core_web_sm` but without its other components.
"""

import argparse
import json
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import spacy
from spacy.cli.init_config import init_config
from spacy.tokens import Doc, DocBin
from spacy.training.initialize import init_nlp
from spacy.training.loop import train

from pipeline.timing.stopwatch import Sentences, serve


def main() -> None:
    """Train, tag, or answer the orders of a stopwatch."""
    options = argparse.ArgumentParser(description="spaCy's small CNN pipeline.")
    options.add_argument("what", choices=("train", "tag", "serve"))
    options.add_argument("folder", type=Path, nargs="?")
    options.add_argument("--language", default="xx")
    options.add_argument("--minutes", type=float, default=10)
    options.add_argument("--seed", type=int, default=1)
    chosen = options.parse_args()
    if chosen.what == "train":
        _train(chosen.folder, chosen.language, chosen.seed, 60 * chosen.minutes)
    elif chosen.what == "tag":
        _tag(chosen.folder)
    else:
        serve(lambda order: Small(Path(order["folder"])))


class Small:
    """A trained pipeline; its tokenizer is left out, as words are given."""

    def __init__(self, folder: Path) -> None:
        self._nlp = spacy.load(folder / "model" / "model-best")
        self.parameters = sum(
            node.get_param(name).size
            for pipe in (self._nlp.get_pipe(name) for name in self._nlp.pipe_names)
            for node in pipe.model.walk()
            for name in node.param_names
            if node.has_param(name)
        )

    def threads(self, number: int) -> None:
        """Its matrices are multiplied on one thread, whatever is asked."""

    def tag(self, sentences: Sentences) -> list[list[tuple[int, int, str]]]:
        """Spans of each sentence: first word, last one + 1, label."""
        docs = [Doc(self._nlp.vocab, words=list(words)) for words in sentences]
        tagged = map(self._nlp, docs) if len(docs) == 1 else self._nlp.pipe(docs)
        return [[(span.start, span.end, span.label_) for span in doc.ents] for doc in tagged]


def _tag(folder: Path) -> None:
    rows = json.loads((folder / "test.json").read_text(encoding="utf-8"))
    spans = Small(folder).tag([words for words, _ in rows])
    (folder / "tagged.json").write_text(json.dumps(spans), encoding="utf-8")


def _train(folder: Path, language: str, seed: int, most: float) -> None:
    """Until spaCy's own patience, or so many seconds of computing, end; keeps the best on dev."""
    config = init_config(lang=language, pipeline=["ner"], optimize="efficiency", silent=True)
    for split in ("train", "dev"):
        _write(folder / f"{split}.json", folder / f"{split}.spacy", language)
        config["paths"][split] = str(folder / f"{split}.spacy")
        # The corpus's words are read, not those of spaCy's own tokenizer.
        config["corpora"][split]["gold_preproc"] = True
    config["system"]["seed"] = seed
    config["training"]["logger"] = {"@loggers": "limbeck.until", "seconds": most}
    (folder / "model").mkdir(exist_ok=True)
    with suppress(_OutOfTime):
        train(init_nlp(config), folder / "model", stdout=sys.stderr, stderr=sys.stderr)


class _OutOfTime(BaseException):
    """Ends spaCy's training; none of its own exceptions, so it says nothing of an error."""


@spacy.registry.loggers("limbeck.until")
def _until(seconds: float) -> Callable[..., Any]:
    """A logger that says how far training is, and ends it after so many seconds of computing."""

    def start(_nlp: Any, _out: Any, err: Any) -> tuple[Callable[[Any], None], Callable[[], None]]:
        begun = time.process_time()

        def say(step: Any) -> None:
            spent = time.process_time() - begun
            if step is not None:
                score, number = 100 * step["score"], step["step"]
                print(f"step {number}: {score:.2f} F1 on dev, {spent:.0f} s", file=err, flush=True)
            if spent > seconds:
                raise _OutOfTime

        return say, lambda: None

    return start


def _write(source: Path, out: Path, language: str) -> None:
    vocabulary = spacy.blank(language).vocab
    rows = json.loads(source.read_text(encoding="utf-8"))
    docs = [Doc(vocabulary, words=words, ents=tags) for words, tags in rows]
    DocBin(docs=docs).to_disk(out)


if __name__ == "__main__":
    main()
