"""A bidirectional LSTM over sentences of any length: padding neither computes nor counts.

On a CPU each step is one product of matrices a direction and one call of a compiled kernel, with
the gradient written out: PyTorch's own way over packed sentences takes about twice as long. It is
what other devices run.
"""

from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from pipeline.kernels import lstm as kernel

_LANES = 16
"""Columns of matrices come in multiples of these: one vector of the widest instructions."""


def bilstm(
    lstm: nn.LSTM, x: Float[Tensor, "batch words width"], lengths: Int[Tensor, " batch"]
) -> Float[Tensor, "batch words wide"]:
    """The hidden states of the last layer, forward and backward at each word; zero at padding."""
    if x.device.type != "cpu" or x.dtype != torch.float32:
        return _packed(lstm, x, lengths)
    for layer in range(lstm.num_layers):
        weights = [
            getattr(lstm, f"{name}_l{layer}{side}")
            for side in ("", "_reverse")
            for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
        ]
        x = nn.functional.dropout(x, lstm.dropout, lstm.training and layer > 0)
        x = _Layer.apply(x, lengths, torch.is_grad_enabled(), *weights)  # pyright: ignore[reportAssignmentType]
    return x


def _packed(lstm: nn.LSTM, x: Tensor, lengths: Tensor) -> Tensor:
    packed = pack_padded_sequence(x, lengths.cpu(), batch_first=True, enforce_sorted=False)
    return pad_packed_sequence(lstm(packed)[0], batch_first=True, total_length=x.shape[1])[0]


class _Layer(torch.autograd.Function):
    """One layer in both directions; tables as kernels/lstm.py has them."""

    @staticmethod
    def forward(
        ctx: Any,
        x: Float[Tensor, "batch words width"],
        lengths: Int[Tensor, " batch"],
        kept: bool,
        *weights: Tensor,
    ) -> Float[Tensor, "batch words wide"]:
        """`weights`: those of `nn.LSTM` for one layer, all of one direction before the other's.

        Without `kept` a step overwrites what the last one left, and there is no way back.
        """
        (batch, words, width), hidden = x.shape, weights[1].shape[1]
        columns, steps = -(-(width + 1 + hidden) // _LANES) * _LANES, words if kept else 1
        table = torch.empty(2, steps + 1, batch, columns)
        gates = torch.empty(2, steps, batch, 4 * hidden)
        squashed = torch.empty(2, steps, batch, hidden)
        cells = torch.zeros(2, steps + 1, batch, hidden)
        out = torch.zeros(batch, words, 2, hidden)
        inputs = x.detach().contiguous().numpy(), lengths.numpy()
        arrays = [part.numpy() for part in (gates, cells, squashed, table, out)]
        kernel.begin(*inputs, hidden, arrays[3])
        factors = _factors(weights, width, columns)
        sides = [(t.unbind(), f, g.unbind()) for t, f, g in zip(table, factors, gates, strict=True)]
        for s in range(words):
            for row, factor, gate in sides:
                torch.mm(row[s % (steps + 1)], factor, out=gate[s % steps])
            kernel.step(s, *inputs, *arrays)
        ctx.kept, ctx.weights = (inputs[1], table, gates, cells, squashed), weights
        return out.flatten(2)

    @staticmethod
    @once_differentiable
    def backward(  # pyright: ignore[reportIncompatibleMethodOverride]
        ctx: Any, given: Float[Tensor, "batch words wide"]
    ) -> tuple[Tensor | None, ...]:
        """Gradients of x and of each weight; what was kept for them is used up."""
        if ctx.kept is None:
            raise RuntimeError("bilstm: expected one way back, found a second time")
        words, table, gates, cells, squashed = ctx.kept
        ctx.kept = None
        _, steps, batch, hidden = squashed.shape
        width = ctx.weights[0].shape[1]
        onward, drift = torch.empty(2, batch, hidden), torch.empty(2, batch, hidden)
        given = given.contiguous().view(batch, steps, 2, hidden)
        arrays = [part.numpy() for part in (gates, cells, squashed, given, onward, drift)]
        rows = list(zip([side.unbind() for side in gates], ctx.weights[1::4], onward, strict=True))
        for s in reversed(range(steps)):
            kernel.step_back(s, words, *arrays)
            for slope, weight, along in rows if s else ():
                torch.mm(slope[s], weight, out=along)
        sides = torch.empty(2, steps, batch, width)
        gradients = []
        for d, slope in enumerate(gates.flatten(1, 2)):
            read = table[d, :steps].flatten(0, 1)
            torch.mm(slope, ctx.weights[4 * d], out=sides[d].flatten(0, 1))
            bias = slope.sum(dim=0)
            states = read[:, width + 1 : width + 1 + hidden]
            gradients += [slope.T @ read[:, :width], slope.T @ states, bias, bias.clone()]
        x = torch.empty(batch, steps, width)
        kernel.gather(sides.numpy(), words, x.numpy())
        return x, None, None, *gradients


def _factors(weights: tuple[Tensor, ...], width: int, columns: int) -> Tensor:
    """What rows of the table are multiplied by [2, columns, 4 hidden]."""
    size, hidden = weights[1].shape
    factors = torch.empty(2, columns, size)
    factors[:, width + 1 + hidden :] = 0.0
    for d, factor in enumerate(factors):
        of_input, of_state, bias, more = weights[4 * d : 4 * d + 4]
        factor[:width] = of_input.T
        torch.add(bias, more, out=factor[width])
        factor[width + 1 : width + 1 + hidden] = of_state.T
    return factors
