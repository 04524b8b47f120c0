"""Overlays: an experiment's sections laid over params.yaml, comments and order kept."""

import io
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap
from ruamel.yaml.error import MarkedYAMLError

from pipeline.errors import InputError

REPLACED = ("corpora", "teachers", "ensembles", "recipes")
"""Sections of named entries: an experiment's take the place of all that stood there."""


def overlaid(base: Path, experiment: Path) -> str:
    """The text of `base` with the sections of `experiment` in it.

    Sections in REPLACED are replaced whole, of the others only the keys that the experiment names.
    Raises InputError where either is not a mapping of sections.
    """
    result, over = _read(base), _read(experiment)
    for section, content in over.items():
        here = result.get(section)
        if section in REPLACED or not isinstance(here, dict) or not isinstance(content, dict):
            result[section] = content
        else:
            here.update(content)
    written = io.StringIO()
    _yaml().dump(result, written)
    return written.getvalue()


def _yaml() -> YAML:
    yaml = YAML(typ="rt")
    yaml.preserve_quotes = True
    yaml.width = 100
    yaml.indent(mapping=2, sequence=4, offset=2)
    return yaml


def _read(path: Path) -> CommentedMap:
    try:
        data: Any = _yaml().load(path)
    except FileNotFoundError:
        raise InputError(f"{path}: expected a YAML file, found none") from None
    except (MarkedYAMLError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: expected YAML 1.2: {error}") from None
    if not isinstance(data, CommentedMap):
        raise InputError(f"{path}: expected a mapping of sections, found {type(data).__name__}")
    return data
