"""How many threads compute shows in no bit of a student."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from pipeline.device import one_thread
from pipeline.reduction import axes

WEIGH = """
import hashlib
import torch
from pipeline import device
from pipeline.lattice import nll
from pipeline.networks import BiLSTM
from pipeline.students import CNN, Window, new_student
from tests import toys

words = [[word for part in toys.sentences(9, seed)[0] for word in part] for seed in range(40)]
for student in (BiLSTM(), CNN(), Window()):
    found = set()
    for threads in (1, 2, 8):
        torch.set_num_threads(threads)
        device.sow(torch.device("cpu"), 1)
        tagger = new_student(student, words, toys.TAGS, "iob2", "crf")
        lattice = tagger(tagger.encoder.inputs(words))
        nll(lattice, torch.zeros_like(lattice.mask, dtype=torch.int64)).mean().backward()
        bits = hashlib.sha256()
        for weight in tagger.parameters():
            bits.update(weight.grad.numpy().tobytes())
        found.add(bits.hexdigest())
    print(student.kind, len(found))
"""


def weighed() -> str:
    """What a fresh process prints: PyTorch multiplies nothing there before us."""
    clean = {name: value for name, value in os.environ.items() if name != "MKL_CBWR"}
    run = subprocess.run(
        [sys.executable, "-c", WEIGH],
        env=clean,
        cwd=Path(__file__).parents[1],
        capture_output=True,
        text=True,
        check=True,
    )
    return run.stdout


@pytest.mark.skipif(not torch.backends.mkl.is_available(), reason="needs MKL's products")
def test_gradients_do_not_depend_on_the_number_of_threads():
    assert weighed() == "bilstm 1\ncnn 1\nwindow 1\n"


def test_axes_do_not_depend_on_the_number_of_threads():
    table, found = torch.randn(2000, 300), []
    before = torch.get_num_threads()
    try:
        for threads in (1, 2, 8):
            torch.set_num_threads(threads)
            with one_thread():
                assert torch.get_num_threads() == 1
            assert torch.get_num_threads() == threads
            found.append(axes(table, 40))
    finally:
        torch.set_num_threads(before)
    assert torch.equal(found[0], found[2])
    assert torch.equal(found[0], found[1])
