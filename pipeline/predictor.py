"""An exported student in use: sentences to tags and spans, with NumPy and ONNX Runtime alone.

`Predictor.load(folder).predict(sentences)`; docs/predict.md has an example that runs.
"""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from pipeline.batching import in_order
from pipeline.errors import InputError
from pipeline.prediction.chains import Chain, Links, Stretches, links_of, log_probs
from pipeline.prediction.paths import Paths, k_best, viterbi
from pipeline.reading.readers import Reader, load_reader
from pipeline.reading.stored import read_json
from pipeline.reading.words import Arrays, Sentences
from pipeline.tags import Scheme, Span, canonical, spans_of

FORMAT = 1
"""The layout of an exported folder that this code reads."""

BATCH_WORDS = 2048
"""Padded words (or pieces) a batch, where nothing else is said."""

Emissions: TypeAlias = Callable[[Arrays], np.ndarray]
"""From what a reader gives to emissions [batch, words, tags]; any value at padding."""

_AGAIN = "export the student again"
_READ = ("model.json", "reader.json", "vocabulary.json", "tokenizer.json")
"""Beside the network and its transitions; not all students have the last two."""

_NOT_READ = {"README.md", "scores.json"}


class PredictedSpan(NamedTuple):
    """Words `first` up to, not including, `end`, and what they name.

    `confidence` is the probability that the sentence has just this span, with these tags: of all
    its tag sequences, the share of those that do, exactly.
    """

    first: int
    end: int
    label: str
    confidence: float


class Alternative(NamedTuple):
    """One of the k best tag sequences, and its probability among all there are."""

    tags: list[str]
    probability: float


class Prediction(NamedTuple):
    """A tag a word, the spans that they write, and, where asked for, the k best tag sequences."""

    tags: list[str]
    spans: list[PredictedSpan]
    alternatives: list[Alternative]


class Predictor:
    """Whatever turns sentences into emissions, and the scores between tags that go with it."""

    def __init__(
        self,
        reader: Reader,
        emissions: Emissions,
        links: Links,
        tags: Sequence[str],
        scheme: Scheme,
    ) -> None:
        self.tags = tuple(tags)
        self.scheme: Scheme = scheme
        self._reader, self._emissions, self._links = reader, emissions, links
        self._beside: dict[tuple[str, ...], tuple[np.ndarray, np.ndarray]] = {}

    @classmethod
    def load(cls, folder: str | Path, *, threads: int = 1) -> "Predictor":
        """The student in an exported folder; ONNX Runtime computes on so many threads.

        Raises InputError where a file is missing, damaged, or of a format that is not known.
        """
        folder = Path(folder)
        about = _read_about(folder)
        _require_whole(folder)
        reader = load_reader(folder)
        emissions = _session(folder / "emissions.onnx", threads)
        links = _read_links(folder / "transitions.npy", len(about["tags"]))
        return cls(reader, emissions, links, about["tags"], about["scheme"])

    def predict(
        self, sentences: Sentences, *, k: int = 0, batch_words: int = BATCH_WORDS
    ) -> list[Prediction]:
        """Predictions in the order of the sentences, which may be of any length, or empty.

        `k` is how many tag sequences are listed as `alternatives`, the best one first; fewer where
        fewer exist. Sentences of like length meet in batches of at most `batch_words`.
        """
        predictions = [Prediction([], [], []) for _ in sentences]
        for batch, chain in self._chains(sentences, batch_words):
            paths = viterbi(chain)
            tags = [self._named(path[:n]) for path, n in zip(paths, chain.lengths, strict=True)]
            spans = self._spans(chain, paths, tags)
            best = k_best(chain, k) if k else [None] * len(batch)
            for place, index in enumerate(batch):
                listed = self._alternatives(best[place])
                predictions[index] = Prediction(tags[place], spans[place], listed)
        return predictions

    def tag(self, sentences: Sentences, batch_words: int = BATCH_WORDS) -> list[list[str]]:
        """The best tags of each sentence alone, in order: less work than `predict`."""
        tagged: list[list[str]] = [[] for _ in sentences]
        for batch, chain in self._chains(sentences, batch_words):
            for index, path, length in zip(batch, viterbi(chain), chain.lengths, strict=True):
                tagged[index] = self._named(path[:length])
        return tagged

    def _chains(self, sentences: Sentences, batch_words: int) -> Iterator[tuple[list[int], Chain]]:
        """Batches of sentences that have words, by index, and their scores."""
        # One sentence is one batch, however long it is.
        one = len(sentences) == 1
        batches = [[0]] if one else in_order(self._reader.sizes(sentences), batch_words)
        for batch in batches:
            chosen = [index for index in batch if sentences[index]]
            if chosen:
                arrays = self._reader([sentences[index] for index in chosen])
                yield chosen, Chain(self._emissions(arrays), self._links, arrays["lengths"])

    def _named(self, path: np.ndarray) -> list[str]:
        return [self.tags[tag] for tag in path.tolist()]

    def _alternatives(self, found: Paths | None) -> list[Alternative]:
        if found is None:
            return []
        probabilities = np.exp(np.minimum(found.log_probs, 0.0)).tolist()
        return [
            Alternative(self._named(path), probability)
            for path, probability in zip(found.tags, probabilities, strict=True)
        ]

    def _spans(
        self, chain: Chain, paths: np.ndarray, tags: Sequence[Sequence[str]]
    ) -> list[list[PredictedSpan]]:
        """The spans of each sentence, with their probabilities."""
        found: list[list[PredictedSpan]] = [[] for _ in tags]
        read = [(n, span) for n, row in enumerate(tags) for span in spans_of(row, self.scheme)]
        if not read:
            return found
        sentence, first, end = np.array([(n, *span[:2]) for n, span in read]).T
        beside = [self._neighbours(tuple(tags[n][s.first : s.end]), s.label) for n, s in read]
        before, after = (np.stack(masks) for masks in zip(*beside, strict=True))
        logs = log_probs(chain, paths, Stretches(sentence, first, end, before, after))
        for (n, span), log_prob in zip(read, np.minimum(logs, 0.0).tolist(), strict=True):
            found[n].append(PredictedSpan(*span, float(np.exp(log_prob))))
        return found

    def _neighbours(self, tags: tuple[str, ...], label: str) -> tuple[np.ndarray, np.ndarray]:
        """Which tags may stand before and after those of a span, so that it is read as just that.

        In BIOES any may; in IOB2 none may follow that continues the span.
        """
        if tags not in self._beside:
            here, next_to = Span(0, len(tags), label), Span(1, len(tags) + 1, label)
            self._beside[tags] = (
                np.array([next_to in spans_of([tag, *tags], self.scheme) for tag in self.tags]),
                np.array([here in spans_of([*tags, tag], self.scheme) for tag in self.tags]),
            )
        return self._beside[tags]


def is_exported(folder: Path) -> bool:
    """Whether a folder is what `export` writes, as opposed to a tagger for PyTorch."""
    return (folder / "model.json").is_file()


def _read_about(folder: Path) -> dict[str, Any]:
    """`model.json`, checked."""
    path = folder / "model.json"
    if not path.is_file():
        found = "no such folder" if not folder.is_dir() else "no model.json in it"
        raise InputError(
            f"{folder}: expected a folder that `limbeck export` wrote, found {found}; "
            "name such a folder, or export a student"
        )
    about = read_json(path, "what was exported")
    version = about.get("format") if isinstance(about, dict) else None
    if version != FORMAT:
        raise InputError(
            f"{path}: expected format {FORMAT}, found {version!r}; "
            f"use the limbeck that wrote it, or {_AGAIN}"
        )
    tags = about.get("tags")
    try:
        canonical(str(about.get("scheme")))
        good = bool(tags) and all(isinstance(tag, str) for tag in tags)
    except (ValueError, TypeError):
        good = False
    if not good:
        raise InputError(f"{path}: expected tags and their scheme, found {about!r:.200}; {_AGAIN}")
    return about


def _require_whole(folder: Path) -> None:
    """InputError where a file that prediction reads is not what SHA256SUMS says.

    Model card and scores may be edited, and what lies in folders is for others.
    """
    sums = folder / "SHA256SUMS"
    try:
        lines = sums.read_text(encoding="utf-8").splitlines()
        wanted = {name: digest for digest, name in (line.split(maxsplit=1) for line in lines)}
    except (OSError, ValueError) as error:
        raise InputError(f"{sums}: expected checksums, found {error}; {_AGAIN}") from None
    needed = {name for name in wanted if "/" not in name and name not in _NOT_READ}
    needed |= {name for name in _READ if (folder / name).exists()}
    for name in sorted({"emissions.onnx", "transitions.npy", *needed}):
        path = folder / name
        if not path.is_file():
            raise InputError(f"{path}: expected a file of the student, found none; {_AGAIN}")
        with path.open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
        if found != wanted.get(name):
            raise InputError(
                f"{path}: expected SHA-256 {wanted.get(name, 'in SHA256SUMS')}, found {found}: the "
                f"file is damaged or was changed; copy the folder again, or {_AGAIN}"
            )


def _session(path: Path, threads: int) -> Emissions:
    """The network, ready to run on the CPU."""
    # Imported here: a tagger for PyTorch is used without it.
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3  # errors alone
    try:
        session = onnxruntime.InferenceSession(
            path.read_bytes(), options, providers=["CPUExecutionProvider"]
        )
    except Exception as error:  # the library raises nothing narrower
        raise InputError(
            f"{path}: expected an ONNX model, found {error!r:.300}; {_AGAIN}"
        ) from None
    names = [each.name for each in session.get_inputs()]

    def run(arrays: Arrays) -> np.ndarray:
        (emissions,) = session.run(["emissions"], {name: arrays[name] for name in names})
        return np.asarray(emissions)

    return run


def _read_links(path: Path, tags: int) -> Links:
    try:
        table = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise InputError(f"{path}: expected an array, found {error}; {_AGAIN}") from None
    if table.shape != (tags + 2, tags):
        raise InputError(
            f"{path}: expected scores [{tags + 2}, {tags}], found {list(table.shape)}; {_AGAIN}"
        )
    return links_of(table)
