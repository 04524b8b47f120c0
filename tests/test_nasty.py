"""Published files that are malformed or odd: what each is read as, and why that is right.

The small cases are written here and always run; the published slices are checked where they lie
beside this tree.
"""

import re
from pathlib import Path

import pytest

from pipeline.errors import InputError
from pipeline.raw.detection import detect
from pipeline.raw.formats import Conll, ConllU, guess
from pipeline.tags import spans_of, violations

NASTY = Path(__file__).parents[1].parent / "shared" / "nasty"
published = pytest.mark.skipif(not NASTY.exists(), reason="the odd files are not beside this tree")


def sentences_of(path):
    return list(guess(str(path)).format.read(str(path)))


def written(tmp_path, content):
    path = tmp_path / "raw.txt"
    path.write_bytes(content.encode())
    return sentences_of(path)


@pytest.fixture(scope="module")
def nasty():
    """The sentences of a published file by its number, read once."""
    read = {}

    def of(number):
        if number not in read:
            (path,) = NASTY.glob(f"{number}_*")
            read[number] = sentences_of(path)
        return read[number]

    return of


def words_of(sentences):
    return [word for sentence in sentences for word in sentence.words]


@published
@pytest.mark.parametrize(
    ("number", "sentences", "words", "scheme", "outside", "why"),
    [
        ("01", 144, 2358, "iob2", "O", "a line of one tab separates as an empty line does"),
        ("03", 29, 385, "iob2", "O", "U+FEFF inside a word is data"),
        ("04", 189, 3312, "iob2", "O", "empty words and hashtags are words"),
        ("07", 57, 1145, "raw", "0", "the tag that one row lacks is marked, and counted later"),
        ("08", 171, 2930, "raw", "0", "runs of spaces separate columns as one tab does"),
        ("09", 303, 13246, "iob1", "O", "-DOCSTART- is no word, however many columns it has"),
        ("11", 12, 1437, "iob2", "O", "\\r belongs to the line end, not to the tag"),
        ("17", 451, 10638, "iob2", "O", "the tag's column counts from the left in short rows too"),
        ("24", 471, 7377, "flat", "O", "ranges and empty nodes are no words"),
        ("29e", 12, 44, "iob2", "O", "-DOCSTART- may be a row of one column"),
    ],
)
def test_published_files_are_read(nasty, number, sentences, words, scheme, outside, why):
    read = nasty(number)
    detected = detect(sentence.tags for sentence in read)
    assert (len(read), len(words_of(read))) == (sentences, words), why
    assert detected[:2] == (scheme, outside)
    faults = [v for s in read for v in violations(s.tags, scheme, outside)]
    assert [fault.kind for fault in faults] == (["no tag"] if number == "07" else [])


@published
def test_what_is_odd_in_each_published_file_is_kept(nasty):
    assert any("\ufeff" in word for word in words_of(nasty("03")))
    assert {"", " ", "#BlackMusicMonth"} <= set(words_of(nasty("04")))
    assert any("\xad" in word for word in words_of(nasty("08")))
    assert max(len(sentence.words) for sentence in nasty("09")) == 641
    assert ("-", "O") in {(w, t) for s in nasty("09") for w, t in zip(s.words, s.tags, strict=True)}
    assert max(len(sentence.words) for sentence in nasty("11")) == 1047
    assert not any("\r" in tag for sentence in nasty("11") for tag in sentence.tags)
    labels = {span.label for s in nasty("17") for span in spans_of(s.tags, "iob2")}
    assert labels == {"LOC", "ORG", "PER", "OTH", "O"}


@published
def test_the_row_without_a_tag_is_named_or_refused(nasty):
    bad = [(s, s.tags.index("")) for s in nasty("07") if "" in s.tags]
    ((sentence, index),) = bad
    assert sentence.words[index] == "bn"
    path, _, line = sentence.place(index).rpartition(":")
    assert Path(path).read_text(encoding="utf-8").split("\n")[int(line) - 1] == "bn"
    with pytest.raises(InputError, match=rf"{re.escape(path)}:{line}: expected a tag .*'bn'; mend"):
        list(Conll(untagged="error").read(path))


@published
def test_a_word_with_a_line_break_does_not_end_its_sentence(nasty):
    (broken,) = [s for s in nasty("04") if 147 in s.lines]
    assert 145 in broken.lines
    assert broken.words[broken.lines.index(147)] == ""


@published
def test_no_published_file_is_forgotten():
    numbers = {path.name.partition("_")[0] for path in NASTY.glob("[0-9]*")}
    assert numbers == {"01", "03", "04", "07", "08", "09", "11", "17", "24", "29e"}


@pytest.mark.parametrize(
    ("content", "words", "tags", "why"),
    [
        ("a\tO\n\t\nb\tB-X\n", [["a"], ["b"]], "O B-X", "01: a line of one tab"),
        ("a\ufeff\tB-X\nb\tO\n", [["a\ufeff", "b"]], "B-X O", "03: U+FEFF inside a word"),
        ("#b\tO\n \tO\n \n\tO\nc\tB-X\n", [["#b", " ", "", "c"]], "O O O B-X", "04: empty words"),
        ("a\t0\nb\n\nc\tPER\nd\t0\n", [["a", "b"], ["c", "d"]], "0  PER 0", "07: a row cut short"),
        ("a   0\n\xadb   PER\nc 0\n", [["a", "\xadb", "c"]], "0 PER 0", "08: padded columns"),
        (
            "-DOCSTART- -X- O O\n\na N - I-X\n- : - O\n",
            [["a", "-"]],
            "I-X O",
            "09: IOB1 with rows of -",
        ),
        ("a O\r\nb B-X\r\n\r\nc O\r\n", [["a", "b"], ["c"]], "O B-X O", "11: \\r\\n"),
        (
            "# id = 1\n1\ta\tB-O\t-\tme\n2\tb\tO\n3\tc\tO\n",
            [["a", "b", "c"]],
            "B-O O O",
            "17: ragged",
        ),
        ("-DOCSTART-\n\na O\nb B-X\n\n-DOCSTART-\n\nc O", [["a", "b"], ["c"]], "O B-X O", "29e"),
    ],
)
def test_the_same_oddities_in_small(tmp_path, content, words, tags, why):
    read = written(tmp_path, content)
    assert [sentence.words for sentence in read] == words, why
    assert [tag for sentence in read for tag in sentence.tags] == tags.split(" "), why


def test_a_sentence_of_any_length_is_read_whole(tmp_path):
    (sentence,) = written(tmp_path, "a O\nb B-X\n" * 600)
    assert len(sentence.words) == 1200


def test_ranges_and_empty_nodes_in_small(tmp_path):
    rest = "\t_" * 7
    rows = [
        f"{number}\t{form}\tX{rest}" for number, form in (("1-2", "ab"), ("1", "a"), ("1.1", "z"))
    ]
    rows.append(f"2\thttps://example.org/{'x' * 80}\tX{rest}")
    path = tmp_path / "raw.conllu"
    path.write_text("# text = ab = c\n" + "\n".join(rows) + "\n")
    (sentence,) = ConllU(field="LEMMA").read(str(path))
    assert sentence.words == ["a", f"https://example.org/{'x' * 80}"]
    assert list(sentence.lines) == [3, 5]
