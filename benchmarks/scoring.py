"""What `score` adds to the teacher's bare forward pass, and whether `extract` keeps up with both.

    python benchmarks/scoring.py
    python benchmarks/scoring.py --asked

With `--asked` instead: what each question of section `score` costs, in time and in bytes a word.

A network of BERT-base's size in bf16 where there is a GPU, of MiniLM's in float32 where there is
none; weights and sentences are random. Bare are batches that lie ready on the device, one after the
other; `score` starts from words and ends with Parquet files. A word is one piece here: the more of
them, the harder to keep up. All take turns; printed are medians.
"""

import argparse
import os
import shutil
import tempfile
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
import torch
from made_up import SCHEME, tags_of, transitions_of
from timing import in_turn
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

from pipeline.asking import Saliency
from pipeline.batching import in_order
from pipeline.device import found_threads
from pipeline.extraction import Extract, extract_part
from pipeline.parts import parts_of
from pipeline.scoring import Score, score_split
from pipeline.tagger import Inputs, Tagger
from pipeline.transformer import TransformerEncoder
from stages.extract import PARTS_AT_ONCE

SIZES = {
    "minilm": {"hidden_size": 384, "num_hidden_layers": 6, "intermediate_size": 1536},
    "bert": {"hidden_size": 768, "num_hidden_layers": 12, "intermediate_size": 3072},
}
ASKED = {
    "emissions alone": {},
    "`vectors: true`": {"vectors": True},
    "`saliency: {every: 2}`": {"saliency": Saliency(every=2)},
    "`saliency: {every: 4}`": {"saliency": Saliency(every=4)},
    "`saliency: {every: 8}`": {"saliency": Saliency(every=8)},
    "`passes: 2`": {"passes": 2},
    "`passes: 4`": {"passes": 4},
}
VOCABULARY = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", *(f"word{n}" for n in range(30_000))]


def main() -> None:
    """Measure and print."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    large = device.type == "cuda"
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--size", choices=SIZES, default="bert" if large else "minilm")
    options.add_argument("--sentences", type=int, default=40_000 if large else 200)
    options.add_argument("--batch-words", type=int, default=16_384 if large else 2048)
    options.add_argument("--part", type=int, default=2000)
    options.add_argument("--labels", type=int, default=4)
    options.add_argument("--rounds", type=int, default=5)
    options.add_argument("--asked", action="store_true", help="what each question costs")
    chosen = options.parse_args()
    torch.set_num_threads(found_threads())
    teacher = _teacher(chosen.size, tags_of(chosen.labels)).to(device).eval()
    sentences = _sentences(chosen.sentences)
    words = sum(map(len, sentences))
    name = torch.cuda.get_device_name() if large else f"{found_threads()} threads"
    print(
        f"{name}, {os.cpu_count()} cores, {chosen.size}, {len(sentences)} sentences, {words} words"
    )
    if chosen.asked:
        _questions(teacher, sentences, chosen.batch_words, chosen.rounds)
        return
    ready = _ready(teacher, sentences, chosen.batch_words, device)
    with tempfile.TemporaryDirectory() as folder:
        emissions, targets = (Path(folder) / name for name in ("emissions", "targets"))
        score = Score(part=chosen.part)
        scored = partial(_score, teacher, sentences, emissions, score, chosen.batch_words)
        steps = {
            "bare forward pass": partial(_forward, teacher, ready),
            "score": scored,
            "extract": partial(_extract, teacher.tags, emissions, targets),
        }
        for step in steps.values():
            step()
        times = in_turn(steps, chosen.rounds, patience=300.0)
    bare = times["bare forward pass"].median
    print("\n| step | words a second | of the bare pass |\n|---|--:|--:|")
    for step, time in times.items():
        print(f"| {step} | {1e3 * words / time.median:,.0f} | {bare / time.median:.0%} |")


def _questions(teacher: Tagger, sentences: list[list[str]], batch_words: int, rounds: int) -> None:
    """Time and bytes of `score` by what it is asked."""
    words = sum(map(len, sentences))
    with tempfile.TemporaryDirectory() as folder:
        steps = {
            name: partial(
                _score, teacher, sentences, Path(folder) / str(n), Score(**asked), batch_words
            )
            for n, (name, asked) in enumerate(ASKED.items())
        }
        for step in steps.values():
            step()
        sizes = [
            sum(path.stat().st_size for path in (Path(folder) / str(n)).iterdir())
            for n in range(len(steps))
        ]
        times = in_turn(steps, rounds, patience=300.0)
    plain = times["emissions alone"].median
    print("\n| asked | time | words a second | bytes a word |\n|---|--:|--:|--:|")
    for (name, time), size in zip(times.items(), sizes, strict=True):
        rate = f"{1e3 * words / time.median:,.0f}"
        print(f"| {name} | {time.median / plain:.2f} | {rate} | {size / words:.0f} |")


def _teacher(size: str, tags: tuple[str, ...]) -> Tagger:
    inner = Tokenizer(
        models.WordLevel({piece: n for n, piece in enumerate(VOCABULARY)}, unk_token="[UNK]")
    )
    inner.pre_tokenizer = pre_tokenizers.Whitespace()
    inner.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=inner, unk_token="[UNK]", pad_token="[PAD]", cls_token="[CLS]",
        sep_token="[SEP]",
    )  # fmt: skip
    torch.manual_seed(0)
    config = BertConfig(vocab_size=len(VOCABULARY), num_attention_heads=12, **SIZES[size])
    model = BertModel(config, add_pooling_layer=False)
    encoder = TransformerEncoder(
        model, tokenizer, pooling="first", shapes=False, window=256, overlap=64
    )
    return Tagger(encoder, tags, SCHEME, "crf")


def _sentences(count: int) -> list[list[str]]:
    chance = np.random.default_rng(0)
    lengths = chance.lognormal(np.log(20.5) - 0.18, 0.6, count).round().clip(1, 200).astype(int)
    words = np.array(VOCABULARY[4:], dtype=object)[chance.integers(0, 30_000, lengths.sum())]
    return [part.tolist() for part in np.split(words, lengths.cumsum()[:-1])]


def _ready(
    teacher: Tagger, sentences: list[list[str]], batch_words: int, device: torch.device
) -> list[Inputs]:
    """Batches on the device."""
    batches = in_order(teacher.encoder.sizes(sentences), batch_words)
    inputs = (teacher.encoder.inputs([sentences[n] for n in batch]) for batch in batches)
    return [{name: tensor.to(device) for name, tensor in each.items()} for each in inputs]


@torch.inference_mode()
def _forward(teacher: Tagger, ready: list[Inputs]) -> None:
    device = teacher.emit.weight.device
    for inputs in ready:
        with torch.autocast(device.type, torch.bfloat16, enabled=device.type == "cuda"):
            teacher.emissions(inputs)
    if device.type == "cuda":
        torch.cuda.synchronize()


def _score(
    teacher: Tagger, sentences: list[list[str]], folder: Path, score: Score, batch_words: int
) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    score_split(
        teacher, sentences, range(len(sentences)), folder,
        score=score, batch_words=batch_words, scored=lambda _: None,
    )  # fmt: skip


def _extract(tags: tuple[str, ...], emissions: Path, targets: Path) -> None:
    shutil.rmtree(targets, ignore_errors=True)
    make = partial(extract_part, Extract(), transitions_of(tags), tags)
    parts = parts_of(emissions)
    with ThreadPoolExecutor(min(found_threads(), PARTS_AT_ONCE)) as pool:
        list(pool.map(make, parts, [targets / part.name for part in parts]))


if __name__ == "__main__":
    main()
