"""Characters looked up are characters convolved, and padding takes no part."""

import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from pipeline.spelling import spell

KINDS = 9
WORDS = st.lists(
    st.lists(st.integers(1, KINDS - 1), min_size=1, max_size=6), min_size=0, max_size=6
)


def modules() -> tuple[nn.Embedding, nn.Conv1d]:
    torch.manual_seed(0)
    return nn.Embedding(KINDS, 4, padding_idx=0), nn.Conv1d(4, 5, kernel_size=3, padding=1)


def padded(words: list[list[int]], longest: int) -> Tensor:
    rows = [[*word, *[0] * (longest - len(word))] for word in words]
    return torch.tensor(rows, dtype=torch.int64).view(len(words), longest)


def gradients(words: Tensor, character: nn.Embedding, convolution: nn.Conv1d) -> list[Tensor]:
    out = spell(words, character, convolution)
    weights = torch.linspace(-1, 1, out.numel()).view(out.shape).to(out.dtype)
    learnt = [*character.parameters(), *convolution.parameters()]
    return [out, *torch.autograd.grad((out * weights).sum(), learnt)]


@given(WORDS)
def test_looked_up_is_convolved(words):
    character, convolution = modules()
    spelled = padded(words, 6)
    found = gradients(spelled, character, convolution)
    plainly = gradients(spelled, character.double(), convolution.double())
    for one, other in zip(found, plainly, strict=True):
        torch.testing.assert_close(one.double(), other, atol=1e-5, rtol=1e-5)


@given(WORDS)
def test_padding_and_small_numbers_change_nothing(words):
    character, convolution = modules()
    longest = max(map(len, words), default=1)
    few = gradients(padded(words, longest).int(), character, convolution)
    many = gradients(padded(words, longest + 3), character, convolution)
    assert all(torch.equal(one, other) for one, other in zip(few, many, strict=True))


def test_padding_learns_nothing():
    character, convolution = modules()
    _, table, *_ = gradients(padded([[1, 2], [3]], 4), character, convolution)
    assert (table[0] == 0).all()
