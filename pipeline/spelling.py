"""Vectors of words from their characters: a convolution, and its maximum over each word.

On a CPU a compiled kernel looks up what each character adds, some ten times as fast as a
convolution that multiplies it out anew at every place; other devices run the latter.
"""

from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from pipeline.kernels import spelling as kernel


def spell(
    words: Int[Tensor, "words longest"], character: nn.Embedding, convolution: nn.Conv1d
) -> Float[Tensor, "words width"]:
    """The maximum over the characters of each word; character 0 is padding and takes no part.

    So a word's vector does not depend on the words beside it.
    """
    if words.device.type != "cpu" or character.weight.dtype != torch.float32:
        convolved = convolution(character(words).transpose(1, 2))
        return convolved.masked_fill((words == 0).unsqueeze(1), -torch.inf).amax(dim=2)
    taps = convolution.weight.permute(1, 2, 0)
    table = character.weight @ taps.flatten(1)
    highest = _Highest.apply(words, table.unflatten(1, taps.shape[1:]))
    return highest + convolution.bias  # pyright: ignore[reportOperatorIssue]


class _Highest(torch.autograd.Function):
    """The maximum over places of what their characters and those beside them add up to."""

    @staticmethod
    def forward(
        ctx: Any, words: Int[Tensor, "words longest"], table: Float[Tensor, "characters taps width"]
    ) -> Float[Tensor, "words width"]:
        """`table`: what each character adds, by its distance."""
        highest = torch.empty(len(words), table.shape[2])
        places = torch.empty(highest.shape, dtype=torch.int32)
        ctx.words, ctx.places, ctx.shape = words.numpy(), places.numpy(), table.shape
        kernel.forward(ctx.words, table.detach().numpy(), highest.numpy(), ctx.places)
        return highest

    @staticmethod
    @once_differentiable
    def backward(  # pyright: ignore[reportIncompatibleMethodOverride]
        ctx: Any, given: Float[Tensor, "words width"]
    ) -> tuple[None, Float[Tensor, "characters taps width"]]:
        """The gradient of the table."""
        table = torch.zeros(ctx.shape)
        kernel.backward(ctx.words, ctx.places, given.contiguous().numpy(), table.numpy())
        return None, table
