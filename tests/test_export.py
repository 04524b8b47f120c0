"""export: the chosen variant appears whole, or not at all where it loses too much or is damaged."""

import json
from pathlib import Path

import pytest
import small_project

from pipeline.errors import InputError
from pipeline.predictor import Predictor
from pipeline.shipping.checksums import seal, verify
from stages import export
from stages.params import read_params
from tests.exported import exported

SPEED = {"sentences_per_second": 1000.0, "words_per_second": 15000.0}


@pytest.fixture
def variant(tmp_path: Path) -> Path:
    """What stage compress leaves, of a toy."""
    folder = exported(tmp_path / "variants" / "r" / "int8")
    lose(folder, 0.2)
    return folder


def lose(folder: Path, loss: float) -> None:
    (folder / "scores.json").write_text(json.dumps({"loss": loss}))
    seal(folder)


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_what_is_published_is_the_variant(variant: Path, tmp_path: Path):
    export.run("r", variant, 0.3, None, tmp_path / "out")
    assert contents(tmp_path / "out") == contents(variant)
    assert Predictor.load(tmp_path / "out").tag([["Ada"]]) == [["S-PER"]]


def test_a_second_run_gives_the_same_bytes(variant: Path, tmp_path: Path):
    export.run("r", variant, 0.3, None, tmp_path / "out")
    before = contents(tmp_path / "out")
    export.run("r", variant, 0.3, None, tmp_path / "out")
    assert contents(tmp_path / "out") == before


def test_one_that_loses_too_much_is_refused_unless_it_may(variant: Path, tmp_path: Path):
    lose(variant, 0.5)
    with pytest.raises(InputError, match=r"at most 0\.3 .*loss of 0\.50; nothing was written; set"):
        export.run("r", variant, 0.3, None, tmp_path / "out")
    assert not (tmp_path / "out").exists()
    export.run("r", variant, 0.5, None, tmp_path / "out")
    assert (tmp_path / "out" / "emissions.onnx").exists()


def test_what_was_published_before_stays_where_the_new_one_is_refused(variant, tmp_path: Path):
    export.run("r", variant, 0.3, None, tmp_path / "out")
    before = contents(tmp_path / "out")
    lose(variant, 9.0)
    with pytest.raises(InputError):
        export.run("r", variant, 0.3, None, tmp_path / "out")
    assert contents(tmp_path / "out") == before


def test_a_run_that_dies_leaves_what_was_there(variant: Path, tmp_path: Path, monkeypatch):
    export.run("r", variant, 0.3, None, tmp_path / "out")
    before = contents(tmp_path / "out")
    monkeypatch.setattr(export, "seal", lambda folder: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        export.run("r", variant, 0.3, None, tmp_path / "out")
    assert contents(tmp_path / "out") == before
    assert not [*tmp_path.glob(".out*")]


def test_figures_of_speed_go_onto_the_card(variant: Path, tmp_path: Path):
    figures = {"r/int8": {**SPEED, "latency_ms": {"p50": 0.5, "p95": 0.9}}}
    speed = tmp_path / "speed.json"
    speed.write_text(json.dumps({"machine": "a box", "exported": figures}))
    export.run("r", variant, 0.3, speed, tmp_path / "out")
    card = (tmp_path / "out" / "README.md").read_text()
    assert "a box" in card
    assert "15,000.0 words a second" in card
    assert "0.5 ms" in card
    verify(tmp_path / "out")


def test_figures_that_lack_are_asked_for(variant: Path, tmp_path: Path):
    speed = tmp_path / "speed.json"
    for text in ("{}", "{", json.dumps({"machine": "a box", "exported": {"r/float32": SPEED}})):
        speed.write_text(text)
        with pytest.raises(InputError, match=r"expected the speed of r/int8.*leave out --speed"):
            export.run("r", variant, 0.3, speed, tmp_path / "out")


@pytest.mark.parametrize("what", ["changed", "gone", "more", "no checksums"])
def test_a_damaged_variant_is_refused(variant: Path, tmp_path: Path, what: str):
    if what == "changed":
        (variant / "emissions.onnx").write_bytes(b"")
    elif what == "gone":
        (variant / "vocabulary.json").unlink()
    elif what == "more":
        (variant / "more.txt").write_text("?")
    else:
        (variant / "SHA256SUMS").unlink()
    with pytest.raises(InputError, match="run the stage that writes this folder again"):
        export.run("r", variant, 0.3, None, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_scores_that_lack_are_named(variant: Path, tmp_path: Path):
    (variant / "scores.json").write_text("[]")
    seal(variant)
    with pytest.raises(InputError, match=r"scores\.json: expected the scores of a variant"):
        export.run("r", variant, 0.3, None, tmp_path / "out")


def test_a_variant_that_is_not_there_names_the_stage_that_makes_it(tmp_path: Path):
    with pytest.raises(InputError, match="run `dvc repro compress@r-int8` first"):
        export.run("r", tmp_path / "int8", 0.3, None, tmp_path / "out")


def test_a_place_that_cannot_be_written_to_is_named(variant: Path, tmp_path: Path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="expected a place that may be written to"):
        export.run("r", variant, 0.3, None, tmp_path / "file" / "out")


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("recipes", ["nope"], r"export\.recipes: expected one of gold, posterior, found nope"),
        ("recipes", [], r"export\.recipes: expected one or more, each once, found \[\]"),
        ("variants", ["int4"], r"export\.variants: expected one of float32, int8, found int4"),
        ("variant", "int4", r"export\.variant: expected one of float32, int8, found int4"),
        ("max_loss", -1, r"export\.max_loss: expected greater than or equal to 0"),
    ],
)
def test_what_the_parameters_do_not_know_is_named(tmp_path: Path, key, value, message):
    sections = small_project.params()
    sections["export"][key] = value
    small_project.write_params(tmp_path, sections)
    with pytest.raises(InputError, match=message):
        read_params(tmp_path / "params.yaml")
