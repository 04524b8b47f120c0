"""A study: what its section of a page says, and its pictures."""

import xml.etree.ElementTree as ElementTree

from hypothesis import given
from hypothesis import strategies as st

from pipeline.reporting.study import pictures, section, spliced


def recipe(f1: float, **more) -> dict:
    figures = {"f1": f1, "f1_std": 0.5, "p_value": 0.02, "retention": 0.9, "gap_closed": 0.25}
    return {
        **figures,
        "interval": {"low": -0.4, "high": 1.2},
        "corpora": {"en": {"f1": f1 + 1}, "sv": {"f1": f1 - 1}},
        **more,
    }


BASELINE = recipe(70.0, interval=None, p_value=None, gap_closed=0.0)
FIGURES = {
    "teachers": {"large": {"f1": 80.0}},
    "recipes": {"gold": BASELINE, "a_b": recipe(71.5)},
    "pairs": {
        "a_b - gold": {"difference": 1.5, "interval": {"low": -0.1, "high": 2.0}, "p_value": 0.04}
    },
}


NEVER = {"zero_shot": {"f1": 10.0, "f1_std": 1.0, "p_value": None}, "seeds": 2}
UNSEEN = {
    **FIGURES,
    "recipes": {name: {**each, **NEVER} for name, each in FIGURES["recipes"].items()},
}


def told(figures=FIGURES) -> str:
    drawn = [f"results/{name}" for name in pictures("s", figures)]
    return section("s", figures, "limbeck study s.yaml", "a machine; seeds 1", drawn)


def test_a_section_has_every_recipe_and_pair():
    text = told()
    assert "    limbeck study s.yaml" in text
    assert "| `a_b` | 71.50 ± 0.50 | +1.50 | 0.020 | 90.0 % | 25.0 % | 72.50 | 70.50 |" in text
    assert "| `gold` | 70.00 ± 0.50 | – | – |" in text
    assert "| *large*, teacher | 80.00 |" in text
    assert "| `a_b` − `gold` | +1.50 | −0.10 to +2.00 | 0.040 |" in text


def test_every_row_of_a_table_has_the_cells_of_its_head():
    for text in (told(), told(UNSEEN)):
        for table in text.split("\n\n"):
            rows = [line.count("|") for line in table.splitlines() if line.startswith("|")]
            assert len({*rows}) <= 1
    assert "10.00 ± 1.00" in text


def test_zero_shot_stands_apart_only_where_there_is_any():
    assert "zero-shot" not in told()
    assert "![s](results/s.svg)\n\n![s](results/s-zero-shot.svg)" in told(UNSEEN)
    drawn = texts(ElementTree.fromstring(pictures("s", UNSEEN)["s-zero-shot.svg"]))
    assert "a_b" in drawn
    assert any("zero-shot" in text for text in drawn)


def test_a_page_gets_a_section_once():
    page = spliced("# Results\n\nProse.\n", "s", "first")
    assert page.startswith("# Results\n\nProse.\n")
    again = spliced(page + "\nMore prose.\n", "s", "second")
    assert "first" not in again
    assert again.count("second") == 1
    assert again.endswith("More prose.\n")


def test_sections_of_two_studies_leave_each_other_alone():
    page = spliced(spliced("", "a", "text of a"), "b", "text of b")
    assert "text of a" in spliced(page, "b", "new")


def parsed(figures: dict) -> ElementTree.Element:
    return ElementTree.fromstring(pictures("s", figures)["s.svg"])


def texts(root: ElementTree.Element) -> list[str]:
    return [each.text or "" for each in root.iter("{http://www.w3.org/2000/svg}text")]


def test_differences_are_drawn_beside_their_recipes():
    found = texts(parsed(FIGURES))
    assert "a_b" in found
    assert "gold" not in found  # the baseline is the line at zero


def test_numbered_recipes_are_a_sweep():
    numbered = {f"top-{k}": recipe(70.0 + k) for k in (1, 10, 2)}
    found = texts(parsed({"recipes": {"gold": BASELINE, **numbered}}))
    assert "top" in found
    assert [text for text in found if text in ("1", "2", "10")] == ["1", "2", "10"]


@given(st.lists(st.floats(0, 100), min_size=1, max_size=20))
def test_any_figures_make_a_picture(scores):
    recipes = {f"r{n}": recipe(score) for n, score in enumerate(scores)}
    parsed({"recipes": {"gold": BASELINE, **recipes}})
    parsed({"recipes": {"gold": BASELINE, **{f"r-{n}": recipe(s) for n, s in enumerate(scores)}}})
