"""What every test runs under: shapes and types checked at each call, the same examples each run."""

from collections.abc import Iterator

import pytest
from hypothesis import settings
from jaxtyping import config, install_import_hook

install_import_hook("pipeline", "beartype.beartype")

settings.register_profile("limbeck", deadline=None, derandomize=True, database=None)
settings.load_profile("limbeck")


@pytest.fixture
def unchecked() -> Iterator[None]:
    """No checks at calls: for tests of what users, who have none, are told of wrong arguments."""
    config.update("jaxtyping_disable", True)
    yield
    config.update("jaxtyping_disable", False)
