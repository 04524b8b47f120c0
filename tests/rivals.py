"""A made-up comparison: two corpora, a teacher each, recipes that err with known shares."""

import random
from pathlib import Path

from toys import sentences

from pipeline.corpus import read_split, write_split
from pipeline.evaluation import Evaluation, Examined, write_examined
from pipeline.metrics import count
from pipeline.reporting.lineup import Lineup
from pipeline.tags import tag_set

LABELS = ("PER", "LOC", "ORG", "MISC")
TAGS = tag_set(LABELS, "iob2")
LINEUP = Lineup(
    ("en", "sv"), ("gold", "top_wk", "posterior"), (1, 2), {"en": ("en",), "sv": ("sv",)}
)
ERRS = {"teacher": 0.08, "gold": 0.35, "top_wk": 0.25, "posterior": 0.15}


def write_rivals(root: Path, lineup: Lineup = LINEUP, count_of: int = 120) -> Path:
    """Corpora, students and evaluations below `root`, as the stages write them."""
    for place, corpus in enumerate(lineup.corpora):
        words, tags = sentences(count_of, seed=place)
        path = root / "corpora" / corpus / "test.parquet"
        write_split(path, words, tags, tag_set=TAGS, scheme="iob2")
    for name in lineup.teachers:
        own = [corpus for corpus, teachers in lineup.corpora.items() if name in teachers]
        write_examined(root / "evaluations" / "teachers" / name, examined(root, own, "teacher", 0))
    for recipe in lineup.recipes:
        for seed in lineup.seeds:
            student = examined(root, [*lineup.corpora], recipe, seed)
            write_examined(root / "evaluations" / "students" / recipe / str(seed), student)
            _write_curve(root / "students" / recipe / str(seed), ERRS.get(recipe, 0.3), seed)
    return root


def examined(root: Path, corpora: list[str], name: str, seed: int) -> Examined:
    return Examined(
        parameters=22_700_000 if name == "teacher" else 412_345,
        size=91_000_000 if name == "teacher" else 1_700_000,
        corpora={corpus: evaluation(root, corpus, ERRS.get(name, 0.3), seed) for corpus in corpora},
    )


def evaluation(root: Path, corpus: str, errs: float, seed: int) -> Evaluation:
    """What a tagger that errs on a share of the names says."""
    split = read_split(root / "corpora" / corpus / "test.parquet")
    chance = random.Random(f"{corpus} {errs} {seed}")
    predicted = [[_perhaps(tag, errs, chance) for tag in tags] for tags in split.tags]
    counts = count(split.tags, predicted, "iob2")
    return Evaluation(split.sentence_ids, predicted, counts, "iob2")


def _perhaps(tag: str, errs: float, chance: random.Random) -> str:
    return chance.choice(TAGS) if tag != "O" and chance.random() < errs else tag


def _write_curve(folder: Path, errs: float, seed: int) -> None:
    folder.mkdir(parents=True)
    rows = [(40 * n, n, 20 / n, 100 * (1 - errs) * (1 - 0.6**n) + seed) for n in range(1, 11)]
    lines = ["step,epoch,loss,dev_f1", *(",".join(map(str, row)) for row in rows)]
    (folder / "curve.csv").write_text("\n".join(lines) + "\n")
