"""Exported students in use: tags, spans, probabilities, and nothing that is not needed."""

import json
import math
import subprocess
import sys
from pathlib import Path

import numpy as np
import oracle
import pytest
import torch
from exported import TAGS, exported, links, seal
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st

from pipeline import decoding
from pipeline.errors import InputError
from pipeline.lattice import Lattice
from pipeline.prediction.chains import links_of
from pipeline.predictor import Predictor, is_exported
from pipeline.tags import spans_of, tag_set

ROOT = Path(__file__).parents[1]
SENTENCES = [
    ["Ada", "lives", "in", "New", "York", "."],
    [],
    ["Grace", "Hopper"],
    ["unseen"],
    ["London"] * 40,
    [],
]


@pytest.fixture(scope="module")
def student(tmp_path_factory) -> Path:
    return exported(tmp_path_factory.mktemp("model") / "toy")


class Noise:
    """A reader and emissions at random, the same for the same sentence."""

    def __init__(self, tags: int, step: float | None = None) -> None:
        self.tags, self.step = tags, step

    def __call__(self, sentences):
        lengths = np.array([len(words) for words in sentences])
        words = np.array([[int(w) for w in s] + [0] * (max(lengths) - len(s)) for s in sentences])
        return {"word": words, "lengths": lengths}

    def sizes(self, sentences):
        return [len(words) for words in sentences]

    def windowed(self, sentences):
        return 0

    def save(self, folder):
        """There is nothing to save."""

    def emissions(self, arrays):
        rows = np.random.default_rng(3).normal(size=(50, self.tags), scale=2).astype(np.float32)
        scores = rows[arrays["word"]]
        return scores if self.step is None else scores.round()

    def predictor(self, tags, scheme, head) -> Predictor:
        table = links_of(links(tags, scheme, head))
        return Predictor(self, self.emissions, table, tags, scheme)

    def lattice(self, predictor, sentence) -> Lattice:
        scores = self.emissions(self([sentence])).astype(np.float64)
        parts = (torch.from_numpy(x) for x in (scores, *predictor._links))
        return Lattice(*parts, mask=torch.ones(1, len(sentence), dtype=torch.bool))


def test_spans_come_with_tags_in_the_order_of_the_sentences(student):
    found = Predictor.load(student).predict(SENTENCES, batch_words=16)
    assert [len(each.tags) for each in found] == [len(words) for words in SENTENCES]
    assert found[0].tags == ["S-PER", "O", "O", "B-LOC", "E-LOC", "O"]
    assert [span[:3] for span in found[0].spans] == [(0, 1, "PER"), (3, 5, "LOC")]
    assert found[1] == found[5] == ([], [], [])
    assert found[2].tags == ["B-PER", "E-PER"]
    assert found[3].spans == []
    assert all(0.5 < span.confidence < 1 for each in found for span in each.spans)


@pytest.mark.parametrize("batch_words", [1, 7, 100_000])
def test_batches_change_nothing(student, batch_words):
    predictor = Predictor.load(student, threads=2)
    plain, batched = (predictor.predict(SENTENCES, k=3, batch_words=n) for n in (2048, batch_words))
    assert [each.tags for each in plain] == [each.tags for each in batched]
    assert predictor.tag(SENTENCES, batch_words) == [each.tags for each in plain]
    for one, other in zip(plain, batched, strict=True):
        for a, b in zip(one.spans, other.spans, strict=True):
            assert a.confidence == pytest.approx(b.confidence)
        assert [each.tags for each in one.alternatives] == [e.tags for e in other.alternatives]


def test_no_sentence_at_all(student):
    assert Predictor.load(student).predict([]) == []


TAG_SETS = {
    scheme: tag_set(["A", "B"] if scheme != "bioes" else ["A"], scheme)
    for scheme in ("iob1", "iob2", "bioes", "flat", "raw")
}
sentences = st.lists(st.integers(0, 49).map(str), min_size=1, max_size=4)


@examples(max_examples=80)
@given(sentences, st.sampled_from(sorted(TAG_SETS)), st.sampled_from(["crf", "softmax"]))
def test_confidence_is_the_probability_of_just_that_span(words, scheme, head):
    """Of all tag sequences, those that have its tags and are read as having that very span."""
    noise = Noise(len(TAG_SETS[scheme]))
    predictor = noise.predictor(TAG_SETS[scheme], scheme, head)
    (found,) = predictor.predict([words])
    listed = oracle.probabilities(noise.lattice(predictor, words), 0)
    assert [span[:3] for span in found.spans] == spans_of(found.tags, scheme)
    for span in found.spans:
        wanted = 0.0
        for path, probability in listed.items():
            tags = [predictor.tags[tag] for tag in path]
            same = tags[span.first : span.end] == found.tags[span.first : span.end]
            wanted += probability * (same and span[:3] in spans_of(tags, scheme))
        assert span.confidence == pytest.approx(wanted, abs=1e-9)


@examples(max_examples=30)
@given(sentences, st.sampled_from([1, 4, 10**4]), st.sampled_from([None, 1.0]))
def test_alternatives_are_the_k_best(words, k, step):
    noise = Noise(len(TAG_SETS["bioes"]), step)
    predictor = noise.predictor(TAG_SETS["bioes"], "bioes", "crf")
    (found,) = predictor.predict([words], k=k)
    lattice = noise.lattice(predictor, words)
    paths, log_probs = decoding.k_best(lattice, k)
    wanted = [
        ([predictor.tags[tag] for tag in path], math.exp(log_prob))
        for path, log_prob in zip(paths[0].tolist(), log_probs[0].tolist(), strict=True)
        if log_prob > -math.inf
    ]
    assert [each.tags for each in found.alternatives] == [tags for tags, _ in wanted]
    assert found.alternatives[0].tags == found.tags
    probabilities = [each.probability for each in found.alternatives]
    assert probabilities == pytest.approx([p for _, p in wanted])
    if k == 10**4:
        assert sum(probabilities) == pytest.approx(1.0)


# Files


def change(folder: Path, name: str, **keys) -> None:
    about = json.loads((folder / name).read_text())
    (folder / name).write_text(json.dumps(about | keys))
    seal(folder)


def test_a_folder_that_is_no_student_is_refused(tmp_path):
    with pytest.raises(InputError, match="expected a folder that `limbeck export` wrote"):
        Predictor.load(tmp_path / "none")
    assert not is_exported(tmp_path)
    with pytest.raises(InputError, match=r"found no model\.json in it; name such a folder"):
        Predictor.load(tmp_path)


@pytest.mark.parametrize("version", [0, 2, None, "1"])
def test_another_format_is_refused(tmp_path, version):
    folder = exported(tmp_path / "toy")
    change(folder, "model.json", format=version)
    with pytest.raises(
        InputError, match=rf"model\.json: expected format 1, found {version!r}; use"
    ):
        Predictor.load(folder)


@pytest.mark.parametrize(
    "keys", [{"tags": []}, {"tags": [1]}, {"tags": None}, {"scheme": "odd"}, {"scheme": None}]
)
def test_what_no_student_has_is_refused(tmp_path, keys):
    folder = exported(tmp_path / "toy")
    change(folder, "model.json", **keys)
    with pytest.raises(InputError, match=r"model\.json: expected tags and their scheme, found"):
        Predictor.load(folder)


@pytest.mark.parametrize(
    "name", ["emissions.onnx", "transitions.npy", "reader.json", "vocabulary.json", "SHA256SUMS"]
)
def test_a_file_that_lacks_is_named(tmp_path, name):
    folder = exported(tmp_path / "toy")
    (folder / name).unlink()
    with pytest.raises(InputError, match=rf"{name}: expected .*; export the student again"):
        Predictor.load(folder)


@pytest.mark.parametrize("name", ["emissions.onnx", "transitions.npy", "reader.json"])
def test_a_damaged_file_is_named(tmp_path, name):
    folder = exported(tmp_path / "toy")
    content = (folder / name).read_bytes()
    (folder / name).write_bytes(content[:-1] + bytes([content[-1] ^ 1]) + b" ")
    with pytest.raises(InputError, match=rf"{name}: expected SHA-256 .* copy the folder again"):
        Predictor.load(folder)


@pytest.mark.parametrize("name", ["emissions.onnx", "model.json", "vocabulary.json"])
def test_a_file_without_a_checksum_is_named(tmp_path, name):
    folder = exported(tmp_path / "toy")
    sums = folder / "SHA256SUMS"
    kept = [line for line in sums.read_text().splitlines() if not line.endswith(name)]
    sums.write_text("".join(f"{line}\n" for line in kept))
    with pytest.raises(InputError, match=rf"{name}: expected SHA-256 in SHA256SUMS, found"):
        Predictor.load(folder)


@pytest.mark.parametrize("name", ["emissions.onnx", "transitions.npy"])
@pytest.mark.parametrize("content", [b"", b"nonsense"])
def test_nonsense_with_the_right_checksum_is_named_too(tmp_path, name, content):
    folder = exported(tmp_path / "toy")
    (folder / name).write_bytes(content)
    seal(folder)
    with pytest.raises(InputError, match=rf"{name}: expected an .*; export the student again"):
        Predictor.load(folder)


def test_transitions_of_another_tag_set_are_named(tmp_path):
    folder = exported(tmp_path / "toy")
    np.save(folder / "transitions.npy", links(TAGS[:5], "bioes", "crf"))
    seal(folder)
    with pytest.raises(InputError, match=r"transitions\.npy: expected scores \[11, 9\], found"):
        Predictor.load(folder)


def test_the_model_card_may_be_edited(tmp_path):
    folder = exported(tmp_path / "toy")
    (folder / "README.md").write_text("My own words.\n")
    assert Predictor.load(folder).tag([["Ada"]]) == [["S-PER"]]


# What it needs

_BLOCKED = """
import sys
class Blocked:
    names = {"torch", "pydantic", "jaxtyping", "pyarrow", "numba", "transformers", "tokenizers",
             "onnx", "rich", "typer", "ruamel", "safetensors", "triton"}
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in self.names:
            raise ImportError(f"{name} is not to be imported here")
sys.meta_path.insert(0, Blocked())
from pipeline.predictor import Predictor
from pipeline.raw.segments import sentences_of
(sentence,) = sentences_of("Ada lives in New York.")
(found,) = Predictor.load(sys.argv[1]).predict([sentence.words], k=2)
print(found.spans[1].label, sentence.stretch(*found.spans[1][:2]), len(found.alternatives))
print(*Blocked.names & {name.split(".")[0] for name in sys.modules})
"""


def test_numpy_and_onnx_runtime_are_enough(student):
    ran = subprocess.run(
        [sys.executable, "-c", _BLOCKED, str(student)], cwd=ROOT, capture_output=True, text=True
    )
    assert (ran.stderr, ran.returncode) == ("", 0)
    assert ran.stdout.splitlines() == ["LOC (13, 21) 2", ""]


def test_every_sequence_of_a_softmax_is_read(tmp_path):
    """Nothing is forbidden, so that two ends may follow one another."""
    folder = exported(tmp_path / "toy", head="softmax")
    (found,) = Predictor.load(folder).predict([["York", "York", "Ada"]])
    assert found.tags == ["E-LOC", "E-LOC", "S-PER"]
    assert [span[:3] for span in found.spans] == [(2, 3, "PER")]
