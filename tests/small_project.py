"""A whole limbeck project for tests: two tiny corpora, two teachers, two recipes, one seed."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import toys
from ruamel.yaml import YAML

ROOT = Path(__file__).parents[1]
DVC = [sys.executable, "-m", "dvc"]
CORPORA = ("en", "sv")

_TINY = {"kind": "bilstm", "words": 8, "characters": 4, "hidden": 8}
_TRAINING = {"epochs": 1, "batch_words": 64, "learning_rate": 1e-2}
_WEIGHTS = ({"kind": "annealed", "start": 0, "end": 1}, {"kind": "annealed", "start": 1, "end": 0})


def params() -> dict[str, Any]:
    """The sections of its params.yaml, for the caller to change."""
    sections = {
        "prepare": {"raw": "data/raw", "scheme": "bioes", "held_out": 0.1, "seed": 1},
        "corpora": {name: _corpus(name) for name in CORPORA},
        "teachers": {name: {"encoder": _TINY, "training": _TRAINING} for name in CORPORA},
        "ensembles": {},
        "score": {"part": 20},
        "extract": {"k": 3},
        "distill": _TRAINING,
        "recipes": {
            "gold": {"student": _TINY, "objectives": [{"kind": "gold"}]},
            "posterior": {
                "student": _TINY,
                "objectives": [
                    {"kind": "gold", "weight": _WEIGHTS[0]},
                    {"kind": "posterior", "weight": _WEIGHTS[1]},
                ],
                "transfer": "all",
            },
        },
        "grid": {
            "teachers": list(CORPORA),
            "ensembles": [],
            "recipes": ["gold", "posterior"],
            "seeds": [1],
        },
        "evaluate": {"samples": 100, "seed": 1},
        "variants": {"float32": {"kind": "float32"}, "int8": {"kind": "int8"}},
        "export": {
            "recipes": ["posterior"],
            "variants": ["float32", "int8"],
            "variant": "int8",
            "max_loss": 100.0,
            "license": None,
        },
        "speed": {"sentences": 8, "seconds": 0.1, "reference": None},
    }
    return json.loads(json.dumps(sections))  # nothing shared between two sections


def _corpus(name: str) -> dict[str, Any]:
    splits = {split: f"data/raw/{name}/{split}.conll" for split in ("train", "dev", "test")}
    return {**splits, "transfer": f"data/raw/{name}/transfer.txt", "teachers": [name]}


def write_params(folder: Path, sections: Mapping[str, Any]) -> None:
    with (folder / "params.yaml").open("w") as file:
        YAML().dump(dict(sections), file)


def write_raw(folder: Path) -> None:
    """The raw files of both corpora: labelled columns, and plain text for `transfer`."""
    for number, corpus in enumerate(CORPORA):
        place = folder / "data" / "raw" / corpus
        place.mkdir(parents=True, exist_ok=True)
        for offset, split in enumerate(("train", "dev", "test")):
            words, tags = toys.sentences(30 if split == "train" else 12, 10 * number + offset)
            (place / f"{split}.conll").write_text(_columns(words, tags))
        # Told apart from all that is labelled, so that none is dropped as a leak.
        words, _ = toys.sentences(12, 10 * number + 9)
        text = "".join(" ".join([f"{at}:", *row]) + "\n" for at, row in enumerate(words))
        (place / "transfer.txt").write_text(text)


def _columns(words: list[list[str]], tags: list[list[str]]) -> str:
    pairs = (zip(*rows, strict=True) for rows in zip(words, tags, strict=True))
    return "\n".join("".join(f"{word}\t{tag}\n" for word, tag in rows) for rows in pairs)


def write_inputs(folder: Path) -> Path:
    """Raw files and parameters, without code or DVC: enough for `limbeck` in that folder."""
    write_raw(folder)
    write_params(folder, params())
    return folder


def environment(place: Path) -> dict[str, str]:
    """Without anything of the user's own DVC and git; `limbeck` is on the path."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("DVC_")}
    folders = ("DVC_GLOBAL_CONFIG_DIR", "DVC_SYSTEM_CONFIG_DIR", "DVC_SITE_CACHE_DIR")
    people = {
        f"GIT_{who}_{what}": "t@example.org"
        for who in ("AUTHOR", "COMMITTER")
        for what in ("NAME", "EMAIL")
    }
    return (
        kept
        | people
        | {
            **{name: str(place / name) for name in folders},
            "DVC_NO_ANALYTICS": "1",
            "GIT_CONFIG_GLOBAL": os.devnull,
            "GIT_CONFIG_SYSTEM": os.devnull,
            "OMP_NUM_THREADS": "1",
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "SHELL": "/bin/sh",
        }
    )


def make_project(folder: Path, variables: Mapping[str, str]) -> Path:
    """A project of its own, code and all, under git and DVC; nothing has run in it yet."""
    for package in ("pipeline", "stages"):
        shutil.copytree(
            ROOT / package, folder / package, ignore=shutil.ignore_patterns("__pycache__")
        )
    for name in ("dvc.yaml", ".dvcignore", ".gitignore"):
        shutil.copy(ROOT / name, folder / name)
    (folder / "data" / "ensembles").mkdir(parents=True)
    shutil.copy(ROOT / "data/ensembles/README.md", folder / "data/ensembles")
    write_inputs(folder)
    quiet = {"cwd": folder, "env": dict(variables), "check": True, "capture_output": True}
    subprocess.run(["git", "init", "--quiet"], **quiet)
    subprocess.run([*DVC, "init", "--quiet"], **quiet)
    shutil.copytree(
        ROOT / ".dvc",
        folder / ".dvc",
        ignore=shutil.ignore_patterns("tmp", "cache", "config.local"),
        dirs_exist_ok=True,
    )
    subprocess.run(["git", "add", "--all"], **quiet)
    subprocess.run(["git", "commit", "--quiet", "--message", "all"], **quiet)
    return folder
