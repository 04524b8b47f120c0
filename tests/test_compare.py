"""Evaluate, compare, table: figures as defined, folders as the grid names them, nothing halfway."""

import csv
import json
import math
import re
import shutil
from dataclasses import replace
from pathlib import Path
from statistics import fmean, stdev

import pytest
from rivals import LINEUP, write_rivals

from pipeline.corpus import read_split, write_split
from pipeline.ensembles import Pool
from pipeline.errors import InputError
from pipeline.evaluation import Evaluation, Examined, read_examined, write_examined
from pipeline.metrics import count, f1
from pipeline.raw.sources import Corpus
from pipeline.reporting.comparison import contests, standings, summary
from pipeline.reporting.findings import Checked, best_recipe
from pipeline.reporting.lineup import Lineup, Results
from pipeline.significance import Evaluate
from stages import compare, table
from stages.params import Grid

FEW = Evaluate(samples=200)
OUTS = ("metrics/summary.json", "plots", "reports/report.html")


def run(root, lineup=LINEUP):
    inputs = [root / name for name in ("corpora", "students", "evaluations")]
    compare.run(lineup, FEW, {}, *inputs, *outs(root))
    return json.loads((root / OUTS[0]).read_text())


def outs(root):
    return [root / name for name in OUTS]


def tagger(found, gold=(("S-A",),) * 10, corpora=("x",)):
    """One that finds the first `found` of ten names."""
    tags = [["S-A"] if place < found else ["O"] for place in range(10)]
    counts = count(gold, tags, "bioes")
    evaluation = Evaluation([*range(10)], tags, counts, "bioes")
    return Examined(1000, 4000, dict.fromkeys(corpora, evaluation))


def figures(teacher, **recipes):
    """Summary of a teacher and recipes by how many of ten names their seeds find."""
    seeds = len(next(iter(recipes.values())))
    lineup = Lineup(("t",), (*recipes,), (*range(seeds),), {"x": ("t",)})
    students = {name: tuple(map(tagger, found)) for name, found in recipes.items()}
    results = Results(lineup, {"t": tagger(teacher)}, students)
    return summary(results, standings(results, FEW))["recipes"]


def by_hand(found):
    return 100 * 2 * found / (found + 10)


def test_figures_are_as_defined():
    found = figures(9, plain=(4, 6), taught=(7, 8))["taught"]
    score, plain = fmean(map(by_hand, (7, 8))), fmean(map(by_hand, (4, 6)))
    assert found["f1"] == round(score, 2)
    assert found["f1_std"] == round(stdev(map(by_hand, (7, 8))), 2)
    assert found["retention"] == round(score / by_hand(9), 4)
    assert found["gap_closed"] == round((score - plain) / (by_hand(9) - plain), 4)
    assert found["seeds"] == 2
    assert 0 < found["p_value"] < 1
    assert found["corpora"] == {"x": {"f1": found["f1"]}}
    assert (found["parameters"], found["bytes"]) == (1000, 4000)


def test_the_baseline_is_compared_with_nobody():
    plain = figures(9, plain=(4, 6), taught=(7, 8))["plain"]
    assert plain["p_value"] is None
    assert plain["gap_closed"] == 0


def test_figures_that_have_no_meaning_are_null():
    found = figures(5, plain=(5,), taught=(7,))["taught"]
    assert found["gap_closed"] is None  # no gap to close
    assert found["f1_std"] is None  # one seed
    assert figures(0, plain=(5,), taught=(7,))["taught"]["retention"] is None


def test_agreement_is_with_the_teacher_and_not_with_gold():
    found = figures(5, plain=(5,), taught=(10,))
    assert found["plain"]["agreement"] == 100
    assert found["taught"]["agreement"] == round(100 * 2 * 5 / 15, 2)


def test_retention_looks_at_taught_corpora_only():
    lineup = Lineup(("t",), ("plain",), (1,), {"x": ("t",), "y": ()})
    student = Examined(1, 1, {"x": tagger(6).corpora["x"], "y": tagger(2).corpora["x"]})
    results = Results(lineup, {"t": tagger(9)}, {"plain": (student,)})
    found = summary(results, standings(results, FEW))["recipes"]["plain"]
    assert found["f1"] == round((by_hand(6) + by_hand(2)) / 2, 2)
    assert found["retention"] == round(by_hand(6) / by_hand(9), 4)


def test_zero_shot_corpora_stand_apart():
    lineup = Lineup(("t",), ("plain", "taught"), (1,), {"x": ("t",), "z": ("t",)}, frozenset("z"))
    seen, unseen = {"plain": 5, "taught": 6}, {"plain": 3, "taught": 4}
    students = {
        name: (Examined(1, 1, {"x": tagger(seen[name]).corpora["x"], "z": tagger(n).corpora["x"]}),)
        for name, n in unseen.items()
    }
    both = Examined(1, 1, dict.fromkeys("xz", tagger(9).corpora["x"]))
    results = Results(lineup, {"t": both}, students)
    found = summary(results, standings(results, FEW))["recipes"]["taught"]
    assert found["f1"] == round(by_hand(6), 2)
    assert found["retention"] == round(by_hand(6) / by_hand(9), 4)
    assert found["zero_shot"]["f1"] == round(by_hand(4), 2)
    assert 0 < found["zero_shot"]["p_value"] <= 1
    assert {*found["corpora"]} == {"x", "z"}


def test_recipes_are_compared_with_each_other_where_asked():
    lineup = Lineup(("t",), ("plain", "a", "b"), (1,), {"x": ("t",)})
    students = {name: (tagger(n),) for name, n in {"plain": 4, "a": 8, "b": 6}.items()}
    results = Results(lineup, {"t": tagger(9)}, students)
    asked = replace(FEW, pairs=(("a", "b"), ("b", "a")))
    found = summary(results, standings(results, asked), contests(results, asked))["pairs"]
    ahead, behind = found["a - b"], found["b - a"]
    assert ahead["difference"] == round(by_hand(8) - by_hand(6), 2) == -behind["difference"]
    assert ahead["interval"]["low"] <= ahead["difference"] <= ahead["interval"]["high"]
    assert ahead["p_value"] == pytest.approx(behind["p_value"], abs=0.1)


def test_of_several_teachers_the_first_is_the_reference():
    lineup = Lineup(("weak", "t"), ("plain",), (1,), {"x": ("t", "weak")})
    results = Results(lineup, {"t": tagger(9), "weak": tagger(2)}, {"plain": (tagger(5),)})
    found = summary(results, standings(results, FEW))["recipes"]["plain"]
    assert found["retention"] == round(by_hand(5) / by_hand(9), 4)


def test_the_lineup_is_that_of_the_parameters():
    corpora = {
        "x": Corpus(train="a", teachers=("s", "t")),
        "y": Corpus(transfer="b", teachers=("t",)),
        "z": Corpus(test="c"),
    }
    grid = Grid(teachers=("s", "t"), ensembles=("both",), recipes=("r",), seeds=(1,))
    found = compare.lineup_of(grid, corpora, {"both": Pool(teachers=("t", "s"))})
    assert found.teachers == ("s", "t", "both")
    assert found.corpora == {"x": ("s", "t", "both"), "y": ("t",), "z": ()}
    assert found.zero_shot == {"z"}


def test_the_best_recipe_is_chosen_on_dev():
    def curve(*scores):
        return [[Checked(step, 1.0, score) for step, score in enumerate(scores)]]

    curves = {"gold": curve(99.0), "late": curve(10.0, 80.0, 70.0), "early": curve(79.0, 20.0)}
    assert best_recipe(curves) == "late"
    assert best_recipe({"gold": curve(1.0)}) == "gold"


def test_what_is_written_is_what_was_evaluated(tmp_path):
    root = write_rivals(tmp_path)
    found = run(root)
    for name in LINEUP.teachers:
        (evaluation,) = read_examined(root / "evaluations" / "teachers" / name).corpora.values()
        assert found["teachers"][name]["f1"] == round(f1(evaluation.counts), 2)
    assert [*found["recipes"]] == [*LINEUP.recipes]
    assert found["recipes"]["posterior"]["f1"] > found["recipes"]["gold"]["f1"]
    assert found["recipes"]["posterior"]["p_value"] < 0.05
    assert all(math.isfinite(v) for v in numbers(found))


def numbers(value):
    if isinstance(value, dict):
        return [number for each in value.values() for number in numbers(each)]
    return [] if value is None else [value]


def test_plots_have_a_row_for_each_point(tmp_path):
    root = write_rivals(tmp_path)
    run(root)
    texts = {path.stem: path.read_text().splitlines() for path in (root / "plots").iterdir()}
    rows = {name: [*csv.DictReader(lines)] for name, lines in texts.items()}
    assert len(rows["curves"]) == 3 * 2 * 10
    assert [*rows["curves"][0]] == ["recipe", "seed", "step", "dev_f1", "loss"]
    assert {(row["label"], row["tagger"]) for row in rows["labels"]} == {
        (label, tagger) for label in ("PER", "LOC") for tagger in ("teacher", *LINEUP.recipes)
    }
    assert [*rows["scatter"][0]] == ["corpus", "recipe", "teacher_f1", "student_f1"]
    assert len(rows["scatter"]) == 2 * 3


@pytest.mark.parametrize("name", ["curves", "labels", "scatter"])
def test_plot_templates_name_columns_that_plots_have(tmp_path, name):
    run(write_rivals(tmp_path))
    head = (tmp_path / "plots" / f"{name}.csv").read_text().splitlines()[0].split(",")
    template = (Path(__file__).parents[1] / ".dvc" / "plots" / f"{name}.json").read_text()
    assert json.loads(template)["data"] == {"values": "<DVC_METRIC_DATA>"}
    named = {*re.findall(r'"field": "(\w+)"', template)}
    assert named <= {*head, "rev"}


def test_equal_evaluations_give_equal_files(tmp_path):
    def content():
        run(root)
        files = [path for out in outs(root) for path in (out, *out.rglob("*")) if path.is_file()]
        return [path.read_bytes() for path in files]

    root = write_rivals(tmp_path)
    assert content() == content()


@pytest.mark.parametrize(
    ("stray", "remedy"),
    [
        ("evaluations/students/old", "rm -r"),
        ("evaluations/students/gold/9", "rm -r"),
        ("evaluations/teachers/de", "rm -r"),
        ("evaluations/elsewhere", "rm -r"),
        ("students/old", "rm -r"),
    ],
)
def test_what_another_grid_left_is_refused(tmp_path, stray, remedy):
    root = write_rivals(tmp_path)
    (root / stray).mkdir(parents=True)
    with pytest.raises(InputError, match=remedy) as refusal:
        run(root)
    assert str(root / stray) in str(refusal.value)
    assert not any(out.exists() for out in outs(root))


def test_all_that_another_grid_left_goes_in_one_command(tmp_path):
    root = write_rivals(tmp_path)
    left = [root / name for name in ("evaluations/teachers/de", "evaluations/students/old",
                                     "students/old", "students/gold/9")]  # fmt: skip
    for place in left:
        place.mkdir(parents=True)
    with pytest.raises(InputError) as refusal:
        run(root)
    places = re.search(r"rm -r ([^)]*)", str(refusal.value))[1].split()
    assert sorted(places) == sorted(map(str, left))
    for place in places:
        shutil.rmtree(place)
    run(root)


@pytest.mark.parametrize(
    "lost",
    [
        "evaluations",
        "evaluations/teachers/sv",
        "evaluations/students/top_wk",
        "evaluations/students/top_wk/2",
        "evaluations/students/gold/1/evaluation.json",
        "evaluations/students/gold/1/en.parquet",
        "students/gold/1/curve.csv",
    ],
)
def test_what_lacks_is_named_with_what_to_do(tmp_path, lost):
    root = write_rivals(tmp_path)
    place = root / lost
    shutil.rmtree(place) if place.is_dir() else place.unlink()
    with pytest.raises(InputError, match=f"{place.name}.*(run|make)"):
        run(root)
    assert not any(out.exists() for out in outs(root))


@pytest.mark.parametrize(
    "damaged",
    ["evaluations/teachers/en/en.parquet", "evaluations/teachers/en/evaluation.json",
     "students/gold/1/curve.csv"],
)  # fmt: skip
def test_damaged_files_are_refused(tmp_path, damaged):
    root = write_rivals(tmp_path)
    path = root / damaged
    path.write_bytes(path.read_bytes()[:30])
    with pytest.raises(InputError, match="again"):
        run(root)


def test_an_evaluation_of_other_sentences_is_refused(tmp_path):
    root = write_rivals(tmp_path)
    path = root / "corpora" / "sv" / "test.parquet"
    split = read_split(path)
    tags = split.tags[:-1]
    write_split(path, split.words[:-1], tags, tag_set=split.tag_set, scheme="iob2")
    with pytest.raises(InputError, match=r"119 sentences.*found 120 or others.*dvc repro"):
        run(root)


def test_an_evaluation_of_other_corpora_is_refused(tmp_path):
    root = write_rivals(tmp_path)
    lineup = Lineup(LINEUP.teachers, LINEUP.recipes, LINEUP.seeds, {"en": ("en",)})
    with pytest.raises(InputError, match="expected tests on none; found sv"):
        run(root, lineup)


def test_a_failure_leaves_the_former_comparison(tmp_path):
    root = write_rivals(tmp_path)
    former = run(root)
    (root / "students" / "gold" / "1" / "curve.csv").write_text("step,epoch,loss,dev_f1\n")
    with pytest.raises(InputError, match="an empty one"):
        run(root)
    assert json.loads((root / OUTS[0]).read_text()) == former


def test_evaluations_are_read_as_they_were_written(tmp_path):
    written = tagger(4, corpora=("x", "y"))
    write_examined(tmp_path / "a", written)
    write_examined(tmp_path / "b", written)
    found = read_examined(tmp_path / "a")
    assert (found.parameters, found.size, [*found.corpora]) == (1000, 4000, ["x", "y"])
    for corpus, evaluation in found.corpora.items():
        before = written.corpora[corpus]
        assert evaluation.tags == before.tags
        assert evaluation.sentence_ids == before.sentence_ids
        assert evaluation.scheme == "bioes"
        assert evaluation.counts.labels == ("A",)
        assert (evaluation.counts.sums() == before.counts.sums()).all()
    assert all(
        path.read_bytes() == (tmp_path / "b" / path.name).read_bytes()
        for path in (tmp_path / "a").iterdir()
    )
    about = json.loads((tmp_path / "a" / "evaluation.json").read_text())
    assert about["corpora"]["x"]["f1"] == pytest.approx(by_hand(4))


def test_a_corpus_without_a_sentence_can_be_stored(tmp_path):
    empty = Evaluation([], [], count([], [], "iob2"), "iob2")
    write_examined(tmp_path / "a", Examined(1, 1, {"x": empty}))
    assert len(read_examined(tmp_path / "a").corpora["x"]) == 0


def test_the_table_names_everyone_and_fits(tmp_path, capsys):
    root = write_rivals(tmp_path)
    run(root)
    measured = {"sentences_per_second": 1234.5, "speedup": 17.25}
    speed = root / "speed.json"
    exported = {**measured, "f1": 71.25, "parameters": 5, "bytes": 4321}
    reference = {**measured, "parameters": 10**8, "bytes": 4 * 10**8}
    students = {"small": exported, "fair/int8": exported, "fair/pruned": exported}
    groups = {"exported": students, "references": {"bert-base": reference}}
    speed.write_text(json.dumps({"recipes": {"top_wk": measured}, "teachers": {}, **groups}))
    table.run(root / OUTS[0], speed, root / OUTS[2])
    said = capsys.readouterr().out
    for word in ("en (teacher)", "gold (baseline)", "top_wk", "posterior", "1,234", "17.2"):
        assert word in said
    assert re.search(r"small \(exported\) +71\.25 .* 4\.32 kB", said)
    assert re.search(r"fair, exported: *\n +int8 +71\.25 .*\n +pruned +71\.25 ", said)
    assert re.search(r"bert-base \(untrained\) +– .* 100 M +400 MB", said)
    lines = said.splitlines()
    assert max(map(len, (line for line in lines if "report" not in line))) <= 100
    assert str(root / OUTS[2]) in lines[-1]
    assert "\x1b" not in said


def test_the_table_does_without_speed_and_says_what_lacks(tmp_path, capsys):
    root = write_rivals(tmp_path)
    with pytest.raises(InputError, match="dvc repro compare"):
        table.run(root / OUTS[0], None, root / OUTS[2])
    run(root)
    table.run(root / OUTS[0], None, root / OUTS[2])
    assert "gold (baseline)" in capsys.readouterr().out
    (root / OUTS[0]).write_text("{")
    with pytest.raises(InputError, match="expected JSON"):
        table.run(root / OUTS[0], None, root / OUTS[2])
