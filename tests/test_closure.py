"""Closures: what counts as an import, and what never counts."""

import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.running.closure import closure, is_beside

ROOT = Path(__file__).parents[1]
TREE = {
    "pipeline/__init__.py": '"""Only words."""',
    "pipeline/tags.py": "import json\n",
    "pipeline/lattice.py": "from pipeline.tags import schemes\n",
    "pipeline/deep/__init__.py": '"""Only words."""',
    "pipeline/deep/cpu.py": "from . import gpu\nfrom ..tags import schemes\n",
    "pipeline/deep/gpu.py": "",
    "pipeline/busy/__init__.py": "from pipeline import tags\n",
    "pipeline/busy/bee.py": "",
    "pipeline/running/progress.py": "",
    "pipeline/ring.py": "import pipeline.stone\n",
    "pipeline/stone.py": "import pipeline.ring\n",
    "stages/__init__.py": '"""Only words."""',
    "stages/params.py": "import pipeline.lattice\n",
    "stages/cli.py": "import stages.train\n",
    "elsewhere.py": "",
}


def imports(root: Path, source: str) -> set[str]:
    """What a stage of this source depends on, itself apart."""
    for name, text in (TREE | {"stages/train.py": source}).items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    found = {path.relative_to(root).as_posix() for path in closure(Path("stages/train.py"), root)}
    return found - {"stages/train.py"}


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("import torch, json, elsewhere", set()),
        ("import pipeline.tags", {"pipeline/tags.py"}),
        (
            "import pipeline.tags as t, pipeline.lattice",
            {"pipeline/tags.py", "pipeline/lattice.py"},
        ),
        ("from pipeline import tags", {"pipeline/tags.py"}),
        ("from pipeline.lattice import Lattice", {"pipeline/lattice.py", "pipeline/tags.py"}),
        ("from pipeline.lattice import *", {"pipeline/lattice.py", "pipeline/tags.py"}),
        ("def run():\n    import pipeline.tags", {"pipeline/tags.py"}),
        ("try:\n    import pipeline.tags\nexcept ImportError: pass", {"pipeline/tags.py"}),
        ("from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import pipeline.tags", set()),
        (
            "import typing\nif typing.TYPE_CHECKING:\n    import pipeline.deep.gpu\n"
            "else:\n    import pipeline.tags",
            {"pipeline/tags.py"},
        ),
        (
            "from pipeline.deep import cpu",
            {"pipeline/deep/cpu.py", "pipeline/deep/gpu.py", "pipeline/tags.py"},
        ),
        (
            "import pipeline.busy.bee",
            {"pipeline/busy/__init__.py", "pipeline/busy/bee.py", "pipeline/tags.py"},
        ),
        ("import pipeline.ring", {"pipeline/ring.py", "pipeline/stone.py"}),
        (
            "from stages import params\nfrom stages.cli import main\n"
            "import pipeline.running.progress",
            set(),
        ),
        ("from pipeline.nowhere import thing", set()),
    ],
)
def test_what_counts_as_an_import(tmp_path, source, expected):
    assert imports(tmp_path, source) == expected


def test_the_module_itself_is_in_its_closure_and_all_are_sorted(tmp_path):
    imports(tmp_path, "from pipeline.lattice import Lattice")
    names = [path.relative_to(tmp_path) for path in closure(Path("stages/train.py"), tmp_path)]
    assert names == sorted(names)
    assert Path("stages/train.py") in names


def test_relative_roots_give_relative_paths(tmp_path, monkeypatch):
    imports(tmp_path, "import pipeline.tags")
    monkeypatch.chdir(tmp_path)
    expected = [Path("pipeline/tags.py"), Path("stages/train.py")]
    assert closure(Path("stages/train.py"), Path()) == expected


@pytest.mark.parametrize("module", ["extraction", "corpus"])
def test_what_python_imports_is_in_the_closure(module):
    """On the project itself: all that an import really loads was found in the source."""
    modules = "[name for name, module in sys.modules.items() if not hasattr(module, '__path__')]"
    script = f"import sys, pipeline.{module}; print(*{modules})"
    run = [sys.executable, "-c", script]
    loaded = subprocess.run(
        run, cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.split()
    names = {f"{name.replace('.', '/')}.py" for name in loaded if name.startswith("pipeline.")}
    found = {path.as_posix() for path in closure(Path(f"pipeline/{module}.py"), ROOT)}
    assert {str(ROOT / name) for name in names if not is_beside(Path(name))} <= found
