"""Sentences of running text: where they end, and that no character is lost."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.raw.segments import sentences_of, unwrapped
from pipeline.raw.text import words_with_offsets

CASES = [
    ["Hello there.", "How are you?", "Fine!", "So…", "Yes?!", "No..."],
    ["Dr. Smith met J. R. R. Tolkien in the U.S. Senate.", "He left the U.S.", "The end."],
    ['"Really?" she asked.', '"Yes."', "It cost 3.5 mm... and more.", "Next (see fig. 3).", "Ok."],
    [
        "He said no.",
        "No. 5 is alive.",
        "Jan. 5 came.",
        "It was I.",
        "We left in Jan.",
        "Snow fell.",
    ],
    ["Apple Inc. Stores opened.", "It bought Apple Inc.", "He left.", "King Jr. Day is here."],
    [
        "1. First of all.",
        "He was 12.",
        "She was 1,000.5.",
        "Yahoo! said so.",
        "(In brackets.)",
        "A",
    ],
    ["Am 3. Oktober 1990 war z.B. Berlin da.", "Er kam am 5.", "Es war gut."],
    ["Vi såg bl.a. Kalle i Lund kl. 5.", "Åsa kom."],
    ["M. Dupont est là.", "«Oui.»", "¿Qué?", "¡Sí!", "El Sr. García vino."],
    ["See www.example.org/a.b?c=d.", "It has a@b.org in it.", "-- Yes.", "Done"],
    ["यह है।", "वह था।"],
    ["هل هذا؟", "نعم."],
    ["Он пришёл.", "Т. Г. Шевченко тоже."],
    [". . . ..!"],
]


@pytest.mark.parametrize("sentences", CASES, ids=lambda case: case[0])
def test_sentences_end_where_people_end_them(sentences):
    assert [each.text for each in sentences_of(" ".join(sentences))] == sentences


@pytest.mark.parametrize(
    "sentences",
    [["東京へ行く。", "それは「何！」と言った。", "はい！"], ["他说：“好。”", "“谢谢。”"]],
)
def test_some_scripts_need_no_space(sentences):
    assert [each.text for each in sentences_of("".join(sentences))] == sentences


def test_lines_are_paragraphs_unless_they_are_unwrapped():
    text = "Ada lives in New \r\n  York. She\nworks.\n\t\nA new one\n\nAnd another\n"
    lines = ["Ada lives in New", "York.", "She", "works.", "A new one", "And another"]
    assert [each.text for each in sentences_of(text)] == lines
    whole = unwrapped(text)
    assert len(whole) == len(text)
    found = sentences_of(whole)
    assert [" ".join(each.words) for each in found] == [
        "Ada lives in New York .",
        "She works .",
        "A new one",
        "And another",
    ]
    start, end = found[0].stretch(3, 5)
    assert text[found[0].start :][start:end].split() == ["New", "York"]


texts = st.text(
    alphabet=st.sampled_from(list("ab IB.!?…。」\"'()5\n\r\t\u2028\u0301Dr")), max_size=60
)


@given(texts | st.text())
def test_no_word_is_lost_and_offsets_are_those_of_the_text(text):
    sentences = sentences_of(text)
    found = [
        (each.start + first, each.start + end) for each in sentences for first, end in each.borders
    ]
    inside = [offset for start, end in found for offset in range(start, end)]
    assert inside == [n for n, character in enumerate(text) if not character.isspace()]
    for each in sentences:
        assert text[each.start : each.start + len(each.text)] == each.text
        assert each.words == [each.text[first:end] for first, end in each.borders]
        assert each.words == [word for word, _, _ in words_with_offsets(each.text)]
        assert each.text == each.text.strip() != ""
        assert "\n" not in each.text


@given(texts)
def test_unwrapping_moves_nothing(text):
    whole = unwrapped(text)
    changed = [n for n, (a, b) in enumerate(zip(text, whole, strict=True)) if a != b]
    assert all(text[n].isspace() and whole[n] == " " for n in changed)


@pytest.mark.parametrize("unit", ["Dr. ", "! ", ".", "a. ", "(", "\t", "1. ", "a\u0301.) "])
def test_long_lines_take_time_in_proportion(unit):
    def seconds(times):
        before = time.process_time()
        sentences_of(unit * times)
        unwrapped(unit * times)
        return time.process_time() - before

    assert seconds(20_000) < 60 * max(seconds(2_000), 1e-3)
