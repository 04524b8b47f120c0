"""Benchmarks start: what they measure is theirs, but code that moves must not leave them behind."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
# The others need peers that `make -C benchmarks` installs.
SCRIPTS = {
    "encodings": "--sentences 60 --rounds 1",
    "scoring": "--sentences 6 --rounds 1",
    "extraction": "--sentences 60 --rounds 1",
}
HELPFUL = ("epoch", "students", "gpu")


def run(script: str, options: str) -> str:
    command = [sys.executable, f"benchmarks/{script}.py", *options.split()]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


@pytest.mark.parametrize("script", [*SCRIPTS, *HELPFUL])
def test_a_benchmark_says_what_it_does(script: str):
    assert "usage:" in run(script, "--help")


@pytest.mark.slow
@pytest.mark.parametrize("script", SCRIPTS)
def test_a_benchmark_prints_a_table(script: str):
    assert "|--:|" in run(script, SCRIPTS[script])
