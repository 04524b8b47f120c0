"""The GPU's functions of arrays, here or in a process where Triton interprets its programs.

Triton reads TRITON_INTERPRET when it is imported, so a process of its own keeps that from leaking.
"""

import os
import warnings
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import numpy as np


def process() -> ProcessPoolExecutor:
    """For what follows to run in, on the CPU."""
    return ProcessPoolExecutor(1, mp_context=get_context("spawn"), initializer=_begin)


def call(device: str, name: str, *arguments: np.ndarray | tuple[np.ndarray, ...]):
    """A function of `pipeline.kernels.gpu`; a tuple of arrays stands for its `Pass`."""
    from pipeline.kernels import gpu

    tensors = (
        gpu.Pass(*_tensors(device, x)) if isinstance(x, tuple) else _tensors(device, [x])[0]
        for x in arguments
    )
    found = getattr(gpu, name)(*tensors)
    return (
        tuple(x.cpu().numpy() for x in found) if isinstance(found, tuple) else found.cpu().numpy()
    )


def differentiate(device: str, name: str, *arguments: np.ndarray) -> list[np.ndarray]:
    """Of a function of `pipeline.kernels.on_gpu`: its value, and the gradients of Σ weight · value.

    Arguments: emissions, transitions, start, end, lengths, weights, and if it is asked for, gold.
    """
    import torch

    from pipeline.kernels import on_gpu

    *scores, lengths, weights = _tensors(device, arguments[:6])
    gold = dict(zip(["gold"], _tensors(device, arguments[6:]), strict=False))
    scores = [x.requires_grad_() for x in scores]
    value, exact = getattr(on_gpu, name)(*scores, lengths=lengths, **gold)
    total = torch.where(weights != 0, weights * value, 0.0).sum()
    return [x.detach().cpu().numpy() for x in (value, exact, *torch.autograd.grad(total, scores))]


def _tensors(device, arrays):
    import torch

    return [torch.from_numpy(x).to(device) for x in arrays]


def _begin() -> None:
    os.environ["TRITON_INTERPRET"] = "1"
    from jaxtyping import install_import_hook

    install_import_hook("pipeline", "beartype.beartype")
    import pipeline.kernels.programs  # noqa: F401

    warnings.simplefilter("error")
