"""Sums over paths: equal to listing every path, in value and gradient, on any batch there is."""

import math
from dataclasses import replace

import oracle
import pytest
import torch
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st
from makers import NAMES, gradients, lattice, lattices, leaves
from torch.testing import assert_close

from pipeline.decoding import k_best
from pipeline.kernels import compiled, forward_backward, log_space
from pipeline.lattice import (
    Lattice,
    entropy,
    log_marginals,
    log_partition,
    nll,
    pairwise_log_marginals,
    pool,
    restrict,
    score,
    temper,
)

few = examples(max_examples=40)


@pytest.fixture(autouse=True, scope="module", params=[compiled, forward_backward])
def kernels(request):
    """Every test runs on what is compiled for CPUs and on what runs anywhere."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("pipeline.lattice._sums", lambda lattice: request.param)
        yield request.param


def close(found, expected, tolerance=1e-9):
    assert_close(found.double(), expected.double(), rtol=tolerance, atol=tolerance)


# Against every path, listed


@few
@given(lattices())
def test_sums_are_those_of_all_paths(of):
    close(log_partition(of), oracle.log_partition(of))
    close(log_marginals(of).exp(), oracle.marginals(of))
    close(pairwise_log_marginals(of).exp(), oracle.pairwise_marginals(of))
    close(entropy(of), oracle.entropy(of))


@few
@given(lattices(dtype=torch.float32))
def test_float32_is_as_good_as_its_scores(of):
    marginals = log_marginals(of)
    assert marginals.dtype == torch.float32
    close(marginals.exp(), oracle.marginals(of), 2e-6)
    assert_close(log_partition(of), oracle.log_partition(of).float(), rtol=1e-6, atol=1e-6)


@few
@given(lattices())
def test_scores_and_nll_are_those_of_listed_paths(of):
    for sentence, length in enumerate(of.lengths.tolist()):
        path, log_prob = oracle.best(of, sentence)[-1]
        gold = torch.where(of.mask, 0, -1)
        gold[sentence, :length] = torch.tensor(path)
        assert score(of, gold)[sentence].item() == pytest.approx(oracle.paths(of, sentence)[path])
        assert nll(of, gold)[sentence].item() == pytest.approx(-log_prob, rel=1e-9, abs=1e-9)


# Identities


@few
@given(lattices())
def test_marginals_are_the_gradient_of_the_log_partition(of):
    of = leaves(of)
    emissions, transitions, start, end = gradients(log_partition(of).sum(), of)
    marginals = torch.where(of.mask[:, :, None], log_marginals(of).exp(), 0.0)
    pairs = torch.where(of.mask[:, 1:, None, None], pairwise_log_marginals(of).exp(), 0.0)
    close(emissions, marginals)
    close(transitions, pairs.sum(dim=(0, 1)))
    close(start, marginals[:, 0].sum(dim=0))
    close(end, marginals[torch.arange(len(of.mask)), of.lengths - 1].sum(dim=0))


def chain(of: Lattice):
    """What both modules of sums ask for."""
    emissions = torch.where(of.mask[:, :, None], of.emissions, 0.0)
    return emissions, of.transitions, of.start, of.end, of.lengths


@few
@given(lattices(spreads=(0.1, 1.0, 10.0)), st.integers(0, 99))
def test_both_ways_to_sum_agree_in_values_and_gradients(of, seed):
    of = leaves(of)
    sums = log_space.run(*chain(of))
    plain = log_space.log_marginals(sums)
    weights = torch.randn(plain.shape, generator=torch.Generator().manual_seed(seed))
    pairs = (
        (log_partition(of).square().sum(), log_space.log_partition(sums).square().sum()),
        *((weights * x.clamp(min=-30)).sum() for x in (log_marginals(of), plain)),
    )
    assert forward_backward.run(*chain(of)).exact.all()
    for fast, slow in (pairs[0], pairs[1:]):
        close(fast, slow)
        for found, expected in zip(gradients(fast, of), gradients(slow, of), strict=True):
            close(found, expected, 1e-8)


@pytest.mark.parametrize("function", [log_partition, log_marginals, entropy])
def test_gradients_are_those_of_finite_differences(function):
    of = lattice([3, 1, 2], 3, seed=5)
    forbidden = torch.tensor([[0, 1, 0], [0, 0, 0], [0, 0, 1]], dtype=torch.bool)

    def value(emissions, transitions, start, end):
        transitions = transitions.masked_fill(forbidden, -torch.inf)
        return function(Lattice(emissions, transitions, start, end, of.mask))

    emissions, *others = chain(of)[:4]
    assert torch.autograd.gradcheck(
        value, [x.clone().requires_grad_() for x in (emissions, *others)]
    )


@few
@given(lattices(), st.integers(1, 3))
def test_padding_changes_nothing(of, more):
    wide = torch.full((*of.emissions.shape[:1], more, *of.emissions.shape[2:]), torch.inf)
    emissions = torch.cat([of.emissions, wide], dim=1)
    mask = torch.nn.functional.pad(of.mask, (0, more))
    one, other = leaves(of), leaves(replace(of, emissions=emissions, mask=mask))
    assert (log_marginals(other)[~mask] == 0).all()
    for value in (
        log_partition,
        lambda x: log_marginals(x).clamp(min=-30).sum(dim=(1, 2)),
        entropy,
    ):
        close(value(other), value(one))
        ours, theirs = gradients(value(one).sum(), one), gradients(value(other).sum(), other)
        assert (theirs[0][~mask] == 0).all()
        close(theirs[0][:, : one.mask.shape[1]], ours[0], 1e-8)
        for found, expected in zip(theirs[1:], ours[1:], strict=True):
            close(found, expected, 1e-8)


@few
@given(lattices(), st.integers(0, 99))
def test_the_batch_changes_nothing(of, seed):
    order = torch.randperm(len(of.mask), generator=torch.Generator().manual_seed(seed))
    mixed = replace(of, emissions=of.emissions[order], mask=of.mask[order])
    close(log_partition(mixed), log_partition(of)[order])
    close(log_marginals(mixed).exp(), log_marginals(of)[order].exp())


@few
@given(lattices())
def test_restricting_to_all_tags_changes_nothing_and_to_one_path_leaves_it_alone(of):
    everything = torch.ones(of.emissions.shape, dtype=torch.bool)
    assert torch.equal(log_partition(restrict(of, everything)), log_partition(of))
    path = k_best(of, 1).paths[:, 0]
    only = restrict(of, torch.nn.functional.one_hot(path, len(of.start)).bool())
    close(log_partition(only), score(of, path))
    close(nll(only, path), torch.zeros(len(path)))
    close(entropy(only), torch.zeros(len(path)))


@few
@given(lattices(spreads=(0.1, 1.0, 10.0)), st.sampled_from([0.5, 1.0, 3.0]))
def test_tempering_takes_the_root_of_every_probability(of, temperature):
    tempered = temper(of, temperature)
    for sentence in range(len(of.mask)):
        roots = {y: p ** (1 / temperature) for y, p in oracle.probabilities(of, sentence).items()}
        total = math.fsum(roots.values())
        for path, probability in oracle.probabilities(tempered, sentence).items():
            assert probability == pytest.approx(roots[path] / total, abs=1e-9)


def test_a_pool_scores_every_path_as_the_mean():
    one, other = lattice([3, 2], 3, seed=1), lattice([3, 2], 3, seed=2)
    path = torch.tensor([[2, 1, 0], [1, 1, 0]])
    close(score(pool([one, other]), path), (score(one, path) + score(other, path)) / 2)
    close(log_partition(pool([one])), log_partition(one))


def test_without_transitions_marginals_are_a_softmax():
    emissions = 50 * torch.randn(3, 5, 4, generator=torch.Generator().manual_seed(0))
    zero = torch.zeros(4)
    of = Lattice(emissions, torch.zeros(4, 4), zero, zero, torch.ones(3, 5, dtype=torch.bool))
    assert_close(log_marginals(of), emissions.log_softmax(dim=2), rtol=1e-6, atol=1e-6)


# Hard numbers


def test_sure_taggers_in_float32_have_marginals_to_six_digits():
    of = lattice([60] * 8, 9, seed=3, spread=30.0, forbidden=0.2, dtype=torch.float32)
    close(log_marginals(of).exp(), log_marginals(of.double()).exp(), 1e-6)


@pytest.mark.parametrize("behind", [100.0, 1e4])
def test_a_tag_far_behind_may_still_win(behind):
    emissions = torch.tensor([[[0.0, -behind], [0.0, 2 * behind], [0.0, -behind]]])
    transitions = torch.tensor([[0.0, -torch.inf], [-torch.inf, 0.0]])
    zero, mask = torch.zeros(2), torch.ones(1, 3, dtype=torch.bool)
    of = leaves(Lattice(emissions, transitions, zero, zero, mask))
    assert bool(forward_backward.run(*chain(of.double())).exact) == (behind == 100)
    close(log_partition(of), torch.tensor([math.log(2)]), 1e-6)
    close(log_marginals(of).exp(), torch.full((1, 3, 2), 0.5), 1e-6)
    close(gradients(log_partition(of).sum(), of)[0], torch.full((1, 3, 2), 0.5), 1e-6)
    assert torch.isfinite(gradients(log_marginals(of).square().sum(), of)[0]).all()


def test_long_sentences_stay_exact():
    of = lattice([900, 1, 450], 9, seed=4, spread=8.0, forbidden=0.2)
    sums = log_space.run(*chain(of))
    assert forward_backward.run(*chain(of)).exact.all()
    close(log_partition(of), log_space.log_partition(sums), 1e-12)
    plain = log_space.log_marginals(sums)
    close(log_marginals(of).exp(), plain.exp())


def test_where_every_path_is_forbidden():
    of = lattice([2, 3], 2, seed=1)
    allowed = torch.ones(of.emissions.shape, dtype=torch.bool)
    allowed[0, 1] = False
    of = leaves(of)
    none = restrict(of, allowed)
    gold = torch.zeros(2, 3, dtype=torch.int64)
    assert (log_partition(none) == -torch.inf).tolist() == [True, False]
    assert (nll(none, gold) == torch.inf).tolist() == [True, False]
    assert (log_marginals(none)[0, :2] == -torch.inf).all()
    assert not torch.isnan(entropy(none)).any()
    for gradient in gradients(nll(none, gold).sum(), of):
        assert torch.isfinite(gradient).all()


def test_a_forbidden_gold_path_costs_inf_and_breaks_no_gradient():
    of = lattice([2, 2], 2, seed=1)
    transitions = torch.tensor([[0.0, -torch.inf], [0.0, 0.0]], dtype=torch.float64)
    of = leaves(replace(of, transitions=transitions))
    loss = nll(of, torch.tensor([[0, 1], [0, 0]]))
    assert torch.isfinite(loss).tolist() == [False, True]
    assert all(torch.isfinite(gradient).all() for gradient in gradients(loss.sum(), of))


# Shapes


@pytest.mark.parametrize("shape", [(0, 3, 2), (0, 1, 2), (1, 1, 1), (2, 1, 3), (2, 4, 1)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_small_batches(shape, dtype):
    of = leaves(lattice([shape[1]] * shape[0], shape[2], seed=2, dtype=dtype))
    of = of if shape[0] else empty(shape, dtype)
    gold = torch.zeros(shape[:2], dtype=torch.int64)
    for value in (log_partition(of), score(of, gold), nll(of, gold), entropy(of)):
        assert (value.shape, value.dtype) == (shape[:1], dtype)
    assert log_marginals(of).shape == shape
    loss = nll(of, gold).sum() + log_marginals(of).sum()
    assert all(torch.isfinite(gradient).all() for gradient in gradients(loss, of))


def empty(shape, dtype) -> Lattice:
    tags = shape[2]
    scores = [torch.zeros(x, dtype=dtype) for x in (shape, (tags, tags), (tags,), (tags,))]
    return leaves(Lattice(*scores, mask=torch.zeros(shape[:2], dtype=torch.bool)))


def test_memory_layout_changes_nothing():
    of = lattice([4, 2, 3], 3, seed=7, forbidden=0.2)
    emissions = of.emissions.permute(2, 0, 1).contiguous().permute(1, 2, 0)
    strided = replace(of, emissions=emissions, mask=of.mask.T.contiguous().T)
    assert not strided.emissions.is_contiguous()
    assert torch.equal(log_partition(strided), log_partition(of))
    assert torch.equal(log_marginals(strided), log_marginals(of))


# The worked example of Wang et al. 2020, table 1


def worked_example() -> Lattice:
    """Tag 2n + label at word n; its pair scores differ by word, so words have tags of their own."""
    transitions = torch.full((6, 6), -torch.inf, dtype=torch.float64)
    transitions[0:2, 2:4] = torch.tensor([[2, 1 / 2], [1 / 2, 2]], dtype=torch.float64).log()
    transitions[2:4, 4:6] = torch.tensor([[1 / 3, 3], [4, 1 / 4]], dtype=torch.float64).log()
    start, end = torch.full((2, 6), -torch.inf, dtype=torch.float64)
    start[:2] = end[4:] = 0.0
    emissions = torch.zeros(1, 3, 6, dtype=torch.float64)
    return Lattice(emissions, transitions, start, end, torch.ones(1, 3, dtype=torch.bool))


def printed(tensor, digits: int = 4) -> list[float]:
    return [round(x, digits) for x in tensor.flatten().tolist()]


def test_the_worked_example_has_the_digits_of_the_paper():
    of = worked_example()
    assert printed(log_partition(of).exp(), 6) == [18.958333]
    assert printed(entropy(of)) == [1.4545]
    paths = [torch.tensor([[a, 2 + b, 4 + c]]) for a in (0, 1) for b in (0, 1) for c in (0, 1)]
    probabilities = [printed((-nll(of, path)).exp())[0] for path in paths]
    assert probabilities == [0.0352, 0.3165, 0.1055, 0.0066, 0.0088, 0.0791, 0.4220, 0.0264]
    own = log_marginals(of)[0].exp().reshape(3, 3, 2).diagonal().T
    assert printed(own) == [0.4637, 0.5363, 0.4396, 0.5604, 0.5714, 0.4286]
    pairs = pairwise_log_marginals(of)[0].exp()
    assert printed(pairs[0, 0:2, 2:4]) == [0.3516, 0.1121, 0.0879, 0.4484]
    assert printed(pairs[1, 2:4, 4:6]) == [0.0440, 0.3956, 0.5275, 0.0330]


def test_the_worked_example_has_the_sums_of_the_paper():
    sums = log_space.run(*chain(worked_example()))
    before, after = (
        x[0].exp().reshape(3, 3, 2).diagonal().T.flatten().tolist()
        for x in (sums.before, sums.after)
    )
    assert before == pytest.approx([1, 1, 2.5, 2.5, 10.83, 8.13], abs=0.00501)
    assert after == pytest.approx([8.79, 10.17, 3.33, 4.25, 1, 1], abs=0.00501)


# Refusals


def parts(**changed):
    made = lattice([2, 1], 3, dtype=torch.float32)
    return {**{name: getattr(made, name) for name in (*NAMES, "mask")}, **changed}


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"emissions": torch.zeros(2, 2)}, r"emissions: expected \[batch, words ≥ 1, tags ≥ 1\]"),
        ({"emissions": torch.zeros(0, 0, 3)}, r"emissions: expected .*found \[0, 0, 3\]"),
        ({"emissions": torch.zeros(2, 2, 0)}, "emissions: expected"),
        ({"emissions": torch.zeros(2, 2, 3).half()}, "expected float32 or float64, found torch.fl"),
        ({"transitions": torch.zeros(3, 4)}, r"transitions: expected .*\[3, 3\].*found.*\[3, 4\]"),
        ({"start": torch.zeros(2)}, r"start: expected .*\[3\].*found .*\[2\]"),
        ({"end": torch.zeros(3).double()}, "end: expected torch.float32.*found torch.float64"),
        ({"mask": torch.ones(2, 2)}, "mask: expected torch.bool"),
        ({"mask": torch.tensor([[True, True], [False, False]])}, "sentence 1: .*at least one word"),
        ({"mask": torch.tensor([[True, True], [False, True]])}, "sentence 1: .*behind padding"),
    ],
)
@pytest.mark.usefixtures("unchecked")
def test_what_does_not_fit_together_is_refused(changed, message):
    with pytest.raises(ValueError, match=message):
        Lattice(**parts(**changed))


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_broken_emissions_are_refused_with_the_sentence(value):
    emissions = torch.zeros(2, 2, 3)
    emissions[1, 0, 2] = value
    with pytest.raises(ValueError, match=r"sentence 1: emissions: .*found NaN or"):
        Lattice(**parts(emissions=emissions))


def test_pools_of_different_words_are_refused():
    with pytest.raises(ValueError, match=r"lattice 1 .*lengths \[2, 2\] and \[2, 1\]"):
        pool([lattice([2, 1], 3), lattice([2, 2], 3)])
    with pytest.raises(ValueError, match="at least one lattice"):
        pool([])


@pytest.mark.parametrize("temperature", [0.0, -1.0, math.nan])
def test_temperatures_are_above_zero(temperature):
    with pytest.raises(ValueError, match="temperature: expected"):
        temper(lattice([2], 2), temperature)
