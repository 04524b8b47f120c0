"""Bad input through the command line: one message, status 2, nothing half-written, nothing lost."""

import errno
import os
import resource
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import raw
import small_project
from small_project import params, write_params

from pipeline.corpus import read_split, write_split
from stages import cli

COMMANDS = {
    "prepare": "--out data/corpora --lessons data/lessons",
    "train_teacher": "en --corpora data/corpora --lesson data/lessons/en/learn.json "
    "--out models/teachers/en",
    "score": "--teacher models/teachers/en --corpora data/corpora "
    "--lesson data/lessons/en/label.json --out data/emissions/en",
    "extract": "--teacher models/teachers/en --emissions data/emissions/en --out data/targets/en",
    "distill": "posterior --seed 1 --corpora data/corpora --lessons data/lessons "
    "--emissions data/emissions --targets data/targets --teachers models/teachers "
    "--ensembles data/ensembles --out models/students/posterior/1",
    "evaluate_teacher": "--teacher models/teachers/en --emissions data/emissions/en "
    "--corpora data/corpora --lesson data/lessons/en/label.json --out data/evaluations/teachers/en",
    "evaluate": "--student models/students/posterior/1 --corpora data/corpora "
    "--out data/evaluations/students/posterior/1",
    "compare": "--corpora data/corpora --students models/students "
    "--evaluations data/evaluations --metrics metrics/summary.json --plots plots "
    "--report reports/report.html",
}
"""As in dvc.yaml, for the one corpus, teacher and recipe of `settings`."""


def settings() -> dict[str, Any]:
    sections = params()
    del sections["corpora"]["sv"], sections["teachers"]["sv"], sections["recipes"]["gold"]
    sections["grid"] |= {"teachers": ["en"], "recipes": ["posterior"], "seeds": [1]}
    return sections


def run(stage: str) -> int:
    """The exit status of a stage's command, run in this process."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["limbeck", stage, *COMMANDS[stage].split()])
        patch.setattr(cli, "show_log", lambda: None)
        with pytest.raises(SystemExit) as ended:
            cli.main()
    return int(ended.value.code or 0)


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which every stage has run."""
    folder = tmp_path_factory.mktemp("finished")
    small_project.write_raw(folder)
    write_params(folder, settings())
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.delenv("DVC_ROOT", raising=False)
        assert [run(stage) for stage in COMMANDS] == [0] * len(COMMANDS)
    return folder


@dataclass
class Project:
    """A copy of the finished folder to spoil."""

    folder: Path
    capsys: pytest.CaptureFixture[str]

    def refused(self, stage: str, *expected: str) -> str:
        """What the stage says; it must leave all that is there as it is."""
        before = contents(self.folder)
        self.capsys.readouterr()
        status = run(stage)
        said = self.capsys.readouterr()
        after = {path: it for path, it in contents(self.folder).items() if not _is_work(path)}
        assert (status, said.out) == (2, ""), said.err
        assert said.err.startswith("limbeck: ")
        assert "Traceback" not in said.err
        for part in expected:
            assert part in said.err
        assert after == {path: it for path, it in before.items() if not _is_work(path)}
        assert not [*self.folder.rglob("*.partial")]
        return said.err

    def edit(self, change: Callable[[dict[str, Any]], object]) -> None:
        sections = settings()
        change(sections)
        write_params(self.folder, sections)


def _is_work(path: str) -> bool:
    return "/.work/" in path or "/.locks/" in path


@pytest.fixture
def project(finished, tmp_path, monkeypatch, capsys) -> Project:
    monkeypatch.delenv("DVC_ROOT", raising=False)
    folder = tmp_path / "project"
    shutil.copytree(finished, folder)
    monkeypatch.chdir(folder)
    return Project(folder, capsys)


@pytest.mark.parametrize("stage", [stage for stage in COMMANDS if "evaluate" not in stage])
@pytest.mark.parametrize(
    ("section", "key", "value", "expected"),
    [
        ("extract", "depth", 3, "params.yaml: extract.depth: unknown key"),
        ("extract", "k", "three", "params.yaml: extract.k: expected a valid integer"),
    ],
)
def test_a_wrong_parameter_stops_every_stage(project, stage, section, key, value, expected):
    project.edit(lambda sections: sections[section].update({key: value}))
    project.refused(stage, expected, f"found {value!r}")


@pytest.mark.parametrize(
    ("edit", "expected"),
    [
        (lambda s: s["grid"].update(ensembles=["both"]), "grid.ensembles: expected one of nothing"),
        (lambda s: _pooled(s, ["en", "da"]), "ensembles.both.teachers: expected one of en, found"),
        (lambda s: _pooled(s, ["en", "en"]), "ensembles.both.teachers: expected each name once"),
        (lambda s: _apart(s), "expected teachers that one corpus at least has in common, found"),
        (lambda s: _transposed(s), "both.kind: expected pool or mixture, or prepare.scheme: flat"),
        (lambda s: s["recipes"]["posterior"].update(teachers=["da"]), "expected one of en, found"),
        (lambda s: s["corpora"]["en"].update(teachers=["en", "en"]), "expected each name once"),
    ],
)
def test_teachers_and_ensembles_that_are_not_there(project, edit, expected):
    project.edit(edit)
    project.refused("distill", expected)


def _pooled(sections: dict[str, Any], teachers: list[str]) -> None:
    sections["ensembles"] = {"both": {"kind": "pool", "teachers": teachers}}
    sections["grid"]["ensembles"] = ["both"]


def _apart(sections: dict[str, Any]) -> None:
    _pooled(sections, ["en", "sv"])
    sections["teachers"]["sv"] = sections["teachers"]["en"]
    sections["grid"]["teachers"] = ["en", "sv"]


def _transposed(sections: dict[str, Any]) -> None:
    _pooled(sections, ["en"])
    sections["ensembles"]["both"]["kind"] = "transposed"


def test_a_parameter_file_that_lacks_or_is_no_yaml(project):
    path = project.folder / "params.yaml"
    path.write_text("prepare: [")
    project.refused("prepare", "params.yaml: expected YAML")
    path.unlink()
    project.refused("prepare", "params.yaml: expected a YAML file, found none")


def test_a_kind_that_does_not_exist_lists_those_that_do(project):
    project.edit(lambda s: s["recipes"]["posterior"]["objectives"][0].update(kind="golden"))
    project.refused("distill", "recipes.posterior.objectives.0.kind", "'gold'", "'golden'")


def test_a_teacher_of_whom_nothing_can_be_borrowed(project):
    pieces = {"name": "teacher:fr"}
    project.edit(lambda s: s["recipes"]["posterior"]["student"].update(pieces=pieces))
    project.refused("distill", "recipes.posterior.student: teacher: expected one of en, found fr")
    pieces["name"] = "teacher:en"  # a larger student, which reads no pieces
    project.edit(lambda s: s["recipes"]["posterior"]["student"].update(pieces=pieces))
    expected = "teacher: expected one that reads pieces of words, found en (bilstm); take what is"
    project.refused("distill", expected)
    pieces["name"] = "teacher"  # whichever there is
    project.edit(lambda s: s["recipes"]["posterior"]["student"].update(pieces=pieces))
    project.refused("distill", expected)


def test_a_missing_raw_file(project):
    (project.folder / "data/raw/en/dev.conll").unlink()
    project.refused("prepare", "corpora.en.dev: expected the file data/raw/en/dev.conll")


@pytest.mark.parametrize("split", ["train.conll", "transfer.txt"])
@pytest.mark.parametrize("content", ["", "\n\n \n"])
def test_an_empty_corpus(project, split, content):
    (project.folder / "data/raw/en" / split).write_text(content)
    project.refused("prepare", f"data/raw/en/{split}: expected sentences, found an empty file; put")


def test_a_label_of_the_test_split_that_no_train_split_has(project):
    raw.conll(project.folder / "data/raw/en/test.conll", "Ada/B-PER ran/O", "Mars/B-STAR rose/O")
    project.refused("prepare", "data/raw/en/test.conll:4: expected labels", "STAR", "correct")


def test_a_file_that_is_not_text(project):
    (project.folder / "data/raw/en/train.conll").write_bytes(b"a\tO\n\xff\xfe\tO\n")
    project.refused("prepare", "data/raw/en/train.conll")


def relabelled(path: Path, tag_set: tuple[str, ...]) -> None:
    """The same sentences with another tag set, untagged but for O."""
    split = read_split(path)
    tags = None if split.tags is None else [["O"] * len(row) for row in split.words]
    write_split(path, split.words, tags, tag_set=tag_set, scheme=split.scheme)


@pytest.mark.parametrize("stage", ["score", "evaluate", "evaluate_teacher"])
def test_a_tag_set_that_the_tagger_was_not_trained_on(project, stage):
    for path in (project.folder / "data/corpora/en").iterdir():
        relabelled(path, ("O", "B-LOC", "I-LOC", "E-LOC", "S-LOC", "B-X", "I-X", "E-X", "S-X"))
    said = project.refused(stage, "B-PER", "B-X", "tag set", "train")
    assert "B-LOC" not in said.partition("differs")[2]


def test_targets_of_another_tag_set(project):
    for path in (project.folder / "data/corpora/en").iterdir():
        relabelled(path, ("O", "B-LOC", "I-LOC", "E-LOC", "S-LOC", "B-X", "I-X", "E-X", "S-X"))
    project.refused("distill", "B-PER", "B-X", "dvc repro")


def shortened(path: Path) -> None:
    content = path.read_bytes()
    path.unlink()
    path.write_bytes(content[: len(content) // 2])


def garbled(path: Path) -> None:
    """A byte of the first column is another, the file's length and footer as they were."""
    content = bytearray(path.read_bytes())
    where = pq.ParquetFile(path).metadata.row_group(0).column(0)
    place = where.data_page_offset + where.total_compressed_size - 1
    content[place] ^= 0xFF
    path.unlink()
    path.write_bytes(content)


def emptied(path: Path) -> None:
    path.unlink()
    path.touch()


def other(path: Path) -> None:
    path.unlink()
    path.write_text("sentence_id,words\n0,a\n")


def removed(path: Path) -> None:
    path.unlink()


def unreadable(path: Path) -> None:
    """A folder of that name: root reads every file, whatever its mode."""
    path.unlink()
    path.mkdir()


TABLES = {
    "data/corpora/en/train.parquet": ("train_teacher", "score", "distill"),
    "data/corpora/en/test.parquet": ("evaluate", "evaluate_teacher", "compare"),
    "data/emissions/en/en/train/part-00000.parquet": ("extract",),
    "data/emissions/en/en/test/part-00000.parquet": ("evaluate_teacher",),
    "data/targets/en/en/train/part-00000.parquet": ("distill",),
}


@pytest.mark.parametrize("spoil", [shortened, garbled, emptied, other, unreadable])
@pytest.mark.parametrize(
    ("path", "stage"), [(path, stage) for path, stages in TABLES.items() for stage in stages]
)
def test_a_table_that_cannot_be_read(project, path, stage, spoil):
    spoil(project.folder / path)
    project.refused(stage, path, "expected", "found", "run")


@pytest.mark.parametrize("path", [path for path in TABLES if "part" in path])
def test_a_part_that_lacks(project, path):
    removed(project.folder / path)
    folder, (stage, *_) = path.rpartition("/")[0], TABLES[path]
    project.refused(stage, folder, "expected")


TEACHER, STUDENT = "models/teachers/en", "models/students/posterior/1"
ANY, READ_WHOLE = ("tagger.json", "weights.safetensors"), ("vocabulary.json", "reader.json")
MODELS = {
    (TEACHER, "score"): ANY + READ_WHOLE,
    (TEACHER, "extract"): ANY,  # reads the transitions alone
    (STUDENT, "evaluate"): ANY + READ_WHOLE,
}


@pytest.mark.parametrize("spoil", [removed, shortened, emptied])
@pytest.mark.parametrize(
    ("folder", "stage", "file"), [(*of, file) for of, files in MODELS.items() for file in files]
)
def test_a_model_with_a_file_that_lacks_or_is_damaged(project, folder, stage, file, spoil):
    spoil(project.folder / folder / file)
    project.refused(stage, f"{folder}/{file}", "expected", "found")


@pytest.mark.parametrize(
    ("stage", "gone", "maker"),
    [
        ("train_teacher", "data/lessons", "prepare"),
        ("score", "models/teachers/en", "train_teacher@en"),
        ("extract", "data/emissions/en", "score@en"),
        ("distill", "data/targets/en", "extract"),
        ("evaluate", "models/students/posterior/1", "distill@posterior-1"),
        ("compare", "data/evaluations", "evaluate"),
    ],
)
def test_an_input_that_no_stage_has_made_yet(project, stage, gone, maker):
    shutil.rmtree(project.folder / gone)
    project.refused(stage, gone, f"`dvc repro {maker}`")


def objectives(project, *kinds: dict[str, Any]) -> None:
    project.edit(lambda s: s["recipes"]["posterior"].update(objectives=[{"kind": "gold"}, *kinds]))


@pytest.mark.parametrize(
    ("gone", "maker"),
    [("data/emissions/en/en/transfer", "score@en"), ("data/targets/en/en/train", "extract")],
)
def test_what_an_objective_reads_and_lacks_is_named_with_it(project, gone, maker):
    objectives(project, {"kind": "structural"})
    shutil.rmtree(project.folder / gone)
    where = "recipes.posterior.objectives.1: structural reads what lacks"
    project.refused("distill", where, gone, f"`dvc repro {maker}`")


def test_more_paths_than_were_extracted(project):
    objectives(project, {"kind": "fuzzy_tags", "k": 4})
    project.refused("distill", "recipes.posterior.objectives.1.k: expected at most extract.k = 3")
    sections = settings()
    sections["extract"]["k"] = 9  # `extract` has not run again
    sections["recipes"]["posterior"]["objectives"] = [{"kind": "fuzzy_tags", "k": 4}]
    write_params(project.folder, sections)
    project.refused("distill", "objectives.0.k: expected at most 3, as data/targets/en/en/train")


def test_answers_that_score_was_not_asked_for(project):
    objectives(project, {"kind": "hidden"})
    where = "params.yaml: recipes.posterior.objectives.1: hidden reads vectors"
    for stage in ("score", "distill"):
        project.refused(stage, f"{where}; expected score.vectors: true, found none")
    sections = settings()
    sections["score"]["vectors"] = True  # `score` has not run again
    sections["recipes"]["posterior"]["objectives"] = [{"kind": "hidden"}]
    write_params(project.folder, sections)
    where = "recipes.posterior.objectives.0: hidden reads vectors; expected score.vectors: true"
    project.refused("distill", where, "run `dvc repro score@en`")


def test_a_hub_id_without_network(project, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    encoder = {"kind": "pretrained", "name": "nobody/nothing-of-this-name"}
    project.edit(lambda sections: sections["teachers"]["en"].update(encoder=encoder))
    project.refused("train_teacher", "encoder.name: expected a hub id", "nobody/nothing")


@contextmanager
def full_disk(bytes_left: int) -> Iterator[None]:
    """No file may grow beyond so many bytes: a write fails as under a quota, with errno EFBIG."""
    former = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (bytes_left, former[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, former)


@pytest.mark.parametrize("stage", COMMANDS)
def test_a_disk_that_fills(project, stage, monkeypatch):
    monkeypatch.setenv("LIMBECK_CHECKPOINT_SECONDS", "0")
    shutil.rmtree(project.folder / ".work", ignore_errors=True)
    with full_disk(600):
        project.refused(stage, "the disk is full", os.strerror(errno.EFBIG), "Free some space")
    assert run(stage) == 0
