"""A tiny exported student that knows some words by heart, for tests without training."""

import hashlib
import json
from pathlib import Path

import numpy as np
from onnx import TensorProto, helper, numpy_helper

from pipeline.reading.words import WordReader
from pipeline.tags import allowed

TAGS = ("O", "B-PER", "I-PER", "E-PER", "S-PER", "B-LOC", "I-LOC", "E-LOC", "S-LOC")
KNOWN = {
    "ada": "S-PER",
    "grace": "B-PER",
    "hopper": "E-PER",
    "london": "S-LOC",
    "new": "B-LOC",
    "york": "E-LOC",
    "lives": "O",
    "in": "O",
}


def exported(folder: Path, tags=TAGS, scheme="bioes", head="crf", known=None) -> Path:
    """Emissions are 4 for the tag that a word is known by, and a little for O; in bioes a CRF."""
    known = KNOWN if known is None else known
    folder.mkdir(parents=True)
    table = np.zeros((2 + len(known), len(tags)), dtype=np.float32)
    table[:, 0] = 1.0
    for row, tag in enumerate(known.values(), start=2):
        table[row, tags.index(tag)] += 4.0
    WordReader([*known]).save(folder)
    (folder / "emissions.onnx").write_bytes(graph(table).SerializeToString())
    np.save(folder / "transitions.npy", links(tags, scheme, head), allow_pickle=False)
    about = {"format": 1, "head": head, "recipe": "toy", "scheme": scheme, "tags": [*tags]}
    (folder / "model.json").write_text(json.dumps(about | {"variant": "float32"}))
    (folder / "README.md").write_text("A toy.\n")
    seal(folder)
    return folder


def graph(table: np.ndarray):
    """emissions = table[word[place]]."""
    kinds = {"word": ["distinct"], "place": ["batch", "words"]}
    inputs = [helper.make_tensor_value_info(k, TensorProto.INT64, v) for k, v in kinds.items()]
    output = helper.make_tensor_value_info(
        "emissions", TensorProto.FLOAT, ["batch", "words", table.shape[1]]
    )
    nodes = [
        helper.make_node("Gather", ["word", "place"], ["number"]),
        helper.make_node("Gather", ["table", "number"], ["emissions"]),
    ]
    weights = [numpy_helper.from_array(table, "table")]
    made = helper.make_graph(nodes, "toy", inputs, [output], weights)
    return helper.make_model(made, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)


def links(tags, scheme, head) -> np.ndarray:
    """Zero where the scheme allows, else -inf; a softmax forbids nothing."""
    rules = allowed(tags, scheme)
    permitted = np.concatenate([rules.transitions, rules.start[None], rules.end[None]])
    return np.where(permitted | (head == "softmax"), 0.0, -np.inf).astype(np.float32)


def seal(folder: Path) -> None:
    """Checksums of all files."""
    files = sorted(path for path in folder.iterdir() if path.name != "SHA256SUMS")
    lines = [f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}\n" for path in files]
    (folder / "SHA256SUMS").write_text("".join(lines))
