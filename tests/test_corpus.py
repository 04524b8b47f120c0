"""Tables: what is written is read back, byte for byte the same each time; damage is never read."""

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.corpus import SENTENCES_PER_GROUP, read_split, split_path, write_split
from pipeline.errors import InputError

TAGS = ("O", "B-PER", "I-PER")
word = st.text(st.characters(exclude_categories=["Cs"]), max_size=4)
row = st.lists(st.tuples(word, st.sampled_from(TAGS)), min_size=1, max_size=6)
rows = st.lists(row, max_size=5)


def write(path, words, tags):
    write_split(path, words, tags, tag_set=TAGS, scheme="iob2")
    return path


@given(rows=rows, labelled=st.booleans())
def test_what_is_written_is_read_back_and_bytes_are_stable(tmp_path_factory, rows, labelled):
    folder = tmp_path_factory.mktemp("split")
    words = [[word for word, _ in row] for row in rows]
    tags = [[tag for _, tag in row] for row in rows] if labelled else None
    first, second = (write(folder / f"{n}.parquet", words, tags) for n in (1, 2))
    split = read_split(first)
    assert first.read_bytes() == second.read_bytes()
    assert split.words == words
    assert split.tags == (tags if rows else None)
    assert split.sentence_ids == list(range(len(split)))
    assert (split.tag_set, split.scheme, split.path) == (TAGS, "iob2", first)


def test_row_groups_are_small_enough_to_stream(tmp_path):
    path = write(tmp_path / "train.parquet", [["a"]] * (SENTENCES_PER_GROUP + 1), None)
    assert pq.ParquetFile(path).num_row_groups == 2


def test_the_columns_are_those_that_other_programs_read(tmp_path):
    schema = pq.read_schema(write(tmp_path / "dev.parquet", [["a"]], [["O"]]))
    assert [f"{field.name} {field.type}" for field in schema] == [
        "sentence_id int32",
        "words list<element: string>",
        "tags list<element: string>",
    ]
    assert schema.metadata == {b"tags": b'["O", "B-PER", "I-PER"]', b"scheme": b"iob2"}


def test_a_folder_named_like_a_key_makes_no_column(tmp_path):
    path = write(split_path(tmp_path, "lang=en", "train"), [["a"]], None)
    assert path == tmp_path / "lang=en" / "train.parquet"
    assert read_split(path).table.column_names == ["sentence_id", "words", "tags"]


def test_no_flipped_byte_is_read_as_data(tmp_path):
    path = write(tmp_path / "train.parquet", [["Ada", "ran"]], [["B-PER", "O"]])
    whole, split = path.read_bytes(), read_split(path)
    for place in range(0, len(whole), 3):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 0xFF]) + whole[place + 1 :])
        try:
            assert read_split(path).table.equals(split.table)
        except InputError:
            continue


def refused(path):
    with pytest.raises(InputError) as error:
        read_split(path)
    assert str(error.value).startswith(f"{path}: expected ")
    assert "dvc repro prepare" in str(error.value)
    return str(error.value)


def test_a_missing_table_is_refused(tmp_path):
    assert "found no file" in refused(tmp_path / "train.parquet")


@pytest.mark.parametrize("keep", [0, 3, 60, -1])
def test_a_truncated_table_is_refused(tmp_path, keep):
    path = write(tmp_path / "train.parquet", [["a"]], None)
    path.write_bytes(path.read_bytes()[:keep])
    assert "found a damaged or other file" in refused(path)


def test_other_columns_are_refused(tmp_path):
    path = tmp_path / "train.parquet"
    pq.write_table(pa.table({"tokens": [["a"]]}), path)
    message = refused(path)
    assert "words list<item: string>" in message
    assert "found columns tokens list<" in message


@pytest.mark.parametrize(
    ("words", "tags", "message"),
    [
        ([[]], None, "expected words in each row"),
        ([["a", "b"]], [["O"]], "expected one tag a word"),
        ([["a"], ["b"]], [["O"], None], "expected one tag a word"),
        ([["a"]], [["B-LOC"]], "expected the tags O, B-PER, I-PER; found B-LOC"),
    ],
)
@pytest.mark.usefixtures("unchecked")
def test_faulty_rows_are_refused(tmp_path, words, tags, message):
    assert message in refused(write(tmp_path / "train.parquet", words, tags))
