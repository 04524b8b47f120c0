"""The GPU's programs: equal to listing every path; interpreted, word by word, where there is none.

That they compile is asked too: what an interpreter lets pass need not.
"""

import math

import interpreted
import oracle
import pytest
import torch
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st
from makers import lattice, lattices
from torch.testing import assert_close

from pipeline.kernels import forward_backward, gpu, log_space
from pipeline.lattice import Lattice

pytest.importorskip("triton", reason="Triton is not installed, and only that runs on a GPU")
few = examples(max_examples=12)
ON_GPU = torch.cuda.is_available()


@pytest.fixture(scope="module")
def kernels():
    """Calls a function of `interpreted`, of tensors on the CPU."""
    if ON_GPU:
        yield lambda function, *arguments: function("cuda", *arguments)
        return
    with interpreted.process() as process:
        yield lambda function, *arguments: process.submit(function, "cpu", *arguments).result()


def call(kernels, name, *arguments):
    arrays = (
        tuple(part.numpy() for part in x) if isinstance(x, tuple) else x.numpy() for x in arguments
    )
    found = kernels(interpreted.call, name, *arrays)
    several = isinstance(found, tuple)
    return tuple(map(torch.from_numpy, found)) if several else torch.from_numpy(found)


def differentiate(kernels, name, *arguments):
    arrays = (x.detach().numpy() for x in arguments)
    return map(torch.from_numpy, kernels(interpreted.differentiate, name, *arrays))


def chain(of: Lattice):
    return of.emissions, of.transitions, of.start, of.end, of.lengths


def run(kernels, of: Lattice) -> gpu.Pass:
    found = gpu.Pass(*call(kernels, "run", *chain(of)))
    unread = ~(of.mask & found.exact[:, None])
    for part in (found.before, found.onward, found.after, found.steps):
        assert (part[unread] == 0).all()
    return found


def slowly(of: Lattice):
    """Log-partition and log-marginals in log space, and the leaves they come from."""
    emissions = torch.where(of.mask[:, :, None], of.emissions, 0.0)
    scores = (emissions, of.transitions, of.start, of.end)
    leaves = [x.double().requires_grad_() for x in scores]
    sums = log_space.run(*leaves, of.lengths)
    return log_space.log_partition(sums), log_space.log_marginals(sums), leaves


def close(found, expected, tolerance=1e-9):
    assert_close(found, expected, rtol=tolerance, atol=tolerance)


def test_the_gpu_is_used_where_there_is_one():
    assert gpu.available() == ON_GPU


# Sums


@few
@given(lattices())
def test_sums_are_those_of_all_paths(kernels, of):
    found = run(kernels, of)
    sure = found.exact
    assert sure.all() or of.emissions[of.mask].abs().max() > 100
    close(found.log_partition[sure], oracle.log_partition(of)[sure])
    words = of.mask & sure[:, None]
    close(found.marginals[words], oracle.marginals(of)[words])
    both = found.before[:, :-1, :, None] * found.factors[0] * found.onward[:, :-1, None]
    words = of.mask[:, 1:] & sure[:, None]
    close(both[words], oracle.pairwise_marginals(of)[words])


@few
@given(lattices(dtype=torch.float32, spreads=(1.0, 10.0)))
def test_float32_is_as_good_as_its_scores(kernels, of):
    found = run(kernels, of)
    close(found.log_partition, oracle.log_partition(of))
    close(found.marginals[of.mask], oracle.marginals(of)[of.mask])


@few
@given(lattices(spreads=(0.1, 1.0, 10.0)), st.integers(0, 99))
def test_values_and_gradients_are_those_of_log_space(kernels, of, seed):
    log_partition, log_marginals, leaves = slowly(of)
    random = torch.Generator().manual_seed(seed)
    each, weights = (
        torch.randn(x.shape, generator=random, dtype=torch.float64)
        for x in (log_partition, log_marginals)
    )
    weights = torch.where(log_marginals.detach() > -30, weights, 0.0)
    gold = torch.randint(of.emissions.shape[2], of.mask.shape, generator=random)
    gold[~of.mask] = -1
    costs = log_partition - forward_backward.score(*leaves, lengths=of.lengths, path=gold)
    for name, expected, weighted, *more in (
        ("nll", costs, torch.where(costs.detach() < torch.inf, each, 0.0), gold),
        ("log_marginals", log_marginals, weights),
    ):
        value, exact, *found = differentiate(kernels, name, *chain(of), weighted, *more)
        assert exact.all()
        used = weighted != 0
        close(value[used], expected[used].detach())
        total = torch.where(used, expected, 0.0) * weighted
        slow = torch.autograd.grad(total.sum(), leaves, retain_graph=True, materialize_grads=True)
        for one, other in zip(found, slow, strict=True):
            close(one, other, 1e-8)


def test_sure_taggers_have_marginals_to_nine_digits(kernels):
    for spread in (30.0, 60.0):
        of = lattice([40, 7], 9, seed=3, spread=spread, forbidden=0.2, dtype=torch.float32)
        found = run(kernels, of)
        assert found.exact.all()
        close(found.marginals[of.mask], slowly(of)[1].detach().exp()[of.mask])


def test_long_sentences_stay_exact(kernels):
    lengths = [5000, 1, 2500] if ON_GPU else [150, 1]
    of = lattice(lengths, 9, seed=4, spread=8.0, forbidden=0.2)
    found = run(kernels, of)
    assert found.exact.all()
    log_partition, log_marginals, _ = slowly(of)
    close(found.log_partition, log_partition.detach(), 1e-12)
    close(found.marginals[of.mask], log_marginals.detach().exp()[of.mask])


def test_each_sentence_tells_whether_it_is_exact(kernels):
    far = [0.0, -100.0], [0.0, 200.0], [0.0, -100.0]
    emissions = torch.tensor([far, far, far])
    emissions[1] *= 100
    emissions[2, 1] = -torch.inf
    transitions = torch.tensor([[0.0, -torch.inf], [-torch.inf, 0.0]])
    zero, mask = torch.zeros(2), torch.ones(3, 3, dtype=torch.bool)
    found = run(kernels, Lattice(emissions, transitions, zero, zero, mask))
    assert found.exact.tolist() == [True, False, False]
    close(found.log_partition[:1], torch.tensor([math.log(2)], dtype=torch.float64))
    close(found.marginals[0], torch.full((3, 2), 0.5, dtype=torch.float64))


# The best path


@few
@given(lattices())
def test_the_best_path_is_that_of_all_listed(kernels, of):
    paths = call(kernels, "viterbi", *chain(of))
    assert paths.dtype == torch.int64
    assert (paths[~of.mask] == 0).all()
    for sentence, length in enumerate(of.lengths.tolist()):
        log_probs = dict(oracle.best(of, sentence))
        best = max(log_probs.values())
        found = log_probs[tuple(paths[sentence, :length].tolist())]
        assert found == pytest.approx(best, rel=1e-9, abs=1e-9)


@few
@given(lattices(spreads=(1.0, 1e4)))
def test_of_equal_paths_the_best_has_the_lowest_tags_from_the_last_word_on(kernels, of):
    of = Lattice(*(x.round() for x in (of.emissions, of.transitions, of.start, of.end)), of.mask)
    paths = call(kernels, "viterbi", *chain(of))
    for sentence, length in enumerate(of.lengths.tolist()):
        assert tuple(paths[sentence, :length].tolist()) == oracle.best(of, sentence)[0][0]


# Shapes


@pytest.mark.parametrize("tags", [1, 16, 17, 33, 128])
def test_any_number_of_tags(kernels, tags):
    of = lattice([3, 1], tags, seed=2, spread=3.0, forbidden=0.3, dtype=torch.float32)
    found = run(kernels, of)
    log_partition, log_marginals, _ = slowly(of)
    close(found.log_partition, log_partition.detach())
    close(found.marginals[of.mask], log_marginals.detach().exp()[of.mask])
    paths = call(kernels, "viterbi", *chain(of))
    for sentence in range(2):
        best = oracle.best_by_merging(of.double(), sentence, 1)[0][1]
        assert tuple(paths[sentence, : len(best)].tolist()) == best


def test_more_tags_than_registers_hold_are_left_to_others():
    with pytest.raises(ValueError, match="tags: expected 1 to 128, found 129"):
        gpu.viterbi(*chain(lattice([1], 129)))


@pytest.mark.parametrize("shape", [(0, 3, 2), (0, 1, 1), (1, 1, 1), (2, 1, 3), (2, 4, 1)])
def test_small_batches(kernels, shape):
    batch, words, tags = shape
    scores = [torch.zeros(x) for x in (shape, (tags, tags), (tags,), (tags,))]
    of = Lattice(*scores, mask=torch.ones(batch, words, dtype=torch.bool))
    found = run(kernels, of)
    assert found.log_partition.tolist() == pytest.approx([words * math.log(tags)] * batch)
    moved = gpu.Tangents(*call(kernels, "tangents", found, found.marginals, of.lengths))
    assert [x.shape for x in moved] == [shape] * 3
    assert call(kernels, "viterbi", *chain(of)).tolist() == [[0] * words] * batch
    gold, each = torch.zeros(batch, words, dtype=torch.int64), torch.ones(batch).double()
    for name, *arguments in (("nll", each, gold), ("log_marginals", torch.ones(shape))):
        value, _, *gradients = differentiate(kernels, name, *chain(of), *arguments)
        assert value.shape == arguments[0].shape
        assert [(x.shape, x.dtype) for x in gradients] == [(x.shape, x.dtype) for x in scores]


def test_memory_layout_changes_nothing(kernels):
    of = lattice([4, 2, 3], 3, seed=7, forbidden=0.2)
    emissions, transitions, start, end, lengths = chain(of)
    strided = (emissions.mT.contiguous().mT, transitions.T.contiguous().T, start, end, lengths)
    reversed_ = (emissions.permute(2, 1, 0).contiguous().permute(2, 1, 0), *strided[1:])
    for other in (strided, reversed_):
        assert not other[0].is_contiguous()
        for one, two in zip(
            call(kernels, "run", *chain(of)), call(kernels, "run", *other), strict=True
        ):
            assert torch.equal(one, two)
        assert torch.equal(call(kernels, "viterbi", *chain(of)), call(kernels, "viterbi", *other))


# Compiled


POINTERS = {
    "*fp32": ("emissions", "transitions", "start", "end"),
    "*i64": ("lengths", "path", "paths"),
    "*i8": ("previous",),
    "*i1": ("exact",),
    "i32": ("by_sentence", "by_word", "by_tag", "words", "tags"),
}


@pytest.mark.parametrize("warps", [1, 4])
@pytest.mark.parametrize(
    "name",
    ["raise_transitions", "raise_words", "reach", "normalise", "tangent", "score", "viterbi"],
)
def test_programs_compile_for_hopper(name, warps, tmp_path, monkeypatch):
    from triton import compile
    from triton.backends.compiler import GPUTarget
    from triton.compiler import ASTSource

    from pipeline.kernels import programs

    monkeypatch.setenv("TRITON_CACHE_DIR", str(tmp_path))
    program = getattr(programs, name)
    constants = {"COLUMNS": 32 if warps == 1 else 64, "ROWS": 8, "REACH": gpu.REACH}
    constants = {key: constants[key] for key in program.arg_names if key in constants}
    kinds = {name: kind for kind, names in POINTERS.items() for name in names}
    signature = {
        key: "constexpr" if key in constants else kinds.get(key, "*fp64")
        for key in program.arg_names
    }
    source = ASTSource(fn=program, signature=signature, constexprs=constants)
    options = {"num_warps": warps, **gpu.FUSED}
    assert compile(source, target=GPUTarget("cuda", 90, 32), options=options).asm["cubin"]
