"""compress: for every variant a folder that stands alone, with true scores; or nothing at all."""

import json
import shutil
import subprocess
from pathlib import Path

import onnx
import pytest
import torch
from onnx import numpy_helper
from ruamel.yaml import YAML
from toys import TAGS, sentences, write_corpus

from pipeline.corpus import read_split
from pipeline.errors import InputError
from pipeline.evaluation import Evaluation, Examined, write_examined
from pipeline.lattice import nll
from pipeline.lessons import Lessons
from pipeline.metrics import count, f1
from pipeline.networks import BiLSTM
from pipeline.predictor import Predictor
from pipeline.shipping.checksums import verify
from pipeline.shipping.compression import Factorised, Float32, Int8, Int8Static, Pruned
from pipeline.students import Transformer, load_student, new_student, save_student
from stages import compress
from tests import toys
from tests.test_graphs import settled
from tests.test_students import tiny

TINY = BiLSTM(words=8, characters=4, hidden=8, word_dropout=0.0)
VARIANTS = [Float32(), Int8(), Int8(rank=4), Int8Static(), Pruned(sparsity=0.2), Factorised(rank=4)]


def told(variant=None) -> compress.Told:
    about = {"language": "en", "license": "Apache-2.0", "teachers": ["big"]}
    return compress.Told(
        variant=variant or Float32(),
        license=None,
        taught=True,
        transfer=10,
        settings={"recipe": {"head": "crf"}, "note": "a: b # c"},
        corpora={"en": about, "sv": {**about, "language": None, "teachers": []}},
    )


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A student that has learnt the toy corpora: one that knows nothing has nothing to lose."""
    folder = tmp_path_factory.mktemp("trained")
    split = toys.split(write_corpus(folder / "corpus"), "train")
    lessons = Lessons([split], lambda sentences: [*map(len, sentences)])
    torch.manual_seed(0)
    tagger = new_student(TINY, split.words, TAGS, "iob2", "crf").train()
    optimiser = torch.optim.Adam(tagger.parameters(), lr=0.02)
    for _ in range(40):
        batch, gold = lessons.batch([*range(len(split))])
        loss = nll(tagger(tagger.encoder.inputs(batch)), gold).mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    save_student(tagger, TINY, folder / "student")
    return folder / "student"


@pytest.fixture
def project(trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two corpora, a student, and a teacher that was right on `en`."""
    monkeypatch.chdir(tmp_path)
    write_corpus(tmp_path / "corpora" / "en")
    write_corpus(tmp_path / "corpora" / "sv", seed=9)
    shutil.copytree(trained, tmp_path / "students" / "posterior" / "1")
    test = read_split(tmp_path / "corpora" / "en" / "test.parquet")
    right = Evaluation(
        test.sentence_ids, test.tags or [], count(test.tags or [], test.tags or [], "iob2"), "iob2"
    )
    write_examined(tmp_path / "teachers" / "big", Examined(1, 1, {"en": right}))
    return tmp_path


def run(project: Path, variant=None, name: str = "") -> Path:
    chosen = variant or Float32()
    name = name or chosen.kind
    out = project / "variants" / "posterior" / name
    folders = (project / "students" / "posterior" / "1", project / "corpora")
    compress.run(lambda: told(chosen), name, *folders, project / "teachers", out)
    return out


@pytest.mark.parametrize("variant", VARIANTS, ids=lambda variant: variant.kind)
def test_a_variant_stands_alone_and_tells_its_own_scores(project: Path, variant):
    out = run(project, variant)
    verify(out)
    scores = json.loads((out / "scores.json").read_text())
    predictor = Predictor.load(out)
    for key, kind in (("f1", "test"), ("dev", "dev")):
        for corpus in ("en", "sv"):
            split = read_split(project / "corpora" / corpus / f"{kind}.parquet")
            own = f1(count(split.tags or [], predictor.tag(split.words), "iob2"))
            assert scores[key][corpus] == own
    student = load_student(project / "students" / "posterior" / "1")
    split = read_split(project / "corpora" / "en" / "test.parquet")
    assert scores["float32"]["f1"]["en"] == f1(
        count(split.tags or [], student.tag(split.words), "iob2")
    )
    means = [sum(each["dev"].values()) / 2 for each in (scores["float32"], scores)]
    assert scores["loss"] == pytest.approx(means[0] - means[1])
    assert scores["loses_much"] == (scores["loss"] > 0.3)
    assert {*scores["labels"]["en"]} >= {"LOC", "PER"}
    assert json.loads((out / "model.json").read_text())["variant"] == variant.kind


def test_in_float32_it_tags_as_pytorch_does(project: Path):
    out = run(project)
    words = sentences(40, 77)[0]
    student = load_student(project / "students" / "posterior" / "1")
    assert Predictor.load(out).tag(words) == student.tag(words)


def test_checksums_are_those_that_sha256sum_reads(project: Path):
    out = run(project)
    checked = subprocess.run(["sha256sum", "--check", "SHA256SUMS"], cwd=out, capture_output=True)
    assert checked.returncode == 0, checked.stderr
    assert checked.stdout.count(b": OK") == len([*out.iterdir()]) - 1


def test_the_size_is_that_of_the_files_that_tagging_needs(project: Path):
    out = run(project)
    others = {"README.md", "SHA256SUMS", "scores.json"}
    needed = [path for path in out.iterdir() if path.name not in others]
    scores = json.loads((out / "scores.json").read_text())
    assert scores["bytes"] == sum(path.stat().st_size for path in needed)
    assert scores["deflated"] < scores["bytes"]


def test_the_card_has_front_matter_and_tells_where_the_student_is_from(project: Path):
    text = (run(project, Int8()) / "README.md").read_text()
    _, front, body = text.split("---\n", 2)
    matter = YAML(typ="safe").load(front)
    assert matter["language"] == ["en"]
    assert matter["license"] == "unknown"
    assert matter["pipeline_tag"] == "token-classification"
    assert "# posterior (int8)" in body
    assert "| en | en | Apache-2.0 | 60 | 10 | big |" in body
    assert "| sv | not stated | Apache-2.0 | 60 | 0 | – |" in body
    assert "100.00" in body  # the teacher's score
    shown = YAML(typ="safe").load(body.split("```yaml\n")[1].split("```")[0])
    assert shown == {"recipe": {"head": "crf"}, "note": "a: b # c"}


def test_a_variant_that_loses_much_is_said_to(project: Path):
    text = (run(project, Pruned(sparsity=0.98)) / "README.md").read_text()
    loss = json.loads((project / "variants/posterior/pruned/scores.json").read_text())["loss"]
    assert loss > 0.3
    assert "more than 0.3" in text


def test_a_second_run_gives_the_same_bytes(project: Path):
    def content() -> dict[str, bytes]:
        return {path.name: path.read_bytes() for path in run(project, Int8()).iterdir()}

    assert content() == content()


def test_a_graph_that_says_something_else_is_refused(project: Path, monkeypatch):
    right = compress.emissions_graph

    def wrong(student) -> onnx.ModelProto:
        model = right(student)
        (bias,) = (each for each in model.graph.initializer if each.name == "emit.bias")
        values = numpy_helper.to_array(bias).copy()
        values[1] += 100
        bias.CopyFrom(numpy_helper.from_array(values, bias.name))
        return model

    monkeypatch.setattr(compress, "emissions_graph", wrong)
    with pytest.raises(InputError, match=r"dev\.parquet, sentence 0 \(.*\): expected the exported"):
        run(project)
    assert not (project / "variants").exists()


def test_inputs_that_lack_are_named_with_the_stage_that_makes_them(project: Path):
    for corpus in ("en", "sv"):
        (project / "corpora" / corpus / "dev.parquet").unlink()
    with pytest.raises(InputError, match="expected a dev split"):
        run(project)
    (project / "students" / "posterior" / "1").rename(project / "gone")
    (project / "gone").rename(project / "students" / "posterior" / "2")
    write_corpus(project / "corpora" / "en")
    with pytest.raises(InputError, match="run `dvc repro distill@posterior-1` first"):
        run(project)


def test_a_transformer_is_also_written_for_hugging_face(project: Path, tmp_path_factory):
    kind = Transformer(name=str(tiny(tmp_path_factory)))
    tagger = settled(new_student(kind, [], TAGS, "iob2", "crf"))
    shutil.rmtree(project / "students" / "posterior" / "1")
    save_student(tagger, kind, project / "students" / "posterior" / "1")
    out = run(project)
    assert (out / "huggingface" / "model.safetensors").is_file()
    assert "pipeline(" in (out / "README.md").read_text()
    verify(out)
    words = sentences(10, 3)[0]
    student = load_student(project / "students" / "posterior" / "1")
    assert Predictor.load(out).tag(words) == student.tag(words)
