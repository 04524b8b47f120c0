"""Teachers made of others: lattices pooled, or marginals mixed. Section `ensembles`.

What is made is a lattice again, emissions and transitions, so nothing downstream is told of it.
To add one, write a settings class with `teachers`, `transitions` and `emissions` and put its name
in `Ensemble`.
"""

from collections.abc import Mapping, Sequence
from typing import Annotated, Literal, TypeAlias

import numpy as np
import torch
from jaxtyping import Float
from pydantic import Field
from torch import Tensor

from pipeline.config import settings
from pipeline.description import Head
from pipeline.emissions import Emissions
from pipeline.extraction import log_marginals
from pipeline.transitions import Transitions

Scores: TypeAlias = Mapping[str, Tensor]
"""Between tags `between` [from, to], of first tags `start` [tags], of last tags `end` [tags]."""
Rows: TypeAlias = Float[np.ndarray, "words tags"]


@settings
class Weighed:
    """Teachers side by side, each with its weight."""

    teachers: Annotated[tuple[str, ...], Field(min_length=2)]
    weights: tuple[Annotated[float, Field(gt=0)], ...] | None = None
    """One a teacher, divided by their sum; null: all alike."""

    def __post_init__(self) -> None:
        if self.weights is not None and len(self.weights) != len(self.teachers):
            raise ValueError(
                f"expected one weight for each of {len(self.teachers)} teachers, "
                f"found {len(self.weights)}"
            )

    @property
    def shares(self) -> list[float]:
        """The weights, such that they sum to 1."""
        given = self.weights or (1.0,) * len(self.teachers)
        return [weight / sum(given) for weight in given]


@settings
class Pool(Weighed):
    """p ∝ Π_i p_i^(w_i) over paths: the weighted mean of the teachers' lattices.

    Source: the log-linear (logarithmic opinion) pool, here of conditional random fields (Smith,
    Cohn, Osborne 2005). Exact: potentials of a product are sums. A path that one teacher forbids is
    forbidden.
    """

    kind: Literal["pool"] = "pool"

    def transitions(self, members: Sequence[Transitions]) -> tuple[Head, Scores]:
        """The mean of the members' scores between tags; softmax only if all members are."""
        shares = self.shares
        weighed = [
            {name: share * scores for name, scores in member.state_dict().items()}
            for share, member in zip(shares, members, strict=True)
        ]
        mean = {name: torch.stack([each[name] for each in weighed]).sum(0) for name in weighed[0]}
        head = "crf" if any(member.head == "crf" for member in members) else "softmax"
        return head, mean

    def emissions(self, rows: Sequence[Emissions], members: Sequence[Transitions]) -> Rows:
        """The mean of the members' emissions [words, tags]."""
        shares = self.shares
        weighed = (s * each.scores.astype(np.float64) for s, each in zip(shares, rows, strict=True))
        return np.sum([*weighed], axis=0).astype(np.float32)


@settings
class Mixture(Weighed):
    """q(n) = Σ_i w_i q_i(n) at every word n, q_i the teachers' marginals: the linear pool of them.

    A mixture of chains is no chain. This one keeps the mixture's exact marginals and forgets what
    goes with what: its lattice has their logarithms as emissions and no transitions, as a softmax
    tagger has. So its best paths may break the scheme, and learning from marginals suits it best.
    Source: the linear opinion pool, word by word: ours for marginals.
    """

    kind: Literal["mixture"] = "mixture"

    def transitions(self, members: Sequence[Transitions]) -> tuple[Head, Scores]:
        """None: every score between tags is zero."""
        zeros = {name: torch.zeros_like(kept) for name, kept in members[0].state_dict().items()}
        return "softmax", zeros

    def emissions(self, rows: Sequence[Emissions], members: Sequence[Transitions]) -> Rows:
        """Logarithms of the mixed marginals [words, tags]."""
        shares = self.shares
        mixed = np.sum(
            [
                share * np.exp(log_marginals(each, member))
                for share, each, member in zip(shares, rows, members, strict=True)
            ],
            axis=0,
        )
        with np.errstate(divide="ignore"):  # what no teacher thinks possible is forbidden
            return np.log(mixed).astype(np.float32)


@settings
class Transposed:
    """One teacher whose transitions are read the wrong way round. Not for use: for a study.

    The k-best decoder in the released code of Wang et al. 2020 reads `[from, to]` of a matrix that
    all other code fills as `[to, from]`, where scores of first and last tags come out as constants.
    Its Top-K and Top-WK learnt from such paths; here anyone can, of tags without a scheme: what a
    scheme forbids was never learnt, and transposed it would be asked for.
    """

    kind: Literal["transposed"] = "transposed"
    teachers: Annotated[tuple[str, ...], Field(min_length=1, max_length=1)]

    def transitions(self, members: Sequence[Transitions]) -> tuple[Head, Scores]:
        """The member's scores with [from, to] exchanged; none for first and last tags."""
        state = members[0].state_dict()
        ends = {name: torch.zeros_like(state[name]) for name in ("start", "end")}
        return "crf", {**ends, "between": state["between"].T.contiguous()}

    def emissions(self, rows: Sequence[Emissions], members: Sequence[Transitions]) -> Rows:
        """The member's own [words, tags]."""
        return rows[0].scores


Ensemble: TypeAlias = Annotated[Pool | Mixture | Transposed, Field(discriminator="kind")]
