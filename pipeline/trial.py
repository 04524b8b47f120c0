"""An exported student on trial: its tags, from its own files alone, beside those of PyTorch."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import onnxruntime

from pipeline.batching import in_order
from pipeline.chains import Chain, links_of
from pipeline.errors import InputError
from pipeline.paths import viterbi
from pipeline.readers import load_reader

_BATCH_WORDS = 2048


def answers(folder: Path, sentences: Sequence[Sequence[str]]) -> list[list[str]]:
    """The best tags of each sentence; a sentence has at least one word."""
    reader, tags = load_reader(folder), json.loads((folder / "model.json").read_text())["tags"]
    links = links_of(np.load(folder / "transitions.npy", allow_pickle=False))
    session = onnxruntime.InferenceSession(folder / "emissions.onnx", _one_thread())
    answered: list[list[str]] = [[] for _ in sentences]
    for batch in in_order(reader.sizes(sentences), _BATCH_WORDS):
        arrays = reader([sentences[index] for index in batch])
        emissions = session.run(["emissions"], arrays)[0]
        paths = viterbi(Chain(np.asarray(emissions), links, arrays["lengths"]))
        for index, path in zip(batch, paths.tolist(), strict=True):
            answered[index] = [tags[tag] for tag in path[: len(sentences[index])]]
    return answered


def require_same(
    found: Mapping[str, Sequence[Sequence[str]]],
    expected: Mapping[str, Sequence[Sequence[str]]],
    texts: Mapping[str, Sequence[Sequence[str]]],
) -> None:
    """Raise InputError that names the first sentence whose exported tags are not PyTorch's."""
    for corpus, words in texts.items():
        for number, sentence in enumerate(words):
            ours, theirs = found[corpus][number], expected[corpus][number]
            if ours != theirs:
                raise InputError(
                    f"{corpus}/dev, sentence {number} ({' '.join(sentence)}): expected of the "
                    f"exported student the tags that PyTorch gives, {' '.join(theirs)}; found "
                    f"{' '.join(ours)}; nothing was written; is another onnxruntime installed than "
                    "constraints.txt names?"
                )


def _one_thread() -> onnxruntime.SessionOptions:
    # Sums in one order: with several threads, equal runs may differ in last bits.
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    return options
