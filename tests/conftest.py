"""What every test runs under: shapes and types checked at each call, the same examples each run."""

from hypothesis import settings
from jaxtyping import install_import_hook

install_import_hook("pipeline", "beartype.beartype")

settings.register_profile("limbeck", deadline=None, derandomize=True, database=None)
settings.load_profile("limbeck")
