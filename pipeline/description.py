"""What lies in a tagger's folder beside its encoder: `tagger.json`, and the weights."""

import json
from dataclasses import asdict, dataclass
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


def write_description(folder: Path, description: Description) -> None:
    """Write `tagger.json`; equal descriptions give equal bytes."""
    text = json.dumps(asdict(description), ensure_ascii=False, indent=1, sort_keys=True)
    (folder / "tagger.json").write_text(text + "\n", encoding="utf-8")


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


def weights_of(folder: Path) -> int:
    """How many numbers are stored as a tagger's weights; of an ensemble, those of its members."""
    members = read_description(folder).encoder.get("parameters", 0)
    return members + sum(tensor.numel() for tensor in read_weights(folder).values())


def size_of(folder: Path) -> int:
    """Bytes of the files of a tagger that tagging needs; of an ensemble, its members' too."""
    files = (path for path in folder.rglob("*") if path.is_file() and path.name != "curve.csv")
    members = read_description(folder).encoder.get("bytes", 0)
    return members + sum(path.stat().st_size for path in files)
