"""AdamW after clipping: a compiled pass over each weight on a CPU, PyTorch's own elsewhere."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from pipeline.kernels import adamw as kernel


class AdamW(torch.optim.AdamW):
    """PyTorch's AdamW, its state included, with gradients clipped to a norm in the same step.

    `groups` as for PyTorch: `params`, `lr`, `weight_decay`. Sources: Loshchilov and Hutter 2019;
    Pascanu et al. 2013 for the clipping.
    """

    def __init__(self, groups: Sequence[dict[str, Any]], clip: float) -> None:
        super().__init__(groups, fused=True)
        self._clip = clip

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # pyright: ignore[reportIncompatibleMethodOverride]
        """One step by the gradients that there are."""
        learnt = [
            (weight, group)
            for group in self.param_groups
            for weight in group["params"]
            if weight.grad is not None
        ]
        if all(_is_plain(weight) for weight, _ in learnt):
            self._step(learnt)
        else:
            nn.utils.clip_grad_norm_([weight for weight, _ in learnt], self._clip)
            super().step()

    def _step(self, learnt: Sequence[tuple[Tensor, dict[str, Any]]]) -> None:
        states = [self._state(weight) for weight, _ in learnt]
        torch._foreach_add_([state["step"] for state in states], 1)
        tensors = [
            (weight.grad, weight, state["exp_avg"], state["exp_avg_sq"])
            for (weight, _), state in zip(learnt, states, strict=True)
        ]
        addresses = np.array([[t.data_ptr() for t in row] for row in zip(*tensors, strict=True)])
        sizes = np.array([weight.numel() for weight, _ in learnt])
        norm = math.sqrt(kernel.squares(addresses[0], sizes))
        clipped = min(1.0, self._clip / (norm + 1e-6))
        factors = [
            _factors(int(state["step"]), group, clipped)
            for (_, group), state in zip(learnt, states, strict=True)
        ]
        kernel.step(addresses, sizes, np.array(factors, dtype=np.float32))

    def _state(self, weight: Tensor) -> dict[str, Tensor]:
        """The moments of a weight, zero before its first step."""
        state = self.state[weight]
        if not state:
            state["step"] = torch.zeros(())
            state["exp_avg"], state["exp_avg_sq"] = (torch.zeros_like(weight) for _ in range(2))
        return state


def _is_plain(weight: Tensor) -> bool:
    """Whether the weight and its gradient are rows of float32 on a CPU."""
    return all(
        x is not None and x.device.type == "cpu" and x.dtype == torch.float32 and x.is_contiguous()
        for x in (weight, weight.grad)
    )


def _factors(steps: int, group: dict[str, Any], clipped: float) -> tuple[float, ...]:
    """What the kernel multiplies by, and its epsilon.

    m / (1 - slow^t) over sqrt(v / (1 - slower^t)) + epsilon, both corrections taken outside.
    """
    (slow, slower), rate = group["betas"], group["lr"]
    second = math.sqrt(1 - slower**steps)
    kept, pace = 1 - rate * group["weight_decay"], rate * second / (1 - slow**steps)
    return clipped, kept, slow, slower, pace, group["eps"] * second
