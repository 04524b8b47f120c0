"""Settings: strict, frozen dataclasses read from YAML 1.2, and errors that name the key.

A choice is a union of settings classes told apart by `kind`. To add one, write the class where its
code lives and put its name in the union there; nothing here changes.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeVar, cast, dataclass_transform

from pydantic import ConfigDict, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass
from pydantic_core import ErrorDetails
from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError

from pipeline.errors import InputError

Kind = TypeVar("Kind")

_STRICT = ConfigDict(
    strict=True, extra="forbid", arbitrary_types_allowed=False, allow_inf_nan=False
)


@dataclass_transform(kw_only_default=True, frozen_default=True)
def settings(cls: type[Kind]) -> type[Kind]:
    """A frozen dataclass with named fields only, strict types, and no unknown keys."""
    return cast(type[Kind], dataclass(frozen=True, kw_only=True, config=_STRICT)(cls))


def parse(kind: Any, data: Any, where: str) -> Any:
    """`data`, as YAML gave it, as an instance of `kind`: a settings class, a union or a mapping.

    `where` names the source, for instance `params.yaml: recipes`. Raises InputError with one line
    a mistake: the key, what was expected, what was found.
    """
    adapter = TypeAdapter(kind)
    try:
        # JSON mode: a YAML list may fill a tuple, yet "3" still never passes for 3.
        # What YAML 1.1 called a date is a word in 1.2, though the reader makes one of it.
        return adapter.validate_json(json.dumps(data, default=str), strict=True)
    except ValidationError as error:
        raise InputError("\n".join(_lines(where, error.errors(), data, adapter))) from None


def plain(value: Any) -> Any:
    """Settings as plain mappings, lists and scalars: what JSON holds and `parse` reads back."""
    return TypeAdapter(type(value)).dump_python(value, mode="json")


def read_yaml(path: Path) -> dict[str, Any]:
    """The mapping in a YAML 1.2 file (so `5e-5` is a number, `no` a word).

    Raises InputError where the file is missing, is not YAML, repeats a key, or holds no mapping.
    """
    try:
        data = YAML(typ="safe", pure=True).load(path)
    except FileNotFoundError:
        raise InputError(
            f"{path}: expected a YAML file, found none; run this where params.yaml lies, or name "
            "another file"
        ) from None
    except (MarkedYAMLError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: expected YAML 1.2: {error}") from None
    if not isinstance(data, dict):
        raise InputError(f"{path}: expected a mapping of sections, found {type(data).__name__}")
    return data


def _lines(
    where: str, errors: list[ErrorDetails], data: Any, adapter: TypeAdapter
) -> Iterator[str]:
    """One line of each mistake: `params.yaml: recipes.gold.student.width: expected …, found …`.

    What fits none of several types is one mistake, and a list that lacks a wrong part no other.
    """
    above = {error["loc"][:depth] for error in errors for depth in range(len(error["loc"]))}
    found: dict[tuple[str, str], list[str]] = {}
    for error in errors:
        if error["type"] == "too_short" and error["loc"] in above:
            continue
        keys = _keys(error["loc"], data, lacking=error["type"] == "missing")
        at = f"{where}.{keys}".replace(": .", ": ") if keys else where
        at += ".kind" if error["type"].startswith("union_tag") else ""
        expected, seen = _described(error, adapter)
        found.setdefault((at, seen), []).append(expected)
    for (at, seen), expected in found.items():
        others = [text.removeprefix("expected ") for text in expected[1:]]
        yield f"{at}: {' or '.join([expected[0], *others])}{seen}"


def _described(error: ErrorDetails, adapter: TypeAdapter) -> tuple[str, str]:
    """What is expected, and what was found."""
    context, found = error.get("ctx", {}), f", found {error['input']!r}"
    match error["type"]:
        case "unexpected_keyword_argument":
            here = _schema_at(adapter.json_schema(), error["loc"][:-1])
            allowed = ", ".join(sorted(here.get("properties", {})))
            return f"unknown key, found {error['input']!r}; expected one of: {allowed}", ""
        case "missing":
            return "expected a value", ", found none"
        case "union_tag_invalid":
            return f"expected one of {context['expected_tags']}", f", found '{context['tag']}'"
        case "union_tag_not_found":
            return "expected a value that says which kind", ", found none"
        case "dict_type" | "dataclass_type":
            kinds = _schema_at(adapter.json_schema(), error["loc"]).get("discriminator", {})
            some = ", ".join(kinds.get("mapping", {}))
            return "expected a mapping" + (f" with `kind`, one of {some}" if some else ""), found
        case "tuple_type" | "list_type":
            return "expected a list", found
        case "too_short":
            return f"expected {context['min_length']} or more", found
        case "value_error":
            message = error["msg"].removeprefix("Value error, ")
            return message, "" if ", found " in message else found
        case _:
            return error["msg"].replace("Input should be", "expected", 1), found


def _keys(location: tuple[int | str, ...], data: Any, *, lacking: bool) -> str:
    """The dotted key in the data; the names that pydantic adds for branches of a union are left.

    Of a key that is `lacking`, the last part is no such name, though the data do not have it.
    """
    keys: list[str] = []
    for index, part in enumerate(location):
        inside = isinstance(data, dict) and part in data
        inside |= isinstance(data, list) and isinstance(part, int)
        if inside:
            data = data[part]  # type: ignore[index]
        if inside or (lacking and index == len(location) - 1):
            keys.append(str(part))
    return ".".join(keys)


def _schema_at(schema: dict[str, Any], location: tuple[int | str, ...]) -> dict[str, Any]:
    """The part of a JSON schema that describes a location."""
    definitions, here = schema.get("$defs", {}), schema
    for part in (None, *location):
        if part is not None:
            mapping = here.get("discriminator", {}).get("mapping", {})
            here = (
                {"$ref": mapping[part]}
                if part in mapping
                else definitions.get(part)  # a branch that is named after its class
                or here.get("properties", {}).get(part)
                or here.get("additionalProperties")
                or here.get("items")
                or here
            )
        while "$ref" in here:
            here = definitions[here["$ref"].rsplit("/", 1)[1]]
    return here
