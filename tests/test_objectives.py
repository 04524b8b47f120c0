"""Every objective against its equation over listed paths, and the contract of the whole union."""

from typing import get_args

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from pipeline.config import parse
from pipeline.decoding import k_best
from pipeline.errors import InputError
from pipeline.lattice import Lattice, log_marginals, score
from pipeline.objectives import (
    Annealed,
    Constant,
    Gold,
    GoldNLL,
    Objective,
    Posterior,
    Targets,
    TokenKD,
    TopK,
    TopWK,
    scores,
    total,
)
from tests import makers, oracle

OBJECTIVES = get_args(get_args(Objective)[0])
TAUGHT = [kind for kind in OBJECTIVES if kind is not GoldNLL]
LENGTHS, TAGS = [3, 1, 4], 3


def taught_by(teacher: Lattice, k: int = 4) -> Targets:
    best = k_best(teacher, k)
    return Targets(best.paths, best.log_probs, log_marginals(teacher))


def gold_of(lattice: Lattice, *, labelled: bool = True) -> Gold:
    batch = len(lattice.mask)
    tags = torch.zeros(lattice.mask.shape, dtype=torch.long)
    return Gold(tags, torch.full((batch,), labelled))


def pair(seed: int = 0) -> tuple[Lattice, Lattice]:
    """A student and a teacher over the same sentences."""
    return makers.lattice(LENGTHS, TAGS, seed=seed), makers.lattice(LENGTHS, TAGS, seed=seed + 1)


def log_p(lattice: Lattice, sentence: int) -> dict[tuple[int, ...], float]:
    return {path: float(torch.tensor(p).log()) for path, p in
            oracle.probabilities(lattice, sentence).items()}  # fmt: skip


def by_listing(student: Lattice, teacher: Lattice, k: int, *, weighted: bool) -> Tensor:
    """-Σ w log p_student over the teacher's k best paths, sentence by sentence."""

    def one(sentence: int) -> float:
        best = oracle.best(teacher, sentence)[:k]
        weights = torch.tensor([log_p_path if weighted else 0.0 for _, log_p_path in best])
        shares = torch.softmax(weights.double(), dim=0).tolist()
        own = log_p(student, sentence)
        return -sum(share * own[path] for share, (path, _) in zip(shares, best, strict=True))

    return oracle.each(student, one)


@pytest.mark.parametrize("k", [1, 2, 4, 50])
@pytest.mark.parametrize(("kind", "weighted"), [(TopK, False), (TopWK, True)])
def test_paths_are_weighted_as_the_equations_say(kind, weighted, k):
    student, teacher = pair()
    loss = kind()(student, gold_of(student), taught_by(teacher, k))
    expected = by_listing(student, teacher, k, weighted=weighted)
    torch.testing.assert_close(loss, expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("kind", [TopK, TopWK])
def test_fewer_paths_may_be_used_than_were_extracted(kind):
    student, teacher = pair()
    few = kind(k=2)(student, gold_of(student), taught_by(teacher, 5))
    torch.testing.assert_close(few, kind()(student, gold_of(student), taught_by(teacher, 2)))


@pytest.mark.parametrize("temperature", [0.5, 1.0, 3.0])
def test_posterior_is_the_divergence_of_tempered_marginals(temperature: float):
    student, teacher = pair()
    own, wanted = (
        (oracle.marginals(lattice) ** (1 / temperature)) for lattice in (student, teacher)
    )
    own, wanted = own / own.sum(2, keepdim=True), wanted / wanted.sum(2, keepdim=True)
    words = (wanted * (wanted / own).log()).sum(dim=2) * student.mask
    loss = Posterior(temperature=temperature)(student, gold_of(student), taught_by(teacher))
    torch.testing.assert_close(loss, temperature**2 * words.sum(dim=1), atol=1e-5, rtol=1e-5)


def test_token_is_posterior_for_a_softmax_student():
    student, teacher = pair()
    zero = torch.zeros(TAGS, dtype=torch.float64)
    softmax = Lattice(student.emissions, zero.expand(TAGS, TAGS), zero, zero, student.mask)
    parts = gold_of(student), taught_by(teacher)
    torch.testing.assert_close(
        TokenKD(temperature=2.0)(softmax, *parts), Posterior(temperature=2.0)(softmax, *parts)
    )


def test_gold_counts_labelled_sentences_only():
    student, teacher = pair()
    targets = taught_by(teacher)
    loss = GoldNLL()(student, gold_of(student), targets)
    expected = oracle.each(student, lambda n: -log_p(student, n)[(0,) * LENGTHS[n]])
    torch.testing.assert_close(loss, expected, atol=1e-6, rtol=1e-6)
    assert (GoldNLL()(student, gold_of(student, labelled=False), targets) == 0).all()


@pytest.mark.parametrize("kind", OBJECTIVES)
def test_one_finite_loss_a_sentence_and_a_gradient(kind):
    student, teacher = pair()
    leaves = makers.leaves(student)
    loss = kind()(leaves, gold_of(student), taught_by(teacher))
    assert loss.shape == (3,)
    assert torch.isfinite(loss).all()
    for gradient in makers.gradients(loss.sum(), leaves):
        assert torch.isfinite(gradient).all()


@pytest.mark.parametrize("kind", OBJECTIVES)
def test_padding_changes_nothing(kind):
    student, teacher = pair()
    together = kind()(student, gold_of(student), taught_by(teacher))
    for n, length in enumerate(LENGTHS):
        alone = [
            Lattice(of.emissions[n : n + 1, :length], of.transitions, of.start, of.end,
                    of.mask[n : n + 1, :length])
            for of in (student, teacher)
        ]  # fmt: skip
        loss = kind()(alone[0], gold_of(alone[0]), taught_by(alone[1]))
        torch.testing.assert_close(loss[0], together[n])


@pytest.mark.parametrize("kind", TAUGHT)
def test_a_sentence_without_a_teacher_costs_nothing(kind):
    student, teacher = pair()
    targets = taught_by(teacher)
    targets.path_log_probs[1] = -torch.inf
    loss = kind()(student, gold_of(student), targets)
    assert loss[1] == 0
    assert (loss[[0, 2]] > 0).all()


@pytest.mark.parametrize("kind", [Posterior, TokenKD])
def test_nothing_is_to_be_learnt_from_oneself(kind):
    """The divergence from the teacher's own beliefs is zero, and so is its gradient."""
    student, _ = pair()
    if kind is TokenKD:
        zero = torch.zeros(TAGS, dtype=torch.float64)
        student = Lattice(student.emissions, zero.expand(TAGS, TAGS), zero, zero, student.mask)
    leaves = makers.leaves(student)
    loss = kind(temperature=2.0)(leaves, gold_of(student), taught_by(student))
    torch.testing.assert_close(loss, torch.zeros_like(loss), atol=1e-9, rtol=0)
    for gradient in makers.gradients(loss.sum(), leaves):
        torch.testing.assert_close(gradient, torch.zeros_like(gradient), atol=1e-7, rtol=0)


def test_all_paths_with_their_weights_have_no_gradient_at_the_teacher():
    """Top-WK over every path is the structural cross-entropy, which the teacher minimises."""
    student, _ = pair()
    leaves = makers.leaves(student)
    loss = TopWK()(leaves, gold_of(student), taught_by(student, TAGS ** max(LENGTHS)))
    for gradient in makers.gradients(loss.sum(), leaves):
        torch.testing.assert_close(gradient, torch.zeros_like(gradient), atol=1e-7, rtol=0)


@given(makers.lattices(), st.integers(1, 5), st.integers(0, 99))
def test_paths_score_together_as_one_by_one(student, k, seed):
    batch, words, tags = student.emissions.shape
    random = torch.Generator().manual_seed(seed)
    paths = torch.randint(tags, (batch, k, words), generator=random)
    alone = torch.stack([score(student, path) for path in paths.unbind(1)], dim=1)
    paths[~student.mask[:, None].expand_as(paths)] = 99  # whatever stands at padding
    torch.testing.assert_close(scores(student, paths), alone)


@pytest.mark.parametrize("kind", TAUGHT)
def test_what_the_student_forbids_costs_no_infinity(kind):
    student, teacher = pair()
    forbidden = student.transitions.clone()
    forbidden[0, 1] = -torch.inf
    strict = Lattice(student.emissions, forbidden, student.start, student.end, student.mask)
    leaves = makers.leaves(strict)
    loss = kind()(leaves, gold_of(student), taught_by(teacher, 20))
    assert torch.isfinite(loss).all()
    for gradient in makers.gradients(loss.sum(), leaves):
        assert torch.isfinite(gradient).all()


@given(st.floats(0, 1), st.floats(0, 3), st.floats(0, 3), st.floats(0.1, 1))
def test_annealed_weights_stay_between_their_ends(progress, start, end, until):
    weight = Annealed(start=start, end=end, until=until)
    assert min(start, end) - 1e-9 <= weight.at(progress) <= max(start, end) + 1e-9
    assert weight.at(0.0) == start
    assert weight.at(1.0) == pytest.approx(end)


def test_the_sum_is_weighted_by_progress():
    student, teacher = pair()
    parts = student, gold_of(student), taught_by(teacher)
    both = (GoldNLL(weight=Annealed(start=0.0, end=1.0)), TopK(weight=Constant(value=2.0)))
    expected = 0.25 * GoldNLL()(*parts) + 2 * TopK()(*parts)
    torch.testing.assert_close(total(both, 0.25, *parts), expected)
    torch.testing.assert_close(total(both[:1], 0.0, *parts), torch.zeros(3, dtype=torch.float64))


def test_a_wrong_objective_is_named():
    wrong = {"kind": "posterior", "temperature": 0, "weight": {"kind": "constant", "valeu": 1}}
    with pytest.raises(InputError) as caught:
        parse(Objective, wrong, "recipes.x.objectives.0")
    lines = str(caught.value).splitlines()
    assert any("recipes.x.objectives.0.temperature: expected greater than 0" in s for s in lines)
    assert any("weight.valeu: unknown key" in line and "kind, value" in line for line in lines)


@pytest.mark.parametrize("temperature", [1.0, 4.0, 8.0])
def test_what_both_forbid_costs_nothing_at_any_temperature(temperature: float):
    """Seven tags that nobody may use leave the divergence of the other two as it was."""
    few = [makers.lattice(LENGTHS, 2, seed=seed) for seed in (0, 1)]
    many = [
        Lattice(
            torch.nn.functional.pad(of.emissions, (0, 7), value=-torch.inf),
            torch.nn.functional.pad(of.transitions, (0, 7, 0, 7)),
            torch.nn.functional.pad(of.start, (0, 7)),
            torch.nn.functional.pad(of.end, (0, 7)),
            of.mask,
        )
        for of in few
    ]
    objective = Posterior(temperature=temperature)
    alone, among = (
        objective(student, gold_of(student), taught_by(teacher)) for student, teacher in (few, many)
    )
    torch.testing.assert_close(among, alone)
