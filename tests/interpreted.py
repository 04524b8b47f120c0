"""A process where Triton interprets its programs: what stands in for a GPU where there is none.

Triton reads TRITON_INTERPRET when it is imported, so a process of its own keeps that from leaking.
"""

import os
import warnings
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import numpy as np


def process() -> ProcessPoolExecutor:
    """For `call` to run in."""
    return ProcessPoolExecutor(1, mp_context=get_context("spawn"), initializer=_begin)


def call(name: str, *arguments: np.ndarray | tuple[np.ndarray, ...]):
    """A function of `pipeline.kernels.gpu`, of arrays; a tuple of arrays stands for a `Pass`."""
    import torch

    from pipeline.kernels import gpu

    tensors = (
        gpu.Pass(*map(torch.from_numpy, x)) if isinstance(x, tuple) else torch.from_numpy(x)
        for x in arguments
    )
    found = getattr(gpu, name)(*tensors)
    return tuple(x.numpy() for x in found) if isinstance(found, tuple) else found.numpy()


def _begin() -> None:
    os.environ["TRITON_INTERPRET"] = "1"
    from jaxtyping import install_import_hook

    install_import_hook("pipeline", "beartype.beartype")
    import pipeline.kernels.programs  # noqa: F401

    warnings.simplefilter("error")
