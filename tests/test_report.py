"""The report: a whole page that needs nothing else, says what was found, and escapes its words."""

import math
import re
from html.parser import HTMLParser
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rivals import LINEUP, TAGS, write_rivals

from pipeline.corpus import read_split, write_split
from pipeline.reporting.ink import COLOURS, Scale, Series, around
from pipeline.reporting.lineup import Lineup
from pipeline.reporting.pictures import bars, legend, lines, scatter, strip
from pipeline.reporting.wording import number, percent, plus_minus, probability, share, signed, size
from pipeline.significance import Evaluate
from stages import compare


class Page(HTMLParser):
    """Fails where tags do not nest; keeps what a browser would load."""

    def __init__(self, html):
        super().__init__()
        self.open, self.loads, self.text = [], [], []
        self.feed(html)
        assert self.open == []

    def handle_starttag(self, tag, attributes):
        self.loads += [value for name, value in attributes if name in ("src", "href")]
        assert tag != "script"
        if tag != "meta":
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        pass

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text.append(data)


def made(root, lineup=LINEUP):
    """The report of a made-up comparison."""
    evaluate = Evaluate(samples=200)
    shown = {"recipes": {"gold": {"epochs": 3}}}
    folders = [root / name for name in ("corpora", "students", "evaluations")]
    page = root / "reports" / "report.html"
    compare.run(lineup, evaluate, shown, *folders, root / "summary.json", root / "plots", page)
    return page.read_text(encoding="utf-8")


def test_the_page_is_whole_and_loads_nothing(tmp_path):
    html = made(write_rivals(tmp_path))
    page = Page(html)
    assert page.loads == []
    assert not re.search(r"https?://|url\(|@import", html)
    for drawing in re.findall(r"<svg.*?</svg>", html, re.DOTALL):
        ElementTree.fromstring(drawing)
    assert len(re.findall(r"<figure>", html)) == 4


def test_the_page_names_everyone_and_every_setting(tmp_path):
    text = " ".join(Page(made(write_rivals(tmp_path))).text)
    for said in (
        *LINEUP.recipes,
        *LINEUP.teachers,
        "strict",
        "iob2",
        "seeds 1, 2",
        "120 sentences",
    ):
        assert said in text
    assert "200 shuffles, seed 1" in text
    assert "epochs: 3" in text


def test_equal_findings_give_equal_pages(tmp_path):
    root = write_rivals(tmp_path)
    assert made(root) == made(root)


def test_words_and_names_are_escaped(tmp_path):
    lineup = Lineup(("<b>",), ("gold", "a&b"), (1,), {"<i>": ("<b>",)})
    root = write_rivals(tmp_path, lineup)
    path = root / "corpora" / "<i>" / "test.parquet"
    split = read_split(path)
    words = [["<script>alert(1)</script>", *row[1:]] for row in split.words]
    write_split(path, words, split.tags, tag_set=TAGS, scheme="iob2")
    html = made(root, lineup)
    Page(html)
    assert "<script" not in html
    assert "&lt;script&gt;alert(1)" in html
    assert "a&amp;b" in html


def test_a_lone_baseline_with_one_seed_and_no_teacher_has_a_report_too(tmp_path):
    lineup = Lineup(("en",), ("gold",), (7,), {"en": ()})
    html = made(write_rivals(tmp_path, lineup), lineup)
    Page(html)
    assert "no recipe beside the baseline" in html
    assert "nan" not in html.lower()


@given(st.lists(st.floats(0, 100), min_size=1, max_size=9))
def test_scales_hold_their_values_and_end_at_round_ones(values):
    scale = around(values, 0, 600)
    assert scale.low <= min(values)
    assert scale.high >= max(values)
    assert scale.low < scale.high
    assert 2 <= len(scale.ticks()) <= 8
    assert all(0 <= scale(value) <= 600 for value in (*values, *scale.ticks()))


def test_a_scale_maps_ends_to_ends():
    scale = Scale(10, 20, 100, 0)
    assert (scale(10), scale(15), scale(20)) == (100, 50, 0)
    assert scale.ticks() == [10, 12, 14, 16, 18, 20]


def test_pictures_are_drawings_of_all_their_points():
    series = [Series(f"s{n}", n, [(n, 2 * n, "a"), (n + 1, 90, "b")]) for n in range(COLOURS)]
    rows = {each.name: each for each in series}
    groups = {"PER": series, "LOC": series[:2]}
    drawn = [
        (lines(series, "x", "y"), 2 * COLOURS),
        (scatter(series, "x", "y"), 2 * COLOURS),
        (strip(rows, {"m": 50}, "x"), 2 * COLOURS),
    ]
    for drawing, marks in drawn:
        tree = ElementTree.fromstring(drawing)
        assert len(tree.findall(".//path")) == marks
        assert all(math.isfinite(float(text.get("x"))) for text in tree.iter("text"))
    assert len(ElementTree.fromstring(bars(groups, "x")).findall(".//rect")) == COLOURS + 2
    assert legend({"<": 0}).count("&lt;") == 1


def test_an_empty_picture_is_drawn():
    ElementTree.fromstring(scatter([], "x", "y"))
    ElementTree.fromstring(lines([Series("a", 0, [(1, 50, "only")])], "x", "y"))


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        (percent(12.345), "12.35"),
        (percent(None), "–"),
        (plus_minus(90.0, 0.126), "90.00 ± 0.13"),
        (plus_minus(90.0, None), "90.00"),
        (signed(-0.5), "−0.50"),
        (signed(1.0), "+1.00"),
        (share(0.9409), "94.1 %"),
        (share(None), "–"),
        (probability(0.0001), "< 0.001"),
        (probability(0.04), "0.040"),
        (probability(None), "–"),
        (number(999), "999"),
        (number(1312), "1.31 k"),
        (number(999_999), "1.00 M"),
        (number(412_345), "412 k"),
        (size(90_900_000), "90.9 MB"),
        (size(12), "12 B"),
    ],
)
def test_wording(said, expected):
    assert said == expected
