"""What every test runs under: shapes and types checked at each call, the same examples each run."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings
from jaxtyping import config, install_import_hook

ROOT = Path(__file__).parents[1]


def checkable() -> list[str]:
    """The library's modules but those that are compiled, whose functions must stay as written."""
    sources = {path.relative_to(ROOT): path.read_text() for path in ROOT.glob("pipeline/**/*.py")}
    compiled = ("from numba import", "from pipeline.kernels.vectors import", "import triton")
    return [
        ".".join(path.with_suffix("").parts)
        for path, source in sources.items()
        if path.stem != "__init__" and not any(line in source for line in compiled)
    ]


install_import_hook(checkable(), "beartype.beartype")

settings.register_profile("limbeck", deadline=None, derandomize=True, database=None)
settings.load_profile("limbeck")


@pytest.fixture
def unchecked() -> Iterator[None]:
    """No checks at calls: for tests of what users, who have none, are told of wrong arguments."""
    config.update("jaxtyping_disable", True)
    yield
    config.update("jaxtyping_disable", False)
