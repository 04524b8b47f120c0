"""Parent death where no Python thread can look, and no effect where no DVC is about."""

import subprocess
import sys
import time
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="needs the kernel's death signal")

PARENT = """
import subprocess, sys
child = [sys.executable, "-c", sys.argv[1]]
subprocess.run(child, env={"DVC_STAGE": "train", "PYTHONPATH": sys.argv[2]})
"""
# PyDLL keeps the interpreter's lock during the call, as a long kernel in an extension may.
DEAF_CHILD = """
import ctypes
from pipeline.running.lifeline import die_with_parent
die_with_parent()
print("ready", flush=True)
ctypes.PyDLL(None).sleep(20)
"""
CHILD_BY_HAND = """
import os
from pipeline.running.lifeline import die_with_parent
del os.environ["DVC_STAGE"]
die_with_parent()
print("ready", flush=True)
__import__("time").sleep(2)
print("survived", flush=True)
"""


def orphan(child: str) -> tuple[str, float]:
    """Kills its parent once it is ready: what it says after that, and the seconds it lives."""
    command = [sys.executable, "-c", PARENT, child, str(Path(__file__).parents[1])]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        assert parent.stdout.readline() == "ready\n"
        parent.kill()
        begun = time.monotonic()
        said = parent.stdout.read()  # ends with the child, who shares the pipe
    return said, time.monotonic() - begun


def test_a_process_deep_in_a_call_dies_with_its_parent():
    said, seconds = orphan(DEAF_CHILD)
    assert said == ""
    assert seconds < 10


def test_what_was_typed_by_hand_outlives_its_parent():
    said, _ = orphan(CHILD_BY_HAND)
    assert said == "survived\n"
