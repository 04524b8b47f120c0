"""The paired test and the interval: known cases, enumeration on tiny data, uniform under chance."""

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.config import parse
from pipeline.errors import InputError
from pipeline.metrics import f_score
from pipeline.significance import Evaluate, difference, interval, p_value

FEW = Evaluate(samples=400, seed=3)


def outcomes(random, sentences, share, spans=3):
    """Counts [sentences, 3] of a tagger that finds each of some spans with probability `share`."""
    gold = random.integers(0, spans + 1, sentences)
    return gold, np.stack([random.binomial(gold, share), gold, gold], axis=1)


def pair(random, sentences, ours, theirs):
    gold, first = outcomes(random, sentences, ours)
    second = np.stack([random.binomial(gold, theirs), gold, gold], axis=1)
    return first, second


def enumerated(pairs):
    """The exact share of all swaps with at least the observed difference."""
    sizes = [len(ours) for ours, _ in pairs]
    observed, large, swaps = abs(difference(pairs)), 0, list(product([0, 1], repeat=sum(sizes)))
    for swap in swaps:
        parts = np.split(np.array(swap)[:, None], np.cumsum(sizes)[:-1])
        mixed = [
            (np.where(part, theirs, ours), np.where(part, ours, theirs))
            for part, (ours, theirs) in zip(parts, pairs, strict=True)
        ]
        large += abs(difference(mixed)) >= observed - 1e-9
    return large / len(swaps)


def test_a_tagger_does_not_differ_from_itself():
    _, sums = outcomes(np.random.default_rng(0), 50, 0.5)
    assert p_value([(sums, sums)], FEW) == 1.0
    assert interval([(sums, sums)], FEW) == (0.0, 0.0)


def test_the_test_agrees_with_enumeration_of_all_swaps():
    random, many = np.random.default_rng(4), Evaluate(samples=40_000)
    for _ in range(4):
        pairs = [pair(random, 6, 0.8, 0.4), pair(random, 4, 0.7, 0.5)]
        assert p_value(pairs, many) == pytest.approx(enumerated(pairs), abs=0.01)


def test_under_chance_p_values_are_uniform():
    random = np.random.default_rng(5)
    pairs = [[pair(random, 200, 0.6, 0.6), pair(random, 100, 0.3, 0.3)] for _ in range(400)]
    found = np.array([p_value(each, FEW) for each in pairs])
    for share in (0.05, 0.1, 0.25, 0.5, 0.75):
        spread = 3 * np.sqrt(share * (1 - share) / len(found))
        assert np.mean(found <= share) == pytest.approx(share, abs=spread + 0.01)


def test_a_better_tagger_is_found_whichever_side_it_is_on():
    ours, theirs = pair(np.random.default_rng(6), 300, 0.8, 0.6)
    p = p_value([(ours, theirs)], FEW)
    assert p == pytest.approx(1 / (1 + FEW.samples))
    assert p_value([(theirs, ours)], FEW) == p
    low, high = interval([(ours, theirs)], FEW)
    assert 0 < low < difference([(ours, theirs)]) < high


def test_the_interval_holds_the_true_difference_as_often_as_it_says():
    random, true, held = np.random.default_rng(7), 0.0, []
    for _ in range(300):
        low, high = interval([pair(random, 150, 0.5, 0.5)], FEW)
        held.append(low <= true <= high)
    assert np.mean(held) == pytest.approx(0.95, abs=0.04)


def test_the_interval_is_as_wide_as_plain_resampling_makes_it():
    random, evaluate = np.random.default_rng(8), Evaluate(samples=4000)
    ours, theirs = pair(random, 80, 0.7, 0.5)
    chosen = random.integers(0, 80, (4000, 80))
    plain = f_score(ours[chosen].sum(axis=1)) - f_score(theirs[chosen].sum(axis=1))
    expected = np.quantile(plain, [0.025, 0.975])
    assert interval([(ours, theirs)], evaluate) == pytest.approx(expected, abs=0.7)


@settings(max_examples=50)
@given(st.integers(0, 2**32), st.integers(1, 30))
def test_p_is_a_probability_and_the_same_each_time(seed, sentences):
    random = np.random.default_rng(seed)
    pairs = [pair(random, sentences, 0.7, 0.5), pair(random, sentences, 0.2, 0.5)]
    p = p_value(pairs, FEW)
    assert 0 < p <= 1
    assert p_value(pairs, FEW) == p


def test_a_small_corpus_weighs_as_much_as_a_large_one():
    large = (np.array([[10, 10, 10]] * 9), np.array([[10, 10, 10]] * 9))
    small = (np.array([[1, 1, 1]]), np.array([[0, 1, 1]]))
    assert difference([large, small]) == pytest.approx(50)


def test_no_samples_are_refused():
    with pytest.raises(InputError, match=r"evaluate\.samples"):
        parse(Evaluate, {"samples": 0}, "params.yaml: evaluate")
