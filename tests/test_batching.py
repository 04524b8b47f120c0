"""Every sentence is in one batch, within the budget, in an order that only the seed decides."""

from hypothesis import given
from hypothesis import strategies as st

from pipeline.batching import in_order, shuffled

LENGTHS = st.lists(st.integers(1, 40), max_size=200)
BUDGET = st.integers(1, 300)


def within(batches: list[list[int]], lengths: list[int], budget: int) -> bool:
    several = [batch for batch in batches if len(batch) > 1]
    return all(len(batch) * max(lengths[i] for i in batch) <= budget for batch in several)


@given(LENGTHS, BUDGET)
def test_inference_takes_the_longest_first(lengths, budget):
    batches = in_order(lengths, budget)
    flat = [index for batch in batches for index in batch]
    assert sorted(flat) == list(range(len(lengths)))
    assert [lengths[i] for i in flat] == sorted(lengths, reverse=True)
    assert within(batches, lengths, budget)


@given(LENGTHS, BUDGET, st.integers(0, 5))
def test_an_epoch_has_every_sentence_once(lengths, budget, seed):
    batches = shuffled(lengths, budget, seed)
    assert sorted(index for batch in batches for index in batch) == list(range(len(lengths)))
    assert within(batches, lengths, budget)
    assert shuffled(lengths, budget, seed) == batches


def test_seeds_give_other_orders():
    lengths = [5] * 100
    assert shuffled(lengths, 20, 1) != shuffled(lengths, 20, 2)


def test_padding_is_rare():
    lengths = [1 + (7 * i) % 40 for i in range(2000)]
    batches = shuffled(lengths, 400, 0)
    padded = sum(len(batch) * max(lengths[i] for i in batch) for batch in batches)
    assert sum(lengths) / padded > 0.9
