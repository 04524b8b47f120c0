"""Dropout drops the share that it should, anywhere, and its gradient the same numbers."""

import pytest
import torch

from pipeline.dropout import dropped

MANY = 200_000


@pytest.mark.parametrize("share", [0.1, 0.3, 0.5, 0.99])
def test_the_share_is_dropped_and_the_mean_stays(share: float):
    torch.manual_seed(0)
    out = dropped(torch.ones(MANY), share)
    kept = out[out != 0]
    spread = (share * (1 - share) / MANY) ** 0.5
    assert abs((out == 0).float().mean() - share) < 5 * spread
    torch.testing.assert_close(kept, torch.full_like(kept, 1 / (1 - share)))


def test_nothing_may_be_dropped():
    x = torch.randn(3, 4)
    assert torch.equal(dropped(x, 0.0), x)


def test_values_and_gradients_share_their_fate():
    x = torch.randn(7, 11, 13, requires_grad=True)
    out = dropped(x, 0.4)
    out.backward(torch.ones_like(x))
    assert x.grad is not None
    torch.testing.assert_close(out, x * x.grad)


def test_the_generator_decides():
    def drawn(seed: int) -> torch.Tensor:
        torch.manual_seed(seed)
        return torch.stack([dropped(torch.ones(1000), 0.3) for _ in range(2)])

    assert torch.equal(drawn(1), drawn(1))
    assert not torch.equal(drawn(1)[0], drawn(1)[1])
    assert not torch.equal(drawn(1), drawn(2))


def test_neither_neighbours_nor_draws_know_of_each_other():
    torch.manual_seed(3)
    one, other = (dropped(torch.ones(MANY), 0.3) - 1 for _ in range(2))
    pairs = [(one, other), *((one[lag:], one[:-lag]) for lag in (1, 2, 16, 104, 192))]
    for left, right in pairs:
        assert abs(torch.corrcoef(torch.stack([left, right]))[0, 1]) < 5 / MANY**0.5


def test_other_types_take_pytorchs_way():
    out = dropped(torch.ones(1000, dtype=torch.float64), 0.5)
    assert set(out.tolist()) == {0.0, 2.0}


def test_parts_of_larger_tensors_are_read_as_they_stand():
    torch.manual_seed(4)
    part = dropped(torch.arange(1.0, 13.0).view(3, 4).T, 0.5)
    torch.manual_seed(4)
    whole = dropped(torch.arange(1.0, 13.0).view(3, 4).T.contiguous(), 0.5)
    assert torch.equal(part, whole)
