"""The LSTM over ragged sentences is PyTorch's over packed ones, in value and in gradient."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from pipeline.kernels.recurrence import bilstm

RAGGED = [5, 1, 3, 5]


def made(width: int, hidden: int, layers: int = 1, seed: int = 0) -> nn.LSTM:
    torch.manual_seed(seed)
    return nn.LSTM(width, hidden, num_layers=layers, bidirectional=True, batch_first=True)


def sentences(lengths: list[int], width: int, seed: int = 1) -> tuple[Tensor, Tensor]:
    """Inputs, NaN at padding."""
    x = torch.randn(
        len(lengths), max(lengths), width, generator=torch.Generator().manual_seed(seed)
    )
    counts = torch.tensor(lengths)
    x[torch.arange(max(lengths)) >= counts[:, None]] = torch.nan
    return x.requires_grad_(), counts


def one_by_one(lstm: nn.LSTM, x: Tensor, lengths: Tensor) -> Tensor:
    """PyTorch's, a sentence at a time, zero at padding."""
    rows = [
        nn.functional.pad(lstm(row[None, :n])[0][0], (0, 0, 0, x.shape[1] - n))
        for row, n in zip(x, lengths.tolist(), strict=True)
    ]
    return torch.stack(rows)


def gradients(lstm: nn.LSTM, x: Tensor, out: Tensor) -> list[Tensor]:
    weights = torch.randn(out.shape, generator=torch.Generator().manual_seed(2))
    return list(torch.autograd.grad((out * weights).sum(), [x, *lstm.parameters()]))


@given(
    st.lists(st.integers(1, 6), min_size=1, max_size=5),
    st.integers(1, 40),
    st.integers(1, 20),
    st.integers(1, 2),
)
def test_it_is_pytorchs_sentence_by_sentence(lengths, width, hidden, layers):
    lstm = made(width, hidden, layers)
    x, counts = sentences(lengths, width)
    out, expected = bilstm(lstm, x, counts), one_by_one(lstm, x, counts)
    torch.testing.assert_close(out, expected, atol=1e-6, rtol=1e-5)
    found, wanted = gradients(lstm, x, out), gradients(lstm, x, expected)
    for one, other in zip(found, wanted, strict=True):
        torch.testing.assert_close(one, other, atol=1e-5, rtol=1e-4)


def test_extreme_inputs_stay_exact():
    lstm = made(3, 4)
    x = torch.tensor([[[1e4, -1e4, 0.0], [-300.0, 80.0, 90.0], [0.0, 0.0, 1e-30]]])
    lengths = torch.tensor([3])
    torch.testing.assert_close(bilstm(lstm, x, lengths), one_by_one(lstm, x, lengths))


def test_nothing_is_kept_where_no_gradient_is_wanted():
    lstm = made(7, 5, layers=2)
    x, lengths = sentences(RAGGED, 7)
    with torch.no_grad():
        without = bilstm(lstm, x, lengths)
    assert torch.equal(without, bilstm(lstm, x, lengths))
    assert not without.requires_grad


def test_other_types_take_pytorchs_way():
    lstm = made(7, 5).double()
    x, lengths = sentences(RAGGED, 7)
    x = x.detach().nan_to_num().double()
    torch.testing.assert_close(bilstm(lstm, x, lengths), one_by_one(lstm, x, lengths))


def test_the_same_bytes_twice():
    lstm = made(30, 16)
    x, lengths = sentences(RAGGED, 30)
    first, second = (gradients(lstm, x, bilstm(lstm, x, lengths)) for _ in range(2))
    assert all(torch.equal(one, other) for one, other in zip(first, second, strict=True))


def test_a_way_back_is_taken_once():
    lstm = made(3, 2)
    x, lengths = sentences([2], 3)
    total = bilstm(lstm, x, lengths).sum()
    total.backward(retain_graph=True)
    with pytest.raises(RuntimeError, match="second time"):
        total.backward()


def test_layers_drop_between_them_in_training_alone():
    lstm = nn.LSTM(3, 8, num_layers=2, dropout=0.5, bidirectional=True, batch_first=True)
    x, lengths = sentences(RAGGED, 3)
    assert not torch.equal(bilstm(lstm, x, lengths), bilstm(lstm, x, lengths))
    lstm.eval()
    assert torch.equal(bilstm(lstm, x, lengths), bilstm(lstm, x, lengths))
