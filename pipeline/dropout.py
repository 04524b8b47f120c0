"""Dropout that costs little beside a small network, also on a CPU, where PyTorch's own is slow."""

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from pipeline.kernels.dropout import drop

_ALL = 2**32


def dropped(x: Tensor, share: float) -> Tensor:
    """x with a share < 1 of its numbers set to zero and the others scaled up: the mean stays.

    Which ones is PyTorch's generator to say, that of the CPU or of the device.
    """
    if x.device.type != "cpu" or x.dtype != torch.float32 or share == 0:
        return nn.functional.dropout(x, share)
    start, stride = torch.randint(_ALL, (2,)).tolist()
    return _Dropped.apply(x, (np.uint32(start), np.uint32(stride | 1)), share)  # pyright: ignore[reportReturnType]


class _Dropped(torch.autograd.Function):
    """The same numbers of values and of gradients."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, seed: tuple[np.uint32, np.uint32], share: float) -> Tensor:
        ctx.seed, ctx.share = seed, share
        return _drop(x, seed, share)

    @staticmethod
    @once_differentiable
    def backward(  # pyright: ignore[reportIncompatibleMethodOverride]
        ctx: Any, given: Tensor
    ) -> tuple[Tensor, None, None]:
        return _drop(given, ctx.seed, ctx.share), None, None


def _drop(x: Tensor, seed: tuple[np.uint32, np.uint32], share: float) -> Tensor:
    out = torch.empty(x.shape)
    gone, scale = np.uint32(share * _ALL), np.float32(1 / (1 - share))
    drop(x.detach().reshape(-1).numpy(), *seed, gone, scale, out.view(-1).numpy())
    return out
