"""What lies in a tagger's folder beside its encoder: `tagger.json`, and the weights."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeAlias

from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from pipeline.errors import InputError
from pipeline.tags import Scheme

Head: TypeAlias = Literal["crf", "softmax"]
"""crf: learnt transitions, those that the scheme forbids at -inf; softmax: all of them zero."""


@dataclass(frozen=True)
class Description:
    """What `tagger.json` says: enough to build the tagger whose weights lie beside it."""

    encoder: dict[str, Any]
    head: Head
    tags: tuple[str, ...]
    scheme: Scheme


def read_weights(folder: Path) -> dict[str, Tensor]:
    """The tensors of a tagger; InputError where the file is missing or cut short."""
    path = folder / "weights.safetensors"
    try:
        return load_file(path)
    except FileNotFoundError:
        raise InputError(
            f"{path}: expected the weights of a tagger, found no file; "
            "run the stage that writes this folder again"
        ) from None
    except SafetensorError as error:
        raise InputError(
            f"{path}: expected a whole safetensors file, found a damaged one ({error}); "
            "run the stage that writes this folder again"
        ) from None


def read_description(folder: Path) -> Description:
    """`tagger.json` of a tagger's folder; InputError where it is missing or damaged."""
    path = folder / "tagger.json"
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        return Description(data["encoder"], data["head"], tuple(data["tags"]), data["scheme"])
    except FileNotFoundError:
        raise InputError(
            f"{path}: expected the description of a tagger, found no file; "
            "run the stage that writes this folder first"
        ) from None
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(f"{path}: expected the description of a tagger, found {error!r}") from None
