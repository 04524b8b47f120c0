"""The compiled step is PyTorch's clipping and PyTorch's AdamW."""

from copy import deepcopy
from typing import Any

import pytest
import torch
from torch import nn

from pipeline.optimiser import AdamW

SHAPES = [(7, 5), (5,), (2, 3, 4), (1,)]


def weights() -> list[nn.Parameter]:
    random = torch.Generator().manual_seed(0)
    return [nn.Parameter(torch.randn(shape, generator=random)) for shape in SHAPES]


def groups(of: list[nn.Parameter]) -> list[dict[str, Any]]:
    return [
        {"params": of[:2], "lr": 0.01, "weight_decay": 0.1},
        {"params": of[2:], "lr": 0.03, "weight_decay": 0.0},
    ]


def slope(of: list[nn.Parameter], seed: int, scale: float = 1.0) -> None:
    random = torch.Generator().manual_seed(seed)
    for weight in of:
        weight.grad = scale * torch.randn(weight.shape, generator=random)


@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e3])
def test_it_steps_as_pytorch_does(scale: float):
    own, theirs = weights(), weights()
    one, other = AdamW(groups(own), clip=2.0), torch.optim.AdamW(groups(theirs))
    for seed in range(20):
        for of in (own, theirs):
            slope(of, seed, scale)
        nn.utils.clip_grad_norm_(theirs, 2.0)
        for optimiser in (one, other):
            optimiser.param_groups[0]["lr"] = 0.01 * (seed + 1)
            optimiser.step()
    for found, expected in zip(own, theirs, strict=True):
        torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-4)


def test_what_has_no_gradient_stays():
    own = weights()
    slope(own, 1)
    own[2].grad = None
    AdamW(groups(own), clip=1.0).step()
    assert torch.equal(own[2], weights()[2])
    assert not torch.equal(own[3], weights()[3])


def test_a_state_goes_on_elsewhere_to_the_same_bytes():
    own, later = weights(), weights()
    one = AdamW(groups(own), clip=1.0)
    for seed in range(3):
        slope(own, seed)
        one.step()
    other = AdamW(groups(later), clip=1.0)
    slope(later, 9)
    other.step()  # what it has seen itself does not count any more
    other.load_state_dict(deepcopy(one.state_dict()))
    with torch.no_grad():
        for weight, kept in zip(later, own, strict=True):
            weight.copy_(kept)
    for optimiser, of in ((one, own), (other, later)):
        slope(of, 4)
        optimiser.step()
    for found, expected in zip(later, own, strict=True):
        assert torch.equal(found, expected)
