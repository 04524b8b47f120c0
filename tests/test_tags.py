"""Tag schemes against seqeval's strict mode, against enumeration, and against the real corpora."""

from itertools import pairwise, product
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError
from seqeval.scheme import BILOU, IOB2, IOBES, Tokens

from pipeline import tags as module
from pipeline.raw.detection import detect
from pipeline.raw.sources import NamedScheme
from pipeline.tags import (
    Span,
    Violation,
    allowed,
    canonical,
    repair,
    spans_of,
    tag_set,
    tags_of,
    violations,
)

SCHEMES = ("iob1", "iob2", "bioes", "bilou", "bmes", "raw", "flat")
BORDERED = ("iob1", "iob2", "bioes", "bilou", "bmes")
LABELS = ("A", "O", "geo-loc")
PEERS = {"iob2": (IOB2, "BI"), "bioes": (IOBES, "BIES"), "bilou": (BILOU, "BILU")}


def sequences(alphabet, **size):
    return st.lists(st.sampled_from(alphabet), **size)


@st.composite
def spans(draw, least_gap=0):
    """Spans without overlap and a length that holds them."""
    found, end = [], 0
    for label in draw(sequences(LABELS, max_size=5)):
        first = end + draw(st.integers(least_gap if found else 0, 2))
        end = first + draw(st.integers(1, 4))
        found.append(Span(first, end, label))
    return found, end + draw(st.integers(0, 2))


@pytest.mark.parametrize("scheme", PEERS)
def test_spans_are_those_of_seqeval_in_strict_mode_on_any_sequence(scheme):
    peer, letters = PEERS[scheme]
    alphabet = ["O", "B", *(f"{letter}-{label}" for letter in letters for label in LABELS)]

    @given(sequences(alphabet, max_size=9))
    def check(tags):
        theirs = sorted((e.start, e.end, e.tag) for e in Tokens(tags, peer).entities)
        assert [tuple(span) for span in spans_of(tags, scheme)] == theirs

    check()


@pytest.mark.parametrize("scheme", SCHEMES)
def test_allowed_violations_and_repair_agree_on_every_short_sequence(scheme):
    tags = tag_set(("A", "B"), scheme)
    rules = allowed(tags, scheme)
    for length in range(1, 5 if len(tags) < 9 else 4):
        for path in product(range(len(tags)), repeat=length):
            sequence = [tags[index] for index in path]
            passes = rules.start[path[0]] and rules.end[path[-1]]
            passes = passes and all(rules.transitions[a, b] for a, b in pairwise(path))
            assert passes == (not violations(sequence, scheme)), sequence
            assert not passes or repair(sequence, scheme) == sequence
            if scheme != "flat":  # a sequence is valid where writing what was read gives it back
                spans_read = spans_of(sequence, scheme)
                assert passes == (tags_of(spans_read, length, scheme) == sequence), sequence


def test_allowed_is_boolean_and_says_which_way_it_points():
    rules = allowed(("O", "B-A", "I-A", "X-A"), "iob2")
    assert rules.start.tolist() == [True, True, False, False]
    assert rules.end.tolist() == [True, True, True, True]
    assert rules.transitions.dtype == np.bool_
    assert not rules.transitions[0, 2]  # from O to I-
    assert rules.transitions[2, 0]
    assert not rules.transitions[:, 3].any()  # nothing leads to what is no tag


@pytest.mark.parametrize("scheme", SCHEMES)
def test_repair_is_valid_stable_and_keeps_every_label(scheme):
    letters = "BIESLUM"
    alphabet = ["", "O", "PER", "B", *(f"{a}-{label}" for a in letters for label in LABELS)]

    @given(sequences(alphabet, max_size=8))
    def check(tags):
        mended = repair(tags, scheme)
        assert len(mended) == len(tags)
        assert violations(mended, scheme) == []
        assert repair(mended, scheme) == mended
        for before, after in zip(tags, mended, strict=True):
            label = before[2:] or before.replace("B", "_")
            assert before in ("", "O") or after == before or after.endswith(label)

    check()


@pytest.mark.parametrize("target", BORDERED)
@pytest.mark.parametrize("source", BORDERED)
def test_conversion_loses_no_span(source, target):
    @given(spans())
    def check(case):
        found, length = case
        read = spans_of(tags_of(found, length, source), source)
        assert spans_of(tags_of(read, length, target), target) == found

    check()


@given(spans(least_gap=1))
def test_raw_types_keep_spans_that_do_not_touch(case):
    found, length = case
    found = [span for span in found if span.label != "O"]
    assert spans_of(tags_of(found, length, "raw"), "raw") == found


@pytest.mark.parametrize(
    ("found", "length", "scheme"),
    [
        ([Span(0, 2, "A"), Span(1, 3, "B")], 3, "iob2"),
        ([Span(0, 4, "A")], 3, "bioes"),
        ([Span(1, 1, "A")], 3, "bioes"),
        ([Span(-1, 1, "A")], 3, "bioes"),
        ([Span(0, 1, "A"), Span(1, 2, "A")], 2, "raw"),
        ([Span(0, 1, "O")], 1, "raw"),
        ([Span(0, 2, "A")], 2, "flat"),
        ([Span(0, 1, "A")], 2, "flat"),
    ],
)
def test_what_a_scheme_cannot_write_is_refused(found, length, scheme):
    with pytest.raises(ValueError, match=r"Span|word"):
        tags_of(found, length, scheme)


def test_iob1_marks_only_entities_that_touch():
    found = [Span(0, 2, "A"), Span(2, 3, "A"), Span(3, 4, "B")]
    assert tags_of(found, 5, "iob1") == ["I-A", "I-A", "B-A", "I-B", "O"]
    assert spans_of(["I-A", "I-A", "B-A", "I-B", "O"], "iob1") == found


def test_flat_words_are_spans_and_raw_runs_are_too():
    assert spans_of(["DET", "O"], "flat") == [Span(0, 1, "DET"), Span(1, 2, "O")]
    assert spans_of(["0", "PER", "PER", "LOC"], "raw", "0") == [
        Span(1, 3, "PER"),
        Span(3, 4, "LOC"),
    ]


def test_tag_sets_are_ordered():
    assert tag_set(["B", "A"], "bioes")[:6] == ("O", "B-A", "I-A", "E-A", "S-A", "B-B")
    assert tag_set(["B", "A"], "iob2") == ("O", "B-A", "I-A", "B-B", "I-B")
    assert tag_set(["B", "A"], "raw") == ("O", "A", "B")
    assert tag_set(["B", "A", "B"], "flat") == ("A", "B")


@pytest.mark.parametrize(
    ("tags", "scheme", "expected"),
    [
        (["O", "I-A"], "iob2", [Violation(1, "I- without B-")]),
        (["B-A", "I-B"], "iob2", [Violation(1, "label changes inside an entity")]),
        (["B-A", "O"], "bioes", [Violation(0, "entity not closed")]),
        (["S-A", "E-A"], "bioes", [Violation(1, "E- without B-")]),
        (["B-A", "M-A"], "bmes", [Violation(1, "entity not closed")]),
        (["S-A"], "iob2", [Violation(0, "not a tag of the scheme")]),
        (["O", "B-A"], "iob1", [Violation(1, "B- that separates nothing")]),
        (["DET", ""], "flat", [Violation(1, "no tag")]),
        (["0", "0", "B-A"], "iob2", [Violation(0, "not a tag of the scheme")] * 1),
    ],
)
def test_violations_say_where_and_what(tags, scheme, expected):
    assert violations(tags, scheme)[: len(expected)] == expected


def test_repair_reads_as_conlleval_does():
    assert repair(["O", "I-A", "I-B", "I-B"], "iob2") == ["O", "B-A", "B-B", "I-B"]
    assert repair(["B-A", "I-A", "O", "E-B"], "bioes") == ["B-A", "E-A", "O", "S-B"]
    assert repair(["0", "", "I-A"], "iob2", "0") == ["0", "0", "B-A"]
    assert repair(["DET", ""], "flat") == ["DET", "X"]


@pytest.mark.parametrize("scheme", BORDERED)
def test_detection_reads_the_same_spans_back(scheme):
    @given(st.lists(spans(), min_size=1, max_size=4))
    def check(cases):
        written = [tags_of(found, length, scheme) for found, length in cases]
        detected = detect(written)
        faults = sum(len(violations(tags, detected.scheme, detected.outside)) for tags in written)
        assert faults == 0
        if detected.scheme == scheme:
            return
        # Another scheme fits as well: then it reads the same spans, or `why` owns up to the doubt.
        same = all(spans_of(t, detected.scheme) == spans_of(t, scheme) for t in written)
        assert same or "ambiguous" in detected.why

    check()


@pytest.mark.parametrize(
    ("written", "scheme", "outside"),
    [
        ([["O", "I-A", "I-A", "B-A"]], "iob1", "O"),
        ([["I-A", "O"], ["I-B"]], "iob1", "O"),
        ([["B-A", "I-A", "B-A"]], "iob2", "O"),
        ([["S-A", "B-A", "E-A"]], "bioes", "O"),
        ([["U-A", "B-A", "L-A"]], "bilou", "O"),
        ([["S-A", "B-A", "M-A", "E-A"]], "bmes", "O"),
        ([["0", "0", "PER"]], "raw", "0"),
        ([["_", "B-A", "_"]], "iob2", "_"),
        ([["B", "I", "O", "O"]], "iob2", "O"),
        ([["NOUN", "VERB", "NOUN"]], "flat", "O"),
        ([["B-O", "I-O", "O", "B-geo-loc"]], "iob2", "O"),
        ([["O", "B-A", "I-A", ""]], "iob2", "O"),
    ],
)
def test_detection(written, scheme, outside):
    assert detect(written)[:2] == (scheme, outside)


def test_detection_owns_up_to_doubt():
    assert "ambiguous" in detect([["O", "O"]]).why
    assert "if it means outside" in detect([["nix", "nix", "nix", "PER"]]).why


def test_schemes_go_by_other_names():
    adapter = TypeAdapter(NamedScheme)
    assert adapter.validate_python("IOBES") == "bioes"
    assert spans_of(["S-A"], canonical("iobes")) == [Span(0, 1, "A")]
    with pytest.raises(ValidationError, match="one of iob1, iob2"):
        adapter.validate_python("BIOX")


def test_the_module_needs_no_torch():
    assert "torch" not in Path(module.__file__).read_text()
