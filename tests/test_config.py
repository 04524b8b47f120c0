"""A mistake in a parameter is one line: the key, what was expected, what was found."""

import math
from pathlib import Path
from typing import Annotated, Literal

import pytest
from pydantic import Field

from pipeline.config import parse, plain, read_yaml, settings
from pipeline.errors import InputError


@settings
class Small:
    kind: Literal["small"] = "small"
    width: Annotated[int, Field(gt=0)] = 3
    names: tuple[str, ...] = ()


@settings
class Large:
    kind: Literal["large"] = "large"
    share: float | Literal["half"] = 0.5
    names: Annotated[tuple[str, ...], Field(min_length=1)] = ("a",)


@settings
class Whole:
    model: Annotated[Small | Large, Field(discriminator="kind")]
    rate: float


GOOD = {"model": {"kind": "small", "width": 5, "names": ["a"]}, "rate": 1}


def message(data) -> str:
    with pytest.raises(InputError) as caught:
        parse(dict[str, Whole], {"x": data}, "params.yaml: parts")
    return str(caught.value)


def test_what_is_right_is_typed():
    whole = parse(Whole, GOOD, "w")
    assert whole == Whole(model=Small(width=5, names=("a",)), rate=1.0)
    assert plain(whole) == {"model": GOOD["model"], "rate": 1.0}


def test_what_looks_like_a_date_is_a_word(tmp_path: Path):
    (tmp_path / "p.yaml").write_text("names: [2024-01-31]\n")
    assert parse(Small, read_yaml(tmp_path / "p.yaml"), "p").names == ("2024-01-31",)


def test_settings_do_not_change():
    with pytest.raises(AttributeError, match="cannot assign"):
        parse(Whole, GOOD, "w").rate = 2.0


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (GOOD | {"rate": "1"}, "parts.x.rate: expected a valid number, found '1'"),
        (GOOD | {"rate": True}, "parts.x.rate: expected a valid number, found True"),
        ({"model": GOOD["model"]}, "parts.x.rate: expected a value, found none"),
        (GOOD | {"rat": 2}, "parts.x.rat: unknown key, found 2; expected one of: model, rate"),
        (
            GOOD | {"model": {"kind": "small", "wdth": 2}},
            "parts.x.model.wdth: unknown key, found 2; expected one of: kind, names, width",
        ),
        (
            GOOD | {"model": {"kind": "small", "width": 0}},
            "parts.x.model.width: expected greater than 0, found 0",
        ),
        (
            GOOD | {"model": {"kind": "tiny"}},
            "parts.x.model.kind: expected one of 'small', 'large', found 'tiny'",
        ),
        (GOOD | {"model": {}}, "parts.x.model.kind: expected a value that says which kind"),
        (
            GOOD | {"model": {"kind": "small", "names": [1]}},
            "parts.x.model.names.0: expected a valid string, found 1",
        ),
        (GOOD | {"rate": math.inf}, "parts.x.rate: expected a finite number, found inf"),
        (
            GOOD | {"model": "small"},
            "parts.x.model: expected a mapping with `kind`, one of large, small, found 'small'",
        ),
        (
            GOOD | {"model": {"kind": "small", "names": "a"}},
            "parts.x.model.names: expected a list, found 'a'",
        ),
        (
            GOOD | {"model": {"kind": "large", "share": "hlf"}},
            "parts.x.model.share: expected a valid number or 'half', found 'hlf'",
        ),
    ],
)
def test_a_mistake_names_its_key(data, expected: str):
    assert f"params.yaml: {expected}" in message(data)


def test_every_mistake_is_told():
    assert len(message({"model": {"kind": "small", "width": -1}, "rat": 2}).splitlines()) == 3


def test_a_wrong_part_of_a_list_is_not_missed_as_well():
    found = message(GOOD | {"model": {"kind": "large", "names": [1]}})
    assert found == "params.yaml: parts.x.model.names.0: expected a valid string, found 1"
    found = message(GOOD | {"model": {"kind": "large", "names": []}})
    assert found == "params.yaml: parts.x.model.names: expected 1 or more, found []"


def test_yaml_is_that_of_2009(tmp_path: Path):
    path = tmp_path / "p.yaml"
    path.write_text("rate: 5e-5\nlanguage: no\n")
    assert read_yaml(path) == {"rate": 5e-5, "language": "no"}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (None, "expected a YAML file, found none"),
        ("a: [1\n", "expected YAML 1.2"),
        ("a: 1\na: 2\n", "expected YAML 1.2"),
        ("- a\n", "expected a mapping of sections, found list"),
        ("", "expected a mapping of sections, found NoneType"),
    ],
)
def test_what_is_no_mapping_is_named(tmp_path: Path, text: str | None, expected: str):
    path = tmp_path / "p.yaml"
    if text is not None:
        path.write_text(text)
    with pytest.raises(InputError, match=r"p\.yaml: ") as caught:
        read_yaml(path)
    assert expected in str(caught.value)
