"""The compiled kernels: the same as the plain ones where lists are too long to write down."""

import hashlib
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st
from makers import lattice
from numba import njit

from pipeline import decoding
from pipeline.kernels import (
    entries,
    gradients,
    log_space,
    paths,
    plain_paths,
    sums,
    sweeps,
    threads,
    vectors,
)
from pipeline.lattice import Lattice, log_marginals, log_partition, score

few = examples(max_examples=25)
KERNELS = Path(vectors.__file__).parent


@pytest.mark.parametrize("module", [sweeps, gradients, paths])
def test_kernels_are_compiled_anew_where_what_it_imports_changed(module):
    names = re.findall(r"^from pipeline\.kernels\.(\w+) import", source(module.__name__), re.M)
    deeper = [
        x for n in names for x in re.findall(r"^from pipeline\.kernels\.(\w+) ", source(n), re.M)
    ]
    sources = "".join(source(name) for name in sorted({*names, *deeper} - {"threads"}))
    digest = hashlib.sha256(sources.encode()).hexdigest()[:8]
    assert digest == module.BUILT_FROM, f'write BUILT_FROM = "{digest}" into {module.__name__}'


def source(name: str) -> str:
    return (KERNELS / f"{name.split('.')[-1]}.py").read_text()


def longer():
    """Batches of up to a dozen sentences of up to 60 words, with ties and forbidden scores."""
    return st.builds(
        lattice,
        st.lists(st.integers(1, 60), min_size=1, max_size=12),
        st.integers(1, 20),
        seed=st.integers(0, 2**16),
        spread=st.sampled_from([0.1, 3.0, 100.0, 1e4]),
        forbidden=st.sampled_from([0.0, 0.3, 0.9]),
        step=st.sampled_from([None, 1.0, 50.0]),
        dtype=st.sampled_from([torch.float32, torch.float64]),
    )


def rows(of: Lattice) -> tuple:
    """What the kernels take: rows, where each sentence begins, lengths, and the other scores."""
    batch, words, tags = of.emissions.shape
    emissions = of.emissions.reshape(-1, tags).numpy()
    between = (x.double().numpy() for x in (of.transitions, of.start, of.end))
    return emissions, np.arange(batch) * words, of.lengths.numpy(), *between


def packed(of: Lattice) -> tuple:
    """The same without padding."""
    lengths = of.lengths.numpy()
    return of.emissions[of.mask].numpy(), lengths.cumsum() - lengths, *rows(of)[2:]


@few
@given(longer(), st.sampled_from([1, 2, 7, 40]))
def test_paths_are_those_of_the_plain_decoder_even_among_ties(of, k):
    agree_with_the_plain_decoder(of, k)


def agree_with_the_plain_decoder(of: Lattice, k: int) -> None:
    expected, regrets = plain_paths.k_best(decoding.plain_chain(of), k)
    found, (_, costs, best) = decoding._compiled(of, k)
    assert torch.equal(torch.from_numpy(costs), regrets)
    expected = torch.where((regrets < torch.inf)[:, :, None] & of.mask[:, None], expected, 0)
    assert torch.equal(found, expected)
    expected = score(of.double(), expected[:, 0])
    torch.testing.assert_close(torch.from_numpy(best), expected, rtol=1e-12, atol=1e-12)


@few
@given(longer())
def test_sums_are_those_of_log_space(of):
    emissions, *others = (x.double() for x in (of.emissions, of.transitions, of.start, of.end))
    emissions = torch.where(of.mask[:, :, None], emissions, 0.0)
    plain = log_space.run(emissions, *others, of.lengths)
    torch.testing.assert_close(
        log_partition(of).double(), log_space.log_partition(plain), rtol=1e-6, atol=1e-6
    )
    expected = log_space.log_marginals(plain).exp()
    torch.testing.assert_close(log_marginals(of).double().exp(), expected, rtol=1e-5, atol=1e-6)


@few
@given(longer(), st.integers(1, 5))
def test_padding_and_threads_change_nothing(of, k):
    whole, tight = rows(of), packed(of)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(threads, "WORTH", 1)
        one, other = sums.run(*whole, logs=True)[0], sums.run(*tight, logs=True, threads=3)[0]
        best, same = paths.k_best(*whole, k), paths.k_best(*tight, k, threads=3)
    assert np.array_equal(one.log_partition, other.log_partition)
    assert np.array_equal(one.exact, other.exact)
    exact = torch.from_numpy(one.exact)[:, None] & of.mask
    logs = torch.from_numpy(one.log_marginals).view(of.emissions.shape)
    assert torch.equal(logs[exact], torch.from_numpy(other.log_marginals)[exact[of.mask]])
    assert all(np.array_equal(a, b) for a, b in zip(best, same, strict=True))


def test_many_tags_and_long_sentences():
    for lengths, tags in (([5000, 3], 3), ([20, 7], 265)):
        of = lattice(lengths, tags, spread=5.0, forbidden=0.2, seed=1)
        agree_with_the_plain_decoder(of, 3)
        assert sums.run(*rows(of))[0].exact.all()
        marginals = log_marginals(of).exp().sum(dim=2)
        torch.testing.assert_close(marginals[of.mask], torch.ones_like(marginals[of.mask]))


def test_what_underflows_is_noticed_in_its_sentence_alone():
    """Tag 1 falls behind by more than float64 holds, and the end demands it."""
    easy, hard = torch.zeros(4, 2, dtype=torch.float64), torch.zeros(4, 2, dtype=torch.float64)
    hard[1, 1] = -800.0
    forbidden = torch.tensor([[0.0, -torch.inf], [-torch.inf, 0.0]], dtype=torch.float64)
    ends = torch.tensor([-torch.inf, 0.0], dtype=torch.float64)
    of = Lattice(
        torch.stack([easy, hard]), forbidden, torch.zeros_like(ends), ends,
        torch.ones(2, 4, dtype=torch.bool),
    )  # fmt: skip
    assert sums.run(*rows(of))[0].exact.tolist() == [True, False]
    torch.testing.assert_close(log_partition(of), torch.tensor([0.0, -800.0]).double())
    assert (log_marginals(of)[:, :, 1] == 0).all()


def test_a_path_with_a_tag_that_does_not_exist_is_refused():
    of = lattice([2], 2)
    with pytest.raises(IndexError, match="tags from 0 to 1"):
        sums.scores(*rows(of), np.array([0, 2]))


def apply(operation, one):
    """An operation over a table of as many numbers as are given, beside ones; and that table."""
    table = np.resize(np.array(one, dtype=np.float64), (len(one), vectors.LANES))

    @njit
    def run(one, other):
        found = np.empty_like(one)
        for row in range(len(one)):
            operation(found, row, one, row, other, row, 0.0)
        return found

    return run(table, np.ones_like(table)), table


def test_exp_and_log_are_right_to_the_last_digits():
    random = np.random.default_rng(0)
    x = -random.exponential(60.0, 800)
    found, x = apply(entries.exp_below, x)
    np.testing.assert_allclose(found, np.exp(x) * (x >= -708), rtol=4e-16)
    limits, _ = apply(entries.exp_below, [0.0, -np.inf, -707.0, -709.0])
    assert limits[0, :4].tolist() == [1.0, 0.0, pytest.approx(np.exp(-707.0)), 0.0]
    near = 1 - random.random(800) * 1e-3
    for p in (np.exp(-random.exponential(60.0, 800)), near):
        found, p = apply(entries.log_product, p)
        np.testing.assert_allclose(found, np.log(p), rtol=6e-16, atol=1e-17)
    limits, _ = apply(entries.log_product, [1.0, 0.0, 1e-200, 1e-310])
    assert limits[0, :4].tolist() == [0.0, -np.inf, pytest.approx(np.log(1e-200)), -np.inf]


def test_what_matrices_are_made_of_lies_the_same_in_every_run():
    of = rows(lattice([7, 3], 5))
    for _ in range(5):
        pieces = sums.run(*of, keep=True)[1]
        assert all(part.ctypes.data % 64 == 0 for part in (*pieces, pieces.before[1]))
