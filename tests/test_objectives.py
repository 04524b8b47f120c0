"""Every objective against its equation over listed paths, and the contract of the whole union."""

import math
import re
from dataclasses import replace
from pathlib import Path
from typing import get_args

import pytest
import torch
from hypothesis import example, given
from hypothesis import strategies as st
from torch import Tensor

from pipeline.config import parse
from pipeline.errors import InputError
from pipeline.lattice import Lattice, log_marginals, score, temper
from pipeline.losses.hidden import Hidden, HiddenMSE
from pipeline.losses.matching import Correlation, Decoupled, Standardised
from pipeline.losses.pathwise import FuzzyPaths, FuzzyTags, TopK, TopWK, scores
from pipeline.losses.schedules import Annealed, Constant
from pipeline.losses.structural import LocalStructural, PotentialMSE, Structural
from pipeline.losses.supervision import Drop, Gold, Spoken, Targets, Weigh
from pipeline.losses.temperature import EntropyBand
from pipeline.losses.wordwise import EmissionKD, EmissionMSE, Logits, Posterior, TokenKD
from pipeline.objectives import BY_WORDS, GoldNLL, Objective, total
from tests import makers, oracle
from tests.makers import taught_by

OBJECTIVES = get_args(get_args(Objective)[0])
TAUGHT = [kind for kind in OBJECTIVES if kind is not GoldNLL]
TEMPERED = [kind for kind in TAUGHT if "temperature" in kind.__dataclass_fields__]
LENGTHS, TAGS = [3, 1, 4], 3


def gold_of(lattice: Lattice, *, labelled: bool = True) -> Gold:
    batch = len(lattice.mask)
    tags = torch.zeros(lattice.mask.shape, dtype=torch.long)
    return Gold(tags, torch.full((batch,), labelled))


def pair(seed: int = 0) -> tuple[Lattice, Lattice]:
    """A student and a teacher over the same sentences."""
    student, teacher = (
        makers.with_vectors(makers.lattice(LENGTHS, TAGS, seed=n), seed=n) for n in (seed, seed + 1)
    )
    return student, teacher


def softmax(lattice: Lattice) -> Lattice:
    """The same emissions, and no scores between tags."""
    zero = torch.zeros_like(lattice.start)
    parts = lattice.emissions, zero.expand(len(zero), -1), zero, zero, lattice.mask
    return Lattice(*parts, lattice.vectors)


def log_p(lattice: Lattice, sentence: int) -> dict[tuple[int, ...], float]:
    return {path: float(torch.tensor(p).log()) for path, p in
            oracle.probabilities(lattice, sentence).items()}  # fmt: skip


def by_listing(student: Lattice, teacher: Lattice, k: int, temperature: float) -> Tensor:
    """-Σ w log p_student over the teacher's k best paths, sentence by sentence."""

    def one(sentence: int) -> float:
        best = oracle.best(teacher, sentence)[:k]
        weights = torch.tensor([log_p_path for _, log_p_path in best])
        shares = torch.softmax(weights.double() / temperature, dim=0).tolist()
        own = log_p(student, sentence)
        return -sum(share * own[path] for share, (path, _) in zip(shares, best, strict=True))

    return oracle.each(student, one)


@pytest.mark.parametrize("k", [1, 2, 4, 50])
@pytest.mark.parametrize(
    ("objective", "temperature"), [(TopK(), math.inf), (TopWK(), 1), (TopWK(temperature=3.0), 3)]
)
def test_paths_are_weighted_as_the_equations_say(objective, temperature, k):
    student, teacher = pair()
    loss = objective(student, gold_of(student), taught_by(teacher, k))
    expected = by_listing(student, teacher, k, temperature)
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
    parts = softmax(student), gold_of(student), taught_by(teacher)
    torch.testing.assert_close(TokenKD(temperature=2.0)(*parts), Posterior(temperature=2.0)(*parts))


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
                    of.mask[n : n + 1, :length], of.vectors[n : n + 1, :length])
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


NOT_ZERO = (TopK, TopWK, FuzzyPaths, FuzzyTags, LocalStructural, Logits, Hidden)
OWN_ZERO = [kind for kind in TAUGHT if kind not in NOT_ZERO]
PLAIN = (EmissionMSE, PotentialMSE, HiddenMSE)


@pytest.mark.parametrize("kind", OWN_ZERO)
def test_nothing_is_to_be_learnt_from_oneself(kind):
    """The divergence from the teacher's own beliefs is zero, and so is its gradient."""
    student, _ = pair()
    student = softmax(student) if kind is TokenKD else student
    leaves = makers.leaves(student)
    objective = kind() if kind in PLAIN else kind(temperature=2.0)
    loss = objective(leaves, gold_of(student), taught_by(student))
    torch.testing.assert_close(loss, torch.zeros_like(loss), atol=1e-9, rtol=0)
    for gradient in makers.gradients(loss.sum(), leaves):
        torch.testing.assert_close(gradient, torch.zeros_like(gradient), atol=1e-7, rtol=0)


def test_local_structural_has_no_gradient_at_the_teacher_at_temperature_one():
    student, _ = pair()
    leaves = makers.leaves(student)
    loss = LocalStructural()(leaves, gold_of(student), taught_by(student))
    torch.testing.assert_close(loss, oracle.entropy(student))
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
    strict = replace(student, transitions=forbidden)
    leaves = makers.leaves(strict)
    loss = kind()(leaves, gold_of(student), taught_by(teacher, 20))
    assert torch.isfinite(loss).all()
    for gradient in makers.gradients(loss.sum(), leaves):
        assert torch.isfinite(gradient).all()


@given(st.floats(0, 1), st.floats(0, 3), st.floats(0, 3), st.floats(0.1, 1))
def test_annealed_weights_stay_between_their_ends(progress, start, end, until):
    weight = Annealed(start=start, end=end, until=until)
    assert min(start, end) - 1e-9 <= weight.at(progress, 10) <= max(start, end) + 1e-9
    assert weight.at(0.0, 10) == start
    assert weight.at(1.0, 10) == pytest.approx(end)


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


# Paths


@pytest.mark.parametrize("k", [1, 2, 4, 50])
def test_fuzzy_paths_add_up_the_paths(k):
    student, teacher = pair()

    def one(sentence: int) -> float:
        own = oracle.probabilities(student, sentence)
        best = oracle.best(teacher, sentence)[:k]
        return -math.log(sum(own[path] for path, _ in best))

    loss = FuzzyPaths()(student, gold_of(student), taught_by(teacher, k))
    torch.testing.assert_close(loss, oracle.each(student, one), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("k", [1, 2, 4, 50])
def test_fuzzy_tags_add_up_the_paths_of_tags_that_were_seen(k):
    student, teacher = pair()

    def one(sentence: int) -> float:
        seen = [
            set(tags)
            for tags in zip(*(p for p, _ in oracle.best(teacher, sentence)[:k]), strict=True)
        ]
        own = oracle.probabilities(student, sentence).items()
        return -math.log(
            sum(p for path, p in own if all(t in tags for t, tags in zip(path, seen, strict=True)))
        )

    loss = FuzzyTags()(student, gold_of(student), taught_by(teacher, k))
    torch.testing.assert_close(loss, oracle.each(student, one), atol=1e-5, rtol=1e-5)


@given(st.integers(0, 999), st.integers(1, 12))
def test_fuzzy_asks_for_less_than_weighted_paths(seed, k):
    """-log Σ p_s ≤ -Σ w log p_s - H(w), and mixtures of paths make the lattice form less still."""
    student, teacher = pair(seed)
    targets = taught_by(teacher, k)
    weights = torch.softmax(targets.path_log_probs, dim=1)
    entropy = -(weights * weights.clamp(min=1e-300).log()).sum(dim=1)
    paths, tags, weighted = (
        kind()(student, gold_of(student), targets) for kind in (FuzzyPaths, FuzzyTags, TopWK)
    )
    assert (paths <= weighted - entropy + 1e-6).all()
    assert (tags <= paths + 1e-6).all()


def test_one_path_is_one_path_to_all():
    student, teacher = pair()
    parts = student, gold_of(student), taught_by(teacher, 1)
    losses = [kind()(*parts) for kind in (TopK, TopWK, FuzzyPaths, FuzzyTags)]
    for loss in losses[1:]:
        torch.testing.assert_close(loss, losses[0], atol=1e-6, rtol=1e-6)


# Whole lattices


def divergence_by_listing(student: Lattice, teacher: Lattice, temperature: float) -> Tensor:
    """T² Σ_y p_t log(p_t / p_s) over the paths that the student allows."""
    student, teacher = temper(student, temperature), temper(teacher, temperature)

    def one(sentence: int) -> float:
        own = oracle.probabilities(student, sentence)
        theirs = {y: p for y, p in oracle.probabilities(teacher, sentence).items() if y in own}
        whole = sum(theirs.values())
        return temperature**2 * sum(
            p / whole * math.log(p / whole / own[y]) for y, p in theirs.items() if p > 0
        )

    return oracle.each(student, one)


@pytest.mark.parametrize("temperature", [0.5, 1.0, 3.0])
@pytest.mark.parametrize("forbidden", [0.0, 0.3])
def test_structural_is_the_divergence_over_all_paths(temperature, forbidden):
    student = makers.lattice(LENGTHS, TAGS, seed=3, forbidden=forbidden)
    teacher = makers.lattice(LENGTHS, TAGS, seed=4)
    for own, theirs in (
        (student, teacher), (softmax(student), teacher), (student, softmax(teacher))
    ):  # fmt: skip
        loss = Structural(temperature=temperature)(own, gold_of(own), taught_by(theirs))
        torch.testing.assert_close(loss, divergence_by_listing(own, theirs, temperature))


def test_structural_and_weighted_paths_agree_over_all_paths():
    """They differ by the teacher's entropy, which has no gradient."""
    student, teacher = pair()
    every = taught_by(teacher, TAGS ** max(LENGTHS))
    parts = student, gold_of(student), every
    torch.testing.assert_close(
        Structural()(*parts) + oracle.entropy(teacher), TopWK()(*parts), atol=1e-6, rtol=1e-6
    )


def gradients_of(objective, student: Lattice, targets: Targets) -> tuple[Tensor, ...]:
    leaves = makers.leaves(student)
    return makers.gradients(objective(leaves, gold_of(student), targets).sum(), leaves)


def test_structural_teaches_a_softmax_student_the_marginals():
    """For a student that decides each word alone, both objectives have the same gradient."""
    student, teacher = pair()
    emissions = [
        gradients_of(kind(), softmax(student), taught_by(teacher))[0]
        for kind in (Structural, LocalStructural, Posterior, TokenKD)
    ]
    for other in emissions[1:]:
        torch.testing.assert_close(other, emissions[0], atol=1e-7, rtol=1e-7)


def test_local_and_global_temperature_meet_at_one():
    student, teacher = pair()
    both = [
        gradients_of(kind(), student, taught_by(teacher)) for kind in (Structural, LocalStructural)
    ]
    for one, other in zip(*both, strict=True):
        torch.testing.assert_close(one, other)


@pytest.mark.parametrize("temperature", [1.0, 2.0, 3.0])
def test_local_structural_is_the_released_code(temperature):
    """Tables of pairs at each word, each softened by itself."""
    student, teacher = pair(5)
    words, pairs = oracle.marginals(teacher), oracle.pairwise_marginals(teacher)
    cool = temper(student, temperature)
    total = oracle.log_partition(cool)

    def softened(shares: Tensor) -> Tensor:
        return shares ** (1 / temperature) / (shares ** (1 / temperature)).sum()

    def one(sentence: int) -> float:
        length = LENGTHS[sentence]
        first, last = words[sentence, 0], words[sentence, length - 1]
        score = (softened(first) * (cool.start + cool.emissions[sentence, 0])).sum()
        score += (softened(last) * cool.end).sum()
        for n in range(length - 1):
            onward = cool.transitions + cool.emissions[sentence, n + 1]
            score += (softened(pairs[sentence, n]) * onward).sum()
        return max(0.0, temperature**2 * float(total[sentence] - score))

    loss = LocalStructural(temperature=temperature)(student, gold_of(student), taught_by(teacher))
    torch.testing.assert_close(loss, oracle.each(student, one))


def potentials(lattice: Lattice, sentence: int, n: int, length: int) -> Tensor:
    """[from, to] at a word; one row at the first one."""
    before = lattice.start[None] if n == 0 else lattice.transitions
    after = lattice.end if n == length - 1 else torch.zeros_like(lattice.end)
    return before + lattice.emissions[sentence, n] + after


@pytest.mark.parametrize("forbidden", [0.0, 0.3])
def test_squared_differences_of_potentials(forbidden):
    student = makers.lattice(LENGTHS, TAGS, seed=3, forbidden=forbidden)
    teacher = makers.lattice(LENGTHS, TAGS, seed=4)

    def one(sentence: int) -> float:
        found = 0.0
        for n in range(LENGTHS[sentence]):
            own, theirs = (
                potentials(x, sentence, n, LENGTHS[sentence]) for x in (student, teacher)
            )
            squares = (own - theirs).square()
            found += float(squares[torch.isfinite(squares)].mean())
        return found

    loss = PotentialMSE()(student, gold_of(student), taught_by(teacher))
    torch.testing.assert_close(loss, oracle.each(student, one))


def test_teachers_share_a_batch():
    """Each sentence learns from its own teacher, as if it were alone."""
    student, teacher = pair()
    _, other = pair(7)
    one, two = taught_by(teacher), taught_by(other)
    rows = [torch.tensor([0, 2]), torch.tensor([1])]
    teachers = tuple(
        replace(of.teachers[0], sentences=some) for of, some in zip((one, two), rows, strict=True)
    )
    second = (torch.arange(3) == 1)[:, None, None]
    emissions = torch.where(second, two.scores(), one.scores())
    mixed = replace(one, teachers=teachers, emissions=emissions)
    for objective in (Structural(), LocalStructural(temperature=2.0), PotentialMSE()):
        loss = objective(student, gold_of(student), mixed)
        apart = [objective(student, gold_of(student), of) for of in (one, two)]
        torch.testing.assert_close(loss[rows[0]], apart[0][rows[0]])
        torch.testing.assert_close(loss[rows[1]], apart[1][rows[1]])


# Words


def words_of(lattice: Lattice) -> list[tuple[int, int]]:
    return [(n, w) for n, length in enumerate(LENGTHS) for w in range(length)]


def by_word(student: Lattice, teacher: Lattice, value) -> Tensor:
    """[batch]: the sum of a value of both sides' marginals at each word."""
    own, theirs = oracle.marginals(student), oracle.marginals(teacher)
    found = torch.zeros(len(LENGTHS), dtype=torch.float64)
    for n, w in words_of(student):
        found[n] += value(theirs[n, w], own[n, w], n, w)
    return found


def kl(wanted: Tensor, believed: Tensor) -> Tensor:
    return (wanted * (wanted / believed).log()).sum()


def softened(shares: Tensor, temperature: float) -> Tensor:
    return shares ** (1 / temperature) / (shares ** (1 / temperature)).sum()


def test_emissions_are_compared_as_softmaxes():
    student, teacher = pair()
    temperature = 2.0

    def value(_, __, n, w):
        rows = [torch.softmax(x.emissions[n, w] / temperature, 0) for x in (teacher, student)]
        return temperature**2 * kl(*rows)

    loss = EmissionKD(temperature=temperature)(student, gold_of(student), taught_by(teacher))
    torch.testing.assert_close(loss, by_word(student, teacher, value))


def test_emissions_are_compared_as_numbers():
    student, teacher = pair()

    def value(_, __, n, w):
        return (student.emissions[n, w] - teacher.emissions[n, w]).square().mean()

    loss = EmissionMSE()(student, gold_of(student), taught_by(teacher))
    torch.testing.assert_close(loss, by_word(student, teacher, value))


def test_logits_are_compared_as_the_equation_says():
    student, teacher = pair()

    def value(_, __, n, w):
        wanted = oracle.marginals(teacher)[n, w].log()
        return (student.emissions[n, w] - wanted).square().sum() / 2

    loss = Logits()(student, gold_of(student), taught_by(teacher))
    torch.testing.assert_close(loss, by_word(student, teacher, value), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("labelled", [True, False])
def test_decoupled_splits_the_target_from_the_others(labelled):
    student, teacher = pair()
    alpha, beta, temperature = 0.5, 3.0, 2.0

    def value(theirs, own, n, w):
        theirs, own = softened(theirs, temperature), softened(own, temperature)
        target = 0 if labelled else int(theirs.argmax())
        rest = [t for t in range(TAGS) if t != target]
        binary = [torch.stack([x[target], 1 - x[target]]) for x in (theirs, own)]
        others = [x[rest] / x[rest].sum() for x in (theirs, own)]
        return temperature**2 * (alpha * kl(*binary) + beta * kl(*others))

    objective = Decoupled(temperature=temperature, target=alpha, others=beta)
    loss = objective(student, gold_of(student, labelled=labelled), taught_by(teacher))
    torch.testing.assert_close(loss, by_word(student, teacher, value))


def test_correlation_is_pearsons():
    student, teacher = pair()
    temperature, beta, gamma = 2.0, 0.5, 2.0
    own, theirs = oracle.marginals(student), oracle.marginals(teacher)

    def lacking(a: Tensor, b: Tensor) -> float:
        return 1 - float(torch.corrcoef(torch.stack([a, b]))[0, 1])

    def one(n: int) -> float:
        rows = range(LENGTHS[n])
        a, b = (torch.stack([softened(x[n, w], temperature) for w in rows]) for x in (theirs, own))
        words = sum(lacking(a[w], b[w]) for w in rows)
        tags = [lacking(a[:, t], b[:, t]) for t in range(TAGS)] if len(rows) > 1 else [0.0]
        return beta * words + gamma * len(rows) * sum(tags) / len(tags)

    objective = Correlation(temperature=temperature, tags=beta, words=gamma)
    loss = objective(student, gold_of(student), taught_by(teacher))
    torch.testing.assert_close(loss, oracle.each(student, one))


def test_standardised_sees_neither_scale_nor_place():
    student, teacher = pair()

    def value(theirs, own, n, w):
        a, b = (
            torch.softmax((x.log() - x.log().mean()) / x.log().std() / 2, 0) for x in (theirs, own)
        )
        return 4 * kl(a, b)

    loss = Standardised()(student, gold_of(student), taught_by(teacher))
    torch.testing.assert_close(loss, by_word(student, teacher, value), atol=1e-6, rtol=1e-6)
    louder = replace(softmax(teacher), emissions=3 * teacher.emissions + 5)
    loss = Standardised()(louder, gold_of(student), taught_by(softmax(teacher)))
    torch.testing.assert_close(loss, torch.zeros_like(loss), atol=1e-9, rtol=0)


# Vectors


def by_place(student: Lattice, teacher: Lattice, value) -> Tensor:
    """[batch]: the sum of a value of both sides' vectors at each word."""
    found = torch.zeros(len(LENGTHS), dtype=torch.float64)
    for n, w in words_of(student):
        found[n] += value(student.vectors[n, w], teacher.vectors[n, w])
    return found


def gelu(x: Tensor) -> Tensor:
    return x * (1 + torch.erf(x / math.sqrt(2))) / 2


@pytest.mark.parametrize("temperature", [1.0, 2.0])
def test_vectors_are_compared_as_distributions(temperature: float):
    student, teacher = pair()
    objective = Hidden(temperature=temperature)
    loss = objective(student, gold_of(student), taught_by(teacher))

    def value(own: Tensor, theirs: Tensor) -> Tensor:
        return kl(*(torch.softmax(rows / temperature, 0) for rows in (theirs, gelu(own))))

    expected = temperature**2 * by_place(student, teacher, value)
    torch.testing.assert_close(loss, expected)


def test_vectors_are_compared_as_numbers():
    student, teacher = pair()
    loss = HiddenMSE()(student, gold_of(student), taught_by(teacher))
    value = lambda own, theirs: (own - theirs).square().mean()  # noqa: E731
    torch.testing.assert_close(loss, by_place(student, teacher, value))


def test_there_is_nothing_to_learn_once_projected_vectors_are_the_teacher_s():
    student, _ = pair()
    leaves = makers.leaves(student)
    targets = taught_by(replace(student, vectors=gelu(student.vectors) + 3))
    loss = Hidden()(leaves, gold_of(student), targets)
    torch.testing.assert_close(loss, torch.zeros_like(loss), atol=1e-9, rtol=0)
    for gradient in makers.gradients(loss.sum(), leaves):
        torch.testing.assert_close(gradient, torch.zeros_like(gradient), atol=1e-7, rtol=0)


@pytest.mark.parametrize("kind", [Hidden, HiddenMSE])
def test_each_teacher_speaks_in_its_own_space(kind):
    """Teachers of other widths: a projection has the numbers of both, side by side."""
    student, teacher = pair()
    wide = torch.randn(3, 4, 7, dtype=torch.float64)
    both = replace(student, vectors=torch.cat([student.vectors, wide], dim=2))
    other = replace(teacher, vectors=torch.randn(3, 4, 7, dtype=torch.float64))
    targets = taught_by(teacher)
    rows = [torch.tensor([0, 2]), torch.tensor([1])]
    spoken = (
        Spoken(rows[0], teacher.vectors[rows[0]], 0),
        Spoken(rows[1], other.vectors[rows[1]], makers.WIDTH),
    )
    loss = kind()(both, gold_of(student), replace(targets, vectors=spoken))
    first = kind()(student, gold_of(student), targets)
    second = kind()(replace(student, vectors=wide), gold_of(student), taught_by(other))
    torch.testing.assert_close(loss[rows[0]], first[rows[0]])
    torch.testing.assert_close(loss[rows[1]], second[rows[1]])


def test_a_student_without_a_projection_is_a_fault_that_is_named():
    student, teacher = pair()
    with pytest.raises(ValueError, match="expected a student with a projection"):
        Hidden()(replace(student, vectors=None), gold_of(student), taught_by(teacher))


@pytest.mark.parametrize("kind", OBJECTIVES)
def test_those_that_add_up_words_are_those_that_say_so(kind):
    """What weights of words would not reach is refused, so the list must be right."""
    student, teacher = pair()
    plain = taught_by(teacher)
    chance = torch.rand(student.mask.shape, dtype=torch.float64)
    weighed = kind()(student, gold_of(student), replace(plain, saliency=chance))
    moved = not torch.equal(weighed, kind()(student, gold_of(student), plain))
    assert moved == (kind in BY_WORDS)


@pytest.mark.parametrize("kind", BY_WORDS)
def test_words_count_by_their_saliency(kind):
    student, teacher = pair()
    plain = taught_by(teacher)
    nothing, double = (
        replace(plain, saliency=torch.full(student.mask.shape, value, dtype=torch.float64))
        for value in (0.0, 2.0)
    )
    loss, none, twice = (kind()(student, gold_of(student), x) for x in (plain, nothing, double))
    assert (none == 0).all()
    torch.testing.assert_close(twice, 2 * loss)


# All of them


def blank(targets: Targets, kept: tuple[str, ...]) -> Targets:
    """What a recipe has whose objectives read nothing else."""
    batch, _, words = targets.paths.shape
    return replace(
        targets,
        paths=targets.paths if "paths" in kept else targets.paths[:, :0],
        log_marginals=targets.log_marginals
        if "marginals" in kept
        else torch.empty(batch, words, 0),
        emissions=targets.emissions if "emissions" in kept else None,
        teachers=targets.teachers if "emissions" in kept else (),
        vectors=targets.vectors if "vectors" in kept else (),
    )


@pytest.mark.parametrize("kind", OBJECTIVES)
def test_an_objective_reads_what_it_says_and_no_more(kind):
    student, teacher = pair()
    targets = taught_by(teacher)
    torch.testing.assert_close(
        kind()(student, gold_of(student), blank(targets, kind.reads)),
        kind()(student, gold_of(student), targets),
    )


@pytest.mark.parametrize("kind", OBJECTIVES)
@given(st.lists(st.integers(1, 4), min_size=1, max_size=3), st.integers(1, 4), st.integers(0, 999),
       st.sampled_from([0.1, 10.0, 300.0]), st.sampled_from([0.0, 0.4]))  # fmt: skip
@example([3, 1], 3, 978, 300.0, 0.4)  # ends outgrow float64 beside a transition of exp(-700)
def test_losses_and_gradients_are_numbers_whatever_is_forbidden(
    kind, lengths, tags, seed, spread, forbidden
):
    student, teacher = (
        makers.with_vectors(
            makers.lattice(
                lengths, tags, seed=n, spread=spread, forbidden=forbidden, dtype=torch.float32
            ),
            seed=n,
            spread=spread,
        )
        for n in (seed, seed + 1)
    )
    leaves = makers.leaves(student)
    loss = kind()(leaves, gold_of(student), taught_by(teacher, 3))
    assert torch.isfinite(loss).all()
    assert (loss > -1e-3 * (1 + spread)).all()
    for gradient in makers.gradients(loss.sum(), leaves):
        assert torch.isfinite(gradient).all()


@pytest.mark.parametrize("kind", TEMPERED)
def test_the_factor_keeps_gradients_at_their_size(kind):
    """From T = 30 to 60 the tempered gradient falls fourfold; times T² it hardly moves."""
    student, teacher = pair()
    if kind is LocalStructural:  # tempered beliefs that disagree leave a part that grows with T
        student = softmax(student)
        teacher = softmax(teacher)
    targets = taught_by(teacher)
    parts = (gradients_of(kind(temperature=t), student, targets) for t in (30.0, 60.0))
    norms = [torch.cat([each.flatten() for each in part]).norm() for part in parts]
    assert 0.9 < norms[1] / norms[0] < 1.1


# Temperatures and trust


@given(st.integers(0, 999), st.sampled_from(["word", "sentence"]), st.floats(0.02, 10.0))
def test_entropies_come_into_the_band(seed, per, spread):
    logs = log_marginals(makers.lattice(LENGTHS, TAGS, seed=seed, spread=spread))
    mask = pair()[0].mask
    band = EntropyBand(least=0.3, most=0.6, lowest=0.2, highest=20.0, per=per)
    found = band.of(logs, mask)
    assert (found >= 0.2 - 1e-9).all()
    assert (found <= 20 + 1e-9).all()
    tempered = torch.log_softmax(logs / found[:, :, None], dim=2)
    shares = -(tempered.exp() * tempered).sum(dim=2) / math.log(TAGS)
    if per == "sentence":
        shares = (torch.where(mask, shares, 0.0).sum(1) / mask.sum(1))[:, None]
    clipped = (found > 19.9) | (found < 0.201)
    ok = ((shares > 0.299) & (shares < 0.601)) | clipped
    assert (ok | ~mask[:, : ok.shape[1]]).all()


def test_what_lies_in_the_band_keeps_temperature_one():
    logs = torch.log(torch.tensor([[[0.7, 0.2, 0.1], [0.98, 0.01, 0.01]]]))
    found = EntropyBand(least=0.4, most=0.9).of(logs, torch.ones(1, 2, dtype=torch.bool))
    assert found[0, 0] == 1
    assert found[0, 1] > 1.5


@pytest.mark.parametrize("kind", [kind for kind in TEMPERED if kind not in (TopWK, Hidden)])
def test_a_band_may_stand_for_a_temperature(kind):
    student, teacher = pair()
    parts = gold_of(student), taught_by(teacher)
    one = EntropyBand(least=0.0, most=1.0, per="sentence")
    torch.testing.assert_close(
        kind(temperature=one)(student, *parts), kind(temperature=1.0)(student, *parts)
    )
    loss = kind(temperature=EntropyBand(least=0.9, most=0.95, per="sentence"))(student, *parts)
    assert torch.isfinite(loss).all()


@pytest.mark.parametrize("kind", [Structural, LocalStructural])
def test_rounded_temperatures_stay_within_the_band(kind):
    """What is found is rounded to a step, which may lie beyond what is allowed."""
    student, teacher = pair()
    parts = student, gold_of(student), taught_by(teacher)
    band = EntropyBand(least=1.0, most=1.0, lowest=1.1, highest=3.1, per="sentence")
    torch.testing.assert_close(kind(temperature=band)(*parts), kind(temperature=3.1)(*parts))


def test_a_path_has_one_temperature():
    with pytest.raises(InputError, match=r"temperature: expected `per: sentence`"):
        parse(Objective, {"kind": "structural", "temperature": {"kind": "entropy"}}, "r")
    with pytest.raises(
        InputError, match=r"temperature: expected least up to most, found 0.5 and 0.3"
    ):
        parse(Objective, {"kind": "token", "temperature": {"kind": "entropy", "least": 0.5}}, "r")
    with pytest.raises(InputError, match=r"temperature.leest: unknown key.*highest, kind, least"):
        parse(Objective, {"kind": "token", "temperature": {"kind": "entropy", "leest": 0.5}}, "r")
    with pytest.raises(InputError, match=r"temperature: expected a valid number, found 'hot'"):
        parse(Objective, {"kind": "token", "temperature": "hot"}, "r")


@pytest.mark.parametrize("epochs", [1, 3, 7])
def test_a_weight_may_move_once_an_epoch(epochs):
    weight = Annealed(every="epoch")
    steps = 5
    for epoch in range(epochs):
        found = {weight.at((epoch + n / steps) / epochs, epochs) for n in range(steps)}
        assert len(found) == 1
        assert found.pop() == pytest.approx(1 - epoch / epochs)


def test_an_unsure_teacher_counts_less_or_not_at_all():
    student, teacher = pair()
    targets = taught_by(teacher, 2)
    best, coverage = targets.path_log_probs[:, 0].exp(), targets.path_log_probs.exp().sum(1)
    torch.testing.assert_close(Weigh(of="best")(targets), best)
    torch.testing.assert_close(Weigh(least=0.5)(targets), (coverage / 0.5).clamp(max=1))
    between = float(coverage.sort().values[:2].mean())
    assert Drop(least=between)(targets).sum() == 2
    both = (GoldNLL(), TopK())
    parts = student, gold_of(student), targets
    loss = total(both, 0.0, *parts, trust=Weigh())
    torch.testing.assert_close(loss, GoldNLL()(*parts) + coverage * TopK()(*parts))
    targets.path_log_probs[1] = -torch.inf
    assert Weigh()(targets)[1] == 0


def test_two_grains_add_up():
    """What Zhou et al. 2021 weigh, and Posterior with Top-WK of Wang et al. 2020."""
    student, teacher = pair()
    parts = student, gold_of(student), taught_by(teacher)
    for kinds in ((TopWK, FuzzyPaths), (TopWK, FuzzyTags), (Posterior, TopWK)):
        both = tuple(kind(weight=Constant(value=0.5)) for kind in kinds)
        expected = sum(0.5 * kind()(*parts) for kind in kinds)
        torch.testing.assert_close(total(both, 0.0, *parts), expected)


def test_the_table_of_the_documentation_has_them_all():
    """With what each reads, in the order of the union."""
    text = (Path(__file__).parents[1] / "docs" / "objectives.md").read_text()
    rows = re.findall(r"^\| [^`|]+ \| `(\w+)` \|.*\| ([\w ]+) \|$", text, re.MULTILINE)
    kinds = [(each.__dataclass_fields__["kind"].default, each.reads) for each in OBJECTIVES]
    assert rows == [(kind, ", ".join(reads) or "gold tags") for kind, reads in kinds]
