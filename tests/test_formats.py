"""Every format on small files with one oddity each, what is guessed, and the real corpora."""

import json
import sys
from collections import Counter
from pathlib import Path
from types import MappingProxyType, SimpleNamespace

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.config import parse, plain
from pipeline.errors import InputError
from pipeline.raw.detection import detect
from pipeline.raw.formats import (
    Conll,
    ConllU,
    Format,
    Hub,
    JsonLines,
    ParquetTable,
    PlainText,
    guess,
    words_with_offsets,
)
from pipeline.tags import spans_of

CORPORA = Path(__file__).parents[1].parent / "shared" / "corpora"
FORMATS = (Conll(), ConllU(), JsonLines(), ParquetTable(), PlainText(), Hub())


@pytest.fixture
def file(tmp_path):
    """Writes bytes or text as they are and gives the path as a string."""

    def write(content, name="raw.txt"):
        path = tmp_path / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return str(path)

    return write


def read(form, path):
    return [(sentence.words, sentence.tags) for sentence in form.read(path)]


@pytest.mark.parametrize("form", FORMATS, ids=lambda form: form.kind)
def test_settings_of_each_format_survive_yaml(form):
    assert parse(Format, plain(form), "params.yaml: corpora.x.format") == form
    with pytest.raises(InputError, match="colour"):
        parse(Format, {**plain(form), "colour": 1}, "params.yaml: corpora.x.format")


@pytest.mark.parametrize("form", FORMATS[:5], ids=lambda form: form.kind)
@pytest.mark.parametrize("place", ["missing", "."])
def test_what_is_no_file_is_refused_by_name(form, place, tmp_path):
    path = str(tmp_path / place)
    for attempt in (lambda: list(form.read(path)), lambda: guess(path)):
        with pytest.raises(InputError, match="expected a"):
            attempt()


# Columns


def test_conll_says_where_each_word_stands(file):
    path = file("\n\nAda\tB-PER\nsleeps\tO\n\n\nhi\tO")
    first, second = Conll().read(path)
    assert (first.words, first.tags) == (["Ada", "sleeps"], ["B-PER", "O"])
    assert first.place(1) == f"{path}:4"
    assert second.place(0) == f"{path}:7"


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("a O\r\nb O\r\n\r\nc O\r\n", [["a", "b"], ["c"]]),
        ("a\tO\n\t\nb\tO\n", [["a"], ["b"]]),
        ("a\tO\n  \t \nb\tO\n", [["a"], ["b"]]),
        ("a\tO\n   \nb\tO\n", [["a"], ["b"]]),
        ("a\tO\n \n\tO\nb\tO\n", [["a", "", "b"]]),
        ("\tO\n \tO\n", [["", " "]]),
        ("\ufeffa\tO\n", [["a"]]),
        ("a\ufeff\tO\n\ufeff\tO\n\u200b\tO\n", [["a\ufeff", "\ufeff", "\u200b"]]),
        (
            "\xada\xad O\nb\xa0c O\nd\x85e O\nf\u2028g O\n",
            [["\xada\xad", "b\xa0c", "d\x85e", "f\u2028g"]],
        ),
        ("# id = 1\na\tO\n#tag\tO\n#\tO\n", [["a", "#tag", "#"]]),
        ("a   O\n# O\n\n# O\nb  O\n", [["a", "#"], ["#", "b"]]),
        ("# text = a\n# O B\na\tO\n", [["a"]]),
        ("-DOCSTART- -X- O\n\na X O\n-DOCSTART-\nb X O\n\n-DOCSTART-\tO\n", [["a"], ["b"]]),
        ("New York\tO\n x  \tO\n", [["New York", " x  "]]),
    ],
)
def test_conll_oddities(file, content, words):
    sentences = read(Conll(), file(content))
    assert [w for w, _ in sentences] == words
    assert {tag for _, tags in sentences for tag in tags} == {"O"}


def test_conll_columns_are_any(file):
    path = file("1\tAda\tB-PER\tx\n2\tsleeps\tO\tx\n")
    assert read(Conll(word=1, tag=2), path) == [(["Ada", "sleeps"], ["B-PER", "O"])]
    assert read(Conll(word=-3, tag=-2), path) == [(["Ada", "sleeps"], ["B-PER", "O"])]
    assert read(Conll(word=1, tag=None), path) == [(["Ada", "sleeps"], None)]
    assert read(Conll(word=0, tag=1, separator="spaces"), file("O O\tB\n")) == [(["O"], ["O"])]


def test_conll_ragged_rows_keep_their_tags(file):
    path = file("1\tAda\tB-O\t-\tann\n2\tsleeps\tO\n")
    assert read(Conll(word=1, tag=2), path) == [(["Ada", "sleeps"], ["B-O", "O"])]


def test_conll_missing_tag_is_marked_or_refused(file):
    path = file("a\t0\nbn\nc\t0\n")
    assert read(Conll(), path) == [(["a", "bn", "c"], ["0", "", "0"])]
    with pytest.raises(InputError, match=r":2: expected a tag in column -1, found 'bn'; mend"):
        read(Conll(untagged="error"), path)


@pytest.mark.parametrize(
    ("form", "content", "message"),
    [
        (Conll(tag=3), "a\tO\nb\tO\n", ":1: expected a tag in column 3"),
        (Conll(word=2, tag=0), "a\tO\n", ":1: expected a word in column 2"),
        (Conll(), "a\rb\tO\n", ":1: .*carriage return"),
        (Conll(), b"a\tO\n\xe5\tO\n", ":2: expected UTF-8, found byte 0xe5 at position 1; .*iconv"),
        (Conll(), "a\tO\n".encode("utf-16"), ":1: expected UTF-8, found UTF-16"),
        (ConllU(), "1\ta\tO\n", ":1: expected a word's number and 10 columns"),
        (ConllU(field="NER"), "1\ta\n", "expected a column NER, found ID, FORM"),
        (JsonLines(), '{"words": ["a"]}', ":1: expected the key `tags`, found words"),
        (JsonLines(), '{"words": ["a"], "tags": []}', ":1: .*1 words and 0 tags"),
        (JsonLines(), '{"words": ["a"], "tags": [1]}', ":1: expected tags as a list of strings"),
        (JsonLines(), '\n{"words": ', ":2: expected one JSON object a line"),
        (JsonLines(), "[1]", ":1: expected one JSON object a line"),
        (JsonLines(), '{"text": "ab", "spans": [[0, 1, "X"]]}', ":1: .*'a' in 'ab'; .*widen"),
        (JsonLines(), '{"text": "ab", "spans": [[0, 9, "X"]]}', ":1: .*0 to 9 in a text of 2"),
        (JsonLines(), '{"text": "ab", "spans": [[0, 2]]}', ":1: expected spans as"),
        (JsonLines(), '{"text": "a", "spans": [[0,1,"X"],[0,1,"Y"]]}', ":1: .*without overlap"),
        (JsonLines(), '{"text": 3, "spans": []}', ":1: expected text"),
        (JsonLines(), '{"words": null, "tags": null}', ":1: expected words as a list"),
        (ParquetTable(), "PAR1 but not for long", "expected a whole Parquet file"),
    ],
)
def test_bad_input_says_where_and_what_to_do(file, form, content, message):
    with pytest.raises(InputError, match=message):
        read(form, file(content))


# CoNLL-U


def conllu_row(number, form, upos="X", xpos="_", misc="_"):
    return "\t".join([number, form, "_", upos, xpos, "_", "_", "_", "_", misc])


def test_conllu_skips_ranges_and_empty_nodes(file):
    rows = [
        "# text = I can't = so",
        conllu_row("1-2", "can't", "_"),
        conllu_row("1", "ca", "AUX", "MD", "NER=B-X|SpaceAfter=No"),
        conllu_row("2", "n't", "PART", "RB"),
        conllu_row("2.1", "go", "VERB"),
    ]
    path = file("\n".join(rows) + "\n\n")
    assert read(ConllU(), path) == [(["ca", "n't"], ["AUX", "PART"])]
    assert read(ConllU(field="XPOS"), path) == [(["ca", "n't"], ["MD", "RB"])]
    assert read(ConllU(field="MISC", key="NER"), path) == [(["ca", "n't"], ["B-X", "O"])]
    assert read(ConllU(field=None), path) == [(["ca", "n't"], None)]
    assert next(ConllU().read(path)).lines == [3, 4]


def test_conllu_plus_names_its_columns(file):
    path = file("# global.columns = ID FORM UPOS NER\n1\tAda\tPROPN\tB-PER\n2\tis\tAUX\tO\n")
    assert read(ConllU(field="NER"), path) == [(["Ada", "is"], ["B-PER", "O"])]
    assert guess(path).format == ConllU(field="NER")


# Records


def test_json_lines_with_words(file):
    path = file('{"words": ["a", "b"], "tags": ["O", "X"], "id": 1}\n\n{"words": [], "tags": []}\n')
    assert read(JsonLines(), path) == [(["a", "b"], ["O", "X"])]
    assert read(JsonLines(tags=None), path) == [(["a", "b"], None)]


def test_json_lines_with_spans_of_characters(file):
    spans = [{"start": 0, "end": 13, "label": "PER"}, [15, 20, "LOC"]]
    path = file(json.dumps({"text": "Ada Lovelace — Paris!", "spans": spans}))
    tags = ["B-PER", "I-PER", "O", "B-LOC", "O"]  # though the first span ends in a space
    assert read(JsonLines(), path) == [(["Ada", "Lovelace", "—", "Paris", "!"], tags)]
    cut = file(json.dumps({"text": "unParisian", "spans": [[2, 7, "LOC"]]}))
    assert read(JsonLines(cut="widen"), cut) == [(["unParisian"], ["B-LOC"])]
    both = file('{"words": null, "tags": null, "text": "a b", "spans": []}')
    assert read(JsonLines(), both) == [(["a", "b"], ["O", "O"])]


def test_parquet_reads_strings_and_named_integers(tmp_path):
    path = str(tmp_path / "t.parquet")
    table = pa.table({"tokens": [["a", "b"], []], "ner_tags": [[0, 1], []]})
    names = {"info": {"features": {"ner_tags": {"feature": {"names": ["O", "B-X"]}}}}}
    pq.write_table(table.replace_schema_metadata({"huggingface": json.dumps(names)}), path)
    assert guess(path).format == ParquetTable(words="tokens", tags="ner_tags")
    assert read(guess(path).format, path) == [(["a", "b"], ["O", "B-X"])]
    with pytest.raises(InputError, match="expected the column `words`, `tags`, found tokens"):
        read(ParquetTable(), path)
    pq.write_table(table, path)
    with pytest.raises(InputError, match=":1: expected tags as a list of strings"):
        read(ParquetTable(words="tokens", tags="ner_tags"), path)


def test_truncated_parquet_is_refused(tmp_path, file):
    whole = tmp_path / "whole.parquet"
    pq.write_table(pa.table({"words": [["a"]] * 99, "tags": [["O"]] * 99}), whole)
    path = file(whole.read_bytes()[:-20], "cut.parquet")
    with pytest.raises(InputError, match="expected a whole Parquet file"):
        read(guess(path).format, path)


def test_hub_says_what_is_missing(monkeypatch):
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(InputError, match=r"pip install 'limbeck\[hub\]'"):
        read(Hub(), "owner/name:train")
    with pytest.raises(InputError, match="its split, as in `name:train`"):
        read(Hub(), "name")


def test_hub_reads_names_of_class_labels(monkeypatch):
    class Data(list):
        features = MappingProxyType(
            {"ner_tags": SimpleNamespace(feature=SimpleNamespace(names=["O", "B-X"]))}
        )

    def load(name, config, **options):
        assert (name, options["split"]) == ("owner/name", "train")
        assert "trust_remote_code" not in options
        if config:
            raise ConnectionError("offline")
        return Data([{"tokens": ["a", "b"], "ner_tags": [0, 1]}])

    monkeypatch.setitem(sys.modules, "datasets", SimpleNamespace(load_dataset=load))
    assert read(Hub(), "owner/name:train") == [(["a", "b"], ["O", "B-X"])]
    with pytest.raises(InputError, match=r"offline; check .* network"):
        read(Hub(config="x"), "owner/name:train")
    with pytest.raises(InputError, match="expected the column text, found tokens, ner_tags"):
        read(Hub(words="text"), "owner/name:train")


# Text


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Al-Zaman: 3.5mm, 1,000!!!", "Al - Zaman : 3.5mm , 1,000 !!!"),
        ("It's Ada's; I can't, DON'T. 'so'", "It 's Ada 's ; I ca n't , DO N'T . ' so '"),
        ("It 's done , do n't", "It 's done , do n't"),
        ("l'eau d’Orange", "l' eau d’ Orange"),
        (
            "see https://x.org/a?b=1. @me #Topic a.b@c.org",
            "see https://x.org/a?b=1 . @me #Topic a.b@c.org",
        ),
        ("the U.S. is", "the U.S. is"),
        ("हिन्दी में", "हिन्दी में"),
        ("東京へ行く", "東 京 へ 行 く"),
        ("co\xadop a\u200db", "co\xadop a\u200db"),
        ("🇸🇪👍🏽👩\u200d💻 1️⃣", "🇸🇪 👍🏽 👩\u200d💻 1️⃣"),
        ("\u200b \ufeff", "\u200b \ufeff"),
    ],
)
def test_words_of_text(text, words):
    assert [word for word, _, _ in words_with_offsets(text)] == words.split(" ")


@given(st.text())
def test_words_cover_all_but_white_space_once(text):
    found = words_with_offsets(text)
    assert all(text[start:end] == word for word, start, end in found)
    assert [offset for _, start, end in found for offset in range(start, end)] == [
        offset for offset, character in enumerate(text) if not character.isspace()
    ]


def test_plain_text_is_a_sentence_a_line(file):
    path = file("Hello there.\n \n\nBye!\r\n")
    sentences = list(PlainText().read(path))
    assert [s.words for s in sentences] == [["Hello", "there", "."], ["Bye", "!"]]
    assert [s.tags for s in sentences] == [None, None]
    assert sentences[1].place(1) == f"{path}:4"
    assert read(PlainText(words="spaces"), path)[0][0] == ["Hello", "there."]


# Guesses

CONLL_2003 = (
    "EU NNP B-NP B-ORG\nrejects VBZ B-VP O\nGerman JJ B-NP B-MISC\ncall NN I-NP O\n. . O O\n"
)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("a\tO\nAda\tB-PER\n\n", Conll(word=0, tag=1)),
        ("O\ta\nB-PER\tAda\nO\tb\n", Conll(word=1, tag=0)),
        (CONLL_2003, Conll(word=0, tag=3)),
        ("# id\n1\tAda\tB-PER\t-\tme\n2\tis\tO\t-\tme\n", Conll(word=1, tag=2)),
        ("1\tAda\tB-PER\tB-PER\tme\n2\tis\tO\tO\tme\n", Conll(word=1, tag=2)),
        ("0\tAda\tB-PER\n1\tis\tO\n2\tin\tO\n", Conll(word=1, tag=2)),
        ("the\tDET\ndog\tNOUN\na\tDET\n", Conll(word=0, tag=1)),
        ("hej 0\nInger   PER\n\nhej\t0\n", Conll(word=0, tag=1)),
        ("one\nword\n\na\nline\n", Conll(tag=None)),
        ("This is text.\nSo is this line.\n", PlainText()),
        ("Hello world\n", PlainText()),
        ("Cut before , it seems .\n" * 20, PlainText(words="spaces")),
        ("[ 119 words ] in brackets\nand more\n", PlainText()),
        ('{"tokens": ["a"], "ner_tags": ["O"]}\n', JsonLines(words="tokens", tags="ner_tags")),
        ('{"text": "a", "entities": []}\n', JsonLines(spans="entities")),
        ('{"text": "a"}\n', JsonLines(spans=None)),
        ("\n".join([conllu_row("1", "a", "DET"), conllu_row("2", "b", "NOUN")]), ConllU()),
        (
            "\n".join([conllu_row("1", "a", "_", "DT"), conllu_row("2", "b", "_", "NN")]),
            ConllU(field="XPOS"),
        ),
    ],
)
def test_guesses(file, content, expected):
    found = guess(file(content))
    assert found.format == expected, found.why
    assert found.why


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "found an empty file"),
        (" \n\t\n", "found an empty file"),
        ('[{"words": []}]', r":1: .*JSON array; .*jq -c '\.\[\]'"),
        ('{\n"words": []}', r":1: expected one JSON object a line.*jq -c"),
        (b"caf\xe9\n", ":1: expected UTF-8"),
    ],
)
def test_what_cannot_be_guessed_is_refused(file, content, message):
    with pytest.raises(InputError, match=message):
        guess(file(content))


# Real corpora: counts made here by other means, column by column


def counted(path, word, tag, comments):
    """Sentences, words and tags by splitting at blank lines, without the reader."""
    sentences, words, tags = 0, 0, Counter()
    for block in path.read_text(encoding="utf-8").replace("\n\t\n", "\n\n").split("\n\n"):
        rows = [
            line.split() if "\t" not in line else line.split("\t") for line in block.split("\n")
        ]
        rows = [row for row in rows if row != [""] and row and not (comments and row[0][0] == "#")]
        rows = [row for row in rows if not (comments and ("-" in row[0] or "." in row[0]))]
        sentences += bool(rows)
        words += len(rows)
        tags.update(row[tag] if tag < len(row) else "" for row in rows)
    return sentences, words, tags


@pytest.mark.skipif(not CORPORA.exists(), reason="the development corpora are not beside this tree")
@pytest.mark.parametrize(
    ("pattern", "word", "tag", "labels", "scheme", "outside"),
    [
        ("ner_en_wnut17/*.conll", 0, 1, 6, "iob2", "O"),
        ("ner_en_ncbi_disease_iob/*.tsv", 0, 1, 1, "iob2", "O"),
        ("ner_en_ncbi_disease_iobes/*.tsv", 0, 1, 1, "bioes", "O"),
        ("ner_sv_swedish_ner_corpus/*_corpus.txt", 0, 1, 4, "raw", "0"),
        ("ner_multi_uner/*/*.iob2", 1, 2, (3, 4), "iob2", "O"),
        ("ner_multi_wikiann/*/*.conllu", 1, 2, 3, "iob2", "O"),
        ("pos_multi_ud/*/*.conl*", 1, 3, None, "flat", "O"),
        ("pos_multi_ud/*/*.tsv", 0, 1, None, "flat", "O"),
    ],
)
def test_real_corpora_are_read_whole(pattern, word, tag, labels, scheme, outside):
    paths = sorted(CORPORA.glob(pattern))
    assert paths
    for path in paths:
        found = guess(str(path)).format
        sentences = list(found.read(str(path)))
        tags = Counter(t for sentence in sentences for t in sentence.tags)
        read_ = (len(sentences), sum(len(sentence.words) for sentence in sentences), tags)
        assert read_ == counted(path, word, tag, comments=word == 1), path
        kinds = {t.partition("-")[2] or t for t in tags} - {"O", "0", ""}
        expected = labels if isinstance(labels, tuple) else (labels,)
        assert labels is None or len(kinds) in expected, (path, kinds)
        lines = path.read_text(encoding="utf-8").split("\n")
        at = [(w, lines[n - 1]) for s in sentences for w, n in zip(s.words, s.lines, strict=True)]
        assert all(word in line for word, line in at)
        assert detect([sentence.tags for sentence in sentences])[:2] == (scheme, outside), path


@pytest.mark.skipif(not CORPORA.exists(), reason="the development corpora are not beside this tree")
def test_both_versions_of_a_corpus_have_the_same_spans():
    for split in ("devel", "test"):
        read_as = {}
        for name, scheme in (("iob", "iob2"), ("iobes", "bioes")):
            path = str(CORPORA / f"ner_en_ncbi_disease_{name}" / f"{split}.tsv")
            sentences = guess(path).format.read(path)
            read_as[name] = [(s.words, spans_of(s.tags, scheme)) for s in sentences]
        assert read_as["iob"] == read_as["iobes"]


@pytest.mark.skipif(not CORPORA.exists(), reason="the development corpora are not beside this tree")
def test_unlabelled_text_is_plain():
    for path in sorted(CORPORA.glob("ner_en_wnut17/unlabelled/*.txt")):
        words = "spaces" if path.stem == "reddit" else "rule"
        assert guess(str(path)).format == PlainText(words=words)
        lines = [line for line in path.read_text(encoding="utf-8").split("\n") if line.strip()]
        assert sum(1 for _ in PlainText().read(str(path))) == len(lines)
