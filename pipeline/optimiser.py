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
        self._views: dict[Tensor, tuple[np.ndarray, ...]] = {}

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # pyright: ignore[reportIncompatibleMethodOverride]
        """One step by the gradients that there are."""
        learnt = [
            (weight, group)
            for group in self.param_groups
            for weight in group["params"]
            if weight.grad is not None
        ]
        if any(weight.device.type != "cpu" for weight, _ in learnt):
            nn.utils.clip_grad_norm_([weight for weight, _ in learnt], self._clip)
            super().step()
            return
        gradients = [weight.grad.reshape(-1).numpy() for weight, _ in learnt]
        norm = math.sqrt(sum(map(kernel.squares, gradients)))
        clipped = min(1.0, self._clip / (norm + 1e-6))
        for (weight, group), gradient in zip(learnt, gradients, strict=True):
            array, first, second, steps = self._views.get(weight) or self._seen(weight)
            steps += 1
            factors = _factors(int(steps), group, clipped)
            kernel.update(array, gradient, first, second, *factors)

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on from another's state."""
        super().load_state_dict(state_dict)
        self._views.clear()

    def _seen(self, weight: Tensor) -> tuple[np.ndarray, ...]:
        """A weight, its moments and its steps as arrays; to ask anew costs as much as a pass."""
        state = self.state[weight]
        if not state:
            state["step"] = torch.zeros(())
            state["exp_avg"], state["exp_avg_sq"] = (torch.zeros_like(weight) for _ in range(2))
        moments = (state["exp_avg"], state["exp_avg_sq"])
        arrays = (tensor.detach().view(-1).numpy() for tensor in (weight, *moments))
        self._views[weight] = (*arrays, state["step"].numpy())
        return self._views[weight]


def _factors(steps: int, group: dict[str, Any], clipped: float) -> tuple[np.ndarray, np.float32]:
    """What the kernel multiplies by, and epsilon.

    m / (1 - slow^t) over sqrt(v / (1 - slower^t)) + epsilon, both corrections taken outside.
    """
    (slow, slower), rate = group["betas"], group["lr"]
    second = math.sqrt(1 - slower**steps)
    numbers = (
        clipped,
        1 - rate * group["weight_decay"],
        slow,
        slower,
        rate * second / (1 - slow**steps),
    )
    return np.array(numbers, dtype=np.float32), np.float32(group["eps"] * second)
