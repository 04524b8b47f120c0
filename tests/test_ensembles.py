"""Teachers made of others: held to lists of all paths, and through the stage that makes them."""

import itertools
import json
import math
from pathlib import Path

import numpy as np
import oracle
import pytest
import torch
from toys import TAGS, write_corpus

from pipeline.config import parse
from pipeline.corpus import read_split
from pipeline.description import Head
from pipeline.emissions import Emissions, read_emissions, write_emissions
from pipeline.ensembles import Ensemble, Mixture, Pool, Transposed
from pipeline.errors import InputError
from pipeline.evaluation import read_examined
from pipeline.extraction import Extract, best_paths, extract
from pipeline.labelling import labellers
from pipeline.losses.structural import Structural
from pipeline.losses.wordwise import Posterior
from pipeline.networks import BiLSTM
from pipeline.objectives import GoldNLL
from pipeline.recipes import Recipe
from pipeline.students import new_student, save_student
from pipeline.targets import read_targets, write_targets
from pipeline.training import Training
from pipeline.transitions import Transitions, read_transitions
from stages import distill, ensemble, evaluate_teacher

TINY = BiLSTM(words=4, characters=4, hidden=4)
LENGTHS = (1, 2, 3)
PLAIN = ("a", "b", "c")  # flat tags: every sequence is allowed
SOME = {"offsets": np.cumsum([0, *LENGTHS]), "sentence_ids": np.arange(3, dtype=np.int32)}


def transitions(seed: int, head: Head = "crf") -> Transitions:
    found = Transitions(PLAIN, "flat", head)
    torch.manual_seed(seed)
    if head == "crf":
        for scores in found.parameters():
            torch.nn.init.normal_(scores, std=2.0)
    return found.requires_grad_(requires_grad=False)


def emissions(seed: int, tags: int = len(PLAIN)) -> Emissions:
    scores = np.random.default_rng(seed).normal(0, 2, (sum(LENGTHS), tags)).astype(np.float32)
    return Emissions(scores=scores, **SOME)


def members(*heads):
    """Emissions and transitions of as many teachers."""
    between = [transitions(seed, head) for seed, head in enumerate(heads)]
    return [emissions(seed) for seed in range(len(heads))], between


def made(one, rows, between) -> tuple[Emissions, Transitions]:
    """The ensemble's answers, and its transitions as a stored tagger would have them."""
    head, state = one.transitions(between)
    own = Transitions(PLAIN, "flat", head)
    own.load_state_dict(dict(state))
    own.requires_grad_(requires_grad=False)
    return Emissions(scores=one.emissions(rows, between), **SOME), own


def listed(rows: Emissions, between: Transitions) -> list[dict[oracle.Path, float]]:
    """The probability of every path of each sentence."""
    found = []
    for first, end in itertools.pairwise(rows.offsets):
        words = torch.from_numpy(rows.scores[first:end]).double()[None]
        lattice = between.double().lattice(words, torch.tensor([end - first]))
        found.append(oracle.probabilities(lattice, 0))
        between.float()
    return found


def marginal(paths: dict[oracle.Path, float], word: int, tag: int) -> float:
    return math.fsum(p for path, p in paths.items() if path[word] == tag)


@pytest.mark.parametrize("heads", [("crf", "crf"), ("crf", "softmax"), ("softmax",) * 3])
@pytest.mark.parametrize("weights", [None, (3.0, 1.0, 2.0)])
def test_a_pool_is_the_product_of_distributions(heads, weights):
    names = tuple(f"t{n}" for n in range(len(heads)))
    given = weights and weights[: len(heads)]
    rows, between = members(*heads)
    found = listed(*made(Pool(teachers=names, weights=given), rows, between))
    shares = np.array(given or [1.0] * len(heads))
    each = [listed(*pair) for pair in zip(rows, between, strict=True)]
    for sentence, paths in enumerate(found):
        product = {
            path: math.prod(
                p[sentence][path] ** s for p, s in zip(each, shares / shares.sum(), strict=True)
            )
            for path in paths
        }
        total = math.fsum(product.values())
        for path, probability in paths.items():
            assert probability == pytest.approx(product[path] / total, rel=1e-4)


def test_a_pool_of_softmax_taggers_is_one():
    _, between = members("softmax", "softmax")
    assert Pool(teachers=("a", "b")).transitions(between)[0] == "softmax"


@pytest.mark.parametrize("weights", [None, (3.0, 1.0)])
def test_a_mixture_has_the_mean_marginals(weights):
    rows, between = members("crf", "softmax")
    mixed = made(Mixture(teachers=("a", "b"), weights=weights), rows, between)
    targets = extract(*mixed, k=2)
    share = (weights or (1.0, 1.0))[0] / sum(weights or (1.0, 1.0))
    first, second = (listed(*pair) for pair in zip(rows, between, strict=True))
    place = 0
    for sentence, length in enumerate(LENGTHS):
        for word, tag in itertools.product(range(length), range(len(PLAIN))):
            wanted = share * marginal(first[sentence], word, tag)
            wanted += (1 - share) * marginal(second[sentence], word, tag)
            assert np.exp(targets.log_marginals[place + word, tag]) == pytest.approx(
                wanted, abs=1e-5
            )
        place += length


def test_transposed_paths_are_best_under_the_other_reading():
    rows, [between] = [emissions(5)], [transitions(5)]
    found = best_paths(*made(Transposed(teachers=("a",)), rows, [between]))
    for sentence, (first, end) in enumerate(itertools.pairwise(rows[0].offsets)):
        words = rows[0].scores[first:end]

        def score(path, words=words):
            onto = sum(float(between.between[b, a]) for a, b in itertools.pairwise(path))
            return onto + sum(words[n, tag] for n, tag in enumerate(path))

        best = max(itertools.product(range(3), repeat=end - first), key=score)
        assert tuple(found[sentence]) == best


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"kind": "pool", "teachers": ["a"]}, "expected 2 or more, found"),
        ({"kind": "pool", "teachers": ["a", "b"], "weights": [1.0]}, "one weight for each of 2"),
        ({"kind": "mixture", "teachers": ["a", "b"], "weights": [1.0, 0.0]}, "greater than 0"),
        ({"kind": "transposed", "teachers": ["a", "b"]}, "at most 1"),
        ({"kind": "vote", "teachers": ["a", "b"]}, "expected one of 'pool', 'mixture'"),
    ],
)
def test_what_no_ensemble_is(wrong, said):
    with pytest.raises(InputError, match=said):
        parse(Ensemble, wrong, "params.yaml: ensembles.both")


# Through the stage


@pytest.fixture
def scored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two teachers made of noise have scored corpus en, and one of them sv as well."""
    monkeypatch.chdir(tmp_path)
    named = {"en": ["one", "two"], "sv": ["two"]}
    for seed, corpus in enumerate(named):
        write_corpus(Path("corpora") / corpus, train=30, other=10, seed=10 * seed)
    Path("lessons").mkdir()
    Path("lessons/teachers.json").write_text(json.dumps(named))
    for seed, name in enumerate(("one", "two")):
        own = [corpus for corpus, teachers in named.items() if name in teachers]
        Path("lessons", name).mkdir()
        Path("lessons", name, "label.json").write_text(json.dumps(dict.fromkeys(own)))
        write_teacher(name, seed)
        for corpus, kind in itertools.product(own, ("train", "dev", "test", "transfer")):
            write_answers(name, corpus, kind, seed)
    return tmp_path


def write_teacher(name: str, seed: int) -> None:
    torch.manual_seed(seed)
    teacher = new_student(TINY, [["a"]], TAGS, "iob2", "crf")
    for score in teacher.transitions.parameters():
        torch.nn.init.normal_(score)
    Path("teachers", name).mkdir(parents=True)
    save_student(teacher, TINY, Path("teachers", name))


def write_answers(name: str, corpus: str, kind: str, seed: int) -> None:
    split, part = read_split(Path(f"corpora/{corpus}/{kind}.parquet")), f"{name}/{corpus}/{kind}"
    offsets = np.cumsum([0, *map(len, split.words)])
    scores = np.random.default_rng(seed).normal(0, 2, (offsets[-1], len(TAGS)))
    ids = np.array(split.sentence_ids, dtype=np.int32)
    rows = Emissions(ids, offsets, scores.astype(np.float32))
    for folder in ("emissions", "targets"):
        (Path(folder) / part).mkdir(parents=True)
    write_emissions(Path(f"emissions/{part}/part-00000.parquet"), rows, TAGS)
    found = extract(rows, read_transitions(Path("teachers", name)), 3)
    write_targets(Path(f"targets/{part}/part-00000.parquet"), [found], TAGS, 3)


def together(one: Ensemble, name: str = "both", k: int = 3) -> Path:
    out = Path("ensembles") / name
    folders = [Path(place) for place in ("teachers", "emissions", "lessons")]
    ensemble.run(lambda: (one, Extract(k=k)), *folders, out)
    return out


BOTH = Pool(teachers=("one", "two"))


def test_the_stage_writes_what_a_teacher_leaves(scored: Path):
    out = together(BOTH)
    assert list(json.loads((out / "label.json").read_text())) == ["en"]
    rows = [
        next(read_emissions(folder / "en/train"))
        for folder in (Path("emissions/one"), Path("emissions/two"), out / "emissions")
    ]
    np.testing.assert_allclose(rows[2].scores, (rows[0].scores + rows[1].scores) / 2, atol=1e-6)
    wanted = extract(rows[2], read_transitions(out / "teacher"), 3)
    found = next(read_targets(out / "targets/en/train"))
    assert found.paths.tolist() == wanted.paths.tolist()
    np.testing.assert_allclose(found.log_marginals, wanted.log_marginals, atol=2e-3, rtol=1e-3)


def test_the_stage_writes_the_same_bytes_again(scored: Path):
    first, second = (
        {path.name: path.read_bytes() for path in sorted(together(BOTH, name).rglob("*.parquet"))}
        for name in ("both", "again")
    )
    assert first == second


def test_an_ensemble_is_examined_as_a_teacher_is(scored: Path):
    out = together(BOTH)
    folders = (out / "teacher", out / "emissions", Path("corpora"), out / "label.json")
    evaluate_teacher.run(*folders, Path("evaluations/both"))
    found = read_examined(Path("evaluations/both"))
    assert [*found.corpora] == ["en"]
    one = torch.nn.utils.parameters_to_vector(
        new_student(TINY, [["a"]], TAGS, "iob2", "crf").parameters()
    )
    assert found.parameters > 2 * len(one)


def learn(*objectives, teachers=()) -> None:
    recipe = Recipe(student=TINY, objectives=objectives, transfer="all", teachers=teachers)
    training = Training(epochs=1, learning_rate=0.01)
    names = ("corpora", "lessons", "emissions", "targets", "teachers", "ensembles")
    folders = {name: Path(name) for name in names}
    distill.run(lambda: (recipe, training), **folders, out=Path("students/r/1"))


def caught(monkeypatch: pytest.MonkeyPatch) -> list:
    examples: list = []
    monkeypatch.setattr(distill, "learn", lambda student, found, *_: examples.append(found) or [])
    return examples


def test_a_recipe_learns_from_the_ensemble_that_it_names(scored: Path, monkeypatch):
    out, examples = together(BOTH), caught(monkeypatch)
    learn(Posterior(), Structural(), teachers=("both",))
    words, (_, targets) = examples[0].batch([0])
    wanted = next(read_targets(out / "targets/en/train")).log_marginals[: len(words[0])]
    np.testing.assert_array_equal(targets.log_marginals[0].numpy(), wanted.astype(np.float32))
    sizes = [len(read_split(Path(f"corpora/en/{kind}.parquet"))) for kind in ("train", "transfer")]
    # Nobody that the recipe names labels the transfer text of sv: its train is read for gold alone.
    assert len(examples[0]) == sum(sizes) + 30


def test_without_a_choice_the_first_teacher_labels(scored: Path, monkeypatch):
    together(BOTH)
    examples = caught(monkeypatch)
    learn(Posterior())
    words, (_, targets) = examples[0].batch([0])
    wanted = next(read_targets(Path("targets/one/en/train"))).log_marginals[: len(words[0])]
    np.testing.assert_array_equal(targets.log_marginals[0].numpy(), wanted.astype(np.float32))


def test_who_labels_what(scored: Path):
    together(BOTH)
    lessons, ensembles = Path("lessons"), Path("ensembles")
    assert labellers(lessons, ensembles, (), "") == {"en": "one", "sv": "two"}
    assert labellers(lessons, ensembles, ("two",), "") == {"en": "two", "sv": "two"}
    assert labellers(lessons, ensembles, ("both",), "") == {"en": "both", "sv": None}
    assert labellers(lessons, ensembles, ("both", "two"), "") == {"en": "both", "sv": "two"}
    assert labellers(lessons, ensembles, ("two", "one"), "") == {"en": "two", "sv": "two"}
    with pytest.raises(
        InputError, match=r"recipes\.r\.teachers: .* found three, which labels none"
    ):
        labellers(lessons, ensembles, ("three",), "recipes.r.teachers")


def test_members_must_share_a_corpus(scored: Path):
    Path("lessons/one/label.json").write_text(json.dumps({"da": None}))
    with pytest.raises(InputError, match=r"ensembles\.both\.teachers: .* all of them label"):
        together(BOTH)


def test_members_must_have_scored_the_same_sentences(scored: Path):
    path = Path("emissions/two/en/train/part-00000.parquet")
    rows = next(read_emissions(path.parent))
    write_emissions(path, rows[slice(0, len(rows) - 1)], TAGS)
    with pytest.raises(InputError, match=r"expected the sentences of .*one.* found others"):
        together(BOTH)


def test_gold_alone_needs_no_ensemble(scored: Path):
    recipe = Recipe(student=TINY, objectives=(GoldNLL(),))
    names = ("corpora", "lessons", "emissions", "targets", "teachers", "ensembles")
    distill.run(
        lambda: (recipe, Training(epochs=1, learning_rate=0.01)),
        **{name: Path(name) for name in names},
        out=Path("students/gold/1"),
    )
    assert Path("students/gold/1/curve.csv").exists()
