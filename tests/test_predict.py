"""`limbeck predict` as a command: streams, files, formats, and its exit status."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import toys
from exported import exported

from pipeline.networks import BiLSTM
from pipeline.predictor import Predictor
from pipeline.students import new_student, save_student

ROOT = Path(__file__).parents[1]
TEXT = "Ada lives in New York. Grace Hopper!\n\nLondon\n"
# typer loads pydantic; all else that an exported student does without, it does without here too.
HEAVY = ("torch", "transformers", "pyarrow", "numba", "tokenizers", "jaxtyping", "onnx")


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> Path:
    return exported(tmp_path_factory.mktemp("model") / "toy")


def environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(ROOT), "COLUMNS": "100"}


def limbeck(*words, given: str | bytes = "", cwd=ROOT) -> subprocess.CompletedProcess[bytes]:
    """`limbeck predict` in a process of its own."""
    return subprocess.run(
        [sys.executable, "-m", "stages.cli", "predict", *map(str, words)],
        input=given.encode() if isinstance(given, str) else given,
        capture_output=True,
        env=environment(),
        cwd=cwd,
    )


def records(ran: subprocess.CompletedProcess[bytes]) -> list[dict]:
    assert (ran.returncode, b"Traceback" in ran.stderr) == (0, False), ran.stderr.decode()
    return [json.loads(line) for line in ran.stdout.decode().splitlines()]


def refused(ran: subprocess.CompletedProcess[bytes], message: str) -> None:
    told = ran.stderr.decode()
    assert ran.returncode == 2, told
    assert message in told
    assert "Traceback" not in told


def test_text_from_standard_input_becomes_an_object_a_sentence(model):
    found = records(limbeck(model, given=TEXT))
    assert [each["text"] for each in found] == ["Ada lives in New York.", "Grace Hopper!", "London"]
    assert [(each["line"], each["start"]) for each in found] == [(1, 0), (1, 23), (3, 38)]
    for each in found:
        assert TEXT[each["start"] :].startswith(each["text"])
        for span in each["spans"]:
            assert each["text"][span["start"] : span["end"]] == span["text"]
            assert 0.5 < span["confidence"] <= 1.0
    assert [span["text"] for each in found for span in each["spans"]] == [
        "Ada",
        "New York",
        "Grace Hopper",
        "London",
    ]


def test_an_exported_student_loads_nothing_that_it_does_not_need(model):
    """Of what starts slowly; and where such a library is not installed, it is not missed."""
    code = (
        "import sys\n"
        f"heavy = {HEAVY!r}\n"
        "sys.modules.update(dict.fromkeys(heavy))\n"  # importing one of them raises ImportError
        f"sys.argv = ['limbeck', 'predict', {str(model)!r}, '--k', '2']\n"
        "from stages.cli import main\n"
        "main()\n"
    )
    ran = subprocess.run(
        [sys.executable, "-c", code], input=TEXT.encode(), capture_output=True, env=environment(),
        cwd=ROOT,
    )  # fmt: skip
    assert len(records(ran)) == 3


def test_it_starts_in_under_a_second(model):
    """Of computing time, which other programs on the machine do not lengthen."""
    before = os.times()
    records(limbeck(model, given=TEXT))
    after = os.times()
    spent = after.children_user + after.children_system
    assert spent - before.children_user - before.children_system < 1.0


def test_files_are_read_in_order_each_in_its_format(model, tmp_path):
    (tmp_path / "a.txt").write_text(TEXT)
    (tmp_path / "b.conll").write_text("# id = 7\nIn\tO\nLondon\tX\n\nAda\tX\n\n" * 3)
    (tmp_path / "c.jsonl").write_text('{"words": []}\n{"words": ["London"]}\n')
    ran = limbeck(model, "a.txt", "b.conll", "-", "c.jsonl", given="York", cwd=tmp_path)
    found = records(ran)
    sources = [each["source"] for each in found]
    assert sources == ["a.txt"] * 3 + ["b.conll"] * 6 + ["standard input"] + ["c.jsonl"] * 2
    assert [each["line"] for each in found[3:7]] == [2, 5, 8, 11]
    assert found[-2]["words"] == found[-2]["tags"] == found[-2]["spans"] == []
    assert found[-1]["tags"] == ["S-LOC"]


def test_columns_in_and_out_keep_comments(model):
    given = "# id = 7\n# text = In New York\nIn\tX\nNew\tX\nYork\tX\n\nAda X\n"
    ran = limbeck(model, "--from", "conll", "--to", "conll", given=given)
    assert ran.stdout.decode() == (
        "# id = 7\n# text = In New York\nIn\tO\nNew\tB-LOC\nYork\tE-LOC\n\nAda\tS-PER\n\n"
    )


def test_a_file_to_write_says_its_format_and_appears_whole(model, tmp_path):
    for name in ("out.conll", "out.jsonl", "out.parquet", "deep/out.any"):
        ran = limbeck(model, "--out", name, given=TEXT, cwd=tmp_path)
        assert (ran.returncode, ran.stdout) == (0, b""), ran.stderr
        assert b"predicting: 3 sentences" in ran.stderr
    lines = (tmp_path / "out.jsonl").read_text()
    assert lines == (tmp_path / "deep" / "out.any").read_text()
    assert pq.read_table(tmp_path / "out.parquet")["tags"].to_pylist() == [
        json.loads(line)["tags"] for line in lines.splitlines()
    ]
    assert (tmp_path / "out.conll").read_text().count("\n\n") == 3


def test_what_cannot_be_read_leaves_the_former_file(model, tmp_path):
    (tmp_path / "out.jsonl").write_text("former\n")
    (tmp_path / "bad.jsonl").write_text('{"text": "Ada"}\n{"no": 1}\n')
    ran = limbeck(model, "bad.jsonl", "--out", "out.jsonl", cwd=tmp_path)
    refused(ran, "bad.jsonl:2: expected the key `words` or `text`, found no")
    assert (tmp_path / "out.jsonl").read_text() == "former\n"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bad.jsonl", "out.jsonl"]
    ran = limbeck(model, "bad.jsonl", cwd=tmp_path)
    refused(ran, "bad.jsonl:2: expected")
    assert json.loads(ran.stdout)["words"] == ["Ada"]


def test_alternatives_come_best_first_with_probabilities(model):
    (found,) = records(limbeck(model, "--k", 3, given="Ada lives"))
    listed = found["alternatives"]
    assert len(listed) == 3
    assert listed[0]["tags"] == found["tags"]
    probabilities = [each["probability"] for each in listed]
    assert probabilities == sorted(probabilities, reverse=True)


def test_long_input_in_small_batches_keeps_its_order(model):
    given = "".join(f"Ada lives in{' London' * (n % 7)} {n}.\n" for n in range(500))
    found = records(limbeck(model, "--batch-words", 16, "--threads", 2, given=given))
    assert [each["words"][-2] for each in found] == [*map(str, range(500))]
    assert [sum(s["label"] == "LOC" for s in each["spans"]) for each in found] == [
        n % 7 for n in range(500)
    ]


def test_an_answer_comes_before_the_input_ends(model):
    """Whoever types sees each line answered; nothing waits for a batch to fill."""
    process = subprocess.Popen(
        [sys.executable, "-m", "stages.cli", "predict", str(model)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
        env=environment(), cwd=ROOT,
    )  # fmt: skip
    assert process.stdin is not None
    assert process.stdout is not None
    for word in ("Ada", "London"):
        process.stdin.write(f"{word}\n".encode())
        process.stdin.flush()
        assert json.loads(process.stdout.readline())["text"] == word
    process.stdin.close()
    assert process.wait(timeout=60) == 0
    process.stdout.close()


def test_a_reader_that_has_had_enough_ends_it_quietly(model, tmp_path):
    command = f"yes 'Ada lives.' | {sys.executable} -m stages.cli predict {model} 2> {tmp_path}/log"
    ran = subprocess.run(
        f"{command} | head -n 2; echo ${{PIPESTATUS[1]}}", shell=True, executable="/bin/bash",
        capture_output=True, env=environment(), cwd=ROOT, timeout=120,
    )  # fmt: skip
    lines = ran.stdout.decode().splitlines()
    assert [json.loads(line)["text"] for line in lines[:2]] == ["Ada lives."] * 2
    assert lines[2] == "0"
    assert "Error" not in (tmp_path / "log").read_text()


def test_memory_does_not_grow_with_the_input(model):
    """Peak memory of a long input beside that of a short one."""
    code = (
        "import resource, sys\nfrom stages.cli import main\n"
        f"sys.argv = ['limbeck', 'predict', {str(model)!r}]\n"
        "try:\n    main()\nfinally:\n"
        "    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, file=sys.stderr)\n"
    )
    peaks = []
    for times in (4_000, 40_000):
        ran = subprocess.run(
            [sys.executable, "-c", code], input=b"Ada lives in London.\n" * times,
            capture_output=True, env=environment(), cwd=ROOT,
        )  # fmt: skip
        assert ran.stdout.count(b"\n") == times
        peaks.append(int(ran.stderr.split()[-1]))
    assert peaks[1] < 1.2 * peaks[0]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--from", "xml"], "--from: expected one of text, wrapped, spaced, conll"),
        (["--to", "xml"], "--to: expected one of jsonl, conll, parquet, found xml"),
        (["--to", "parquet"], "--to parquet: expected a file to write, found none"),
        (["--to", "conll", "--k", "2"], "--k: columns hold one tag a word"),
        (["--k", "-1"], "--k: expected 0 or more, found -1"),
        (["--batch-words", "0"], "--batch-words: expected 1 or more, found 0"),
        (["--threads", "0"], "--threads: expected 1 or more, found 0"),
        (["--out", "."], "--out: expected the name of a file, found the folder ."),
        (["none.txt"], "none.txt: expected a file to tag, found none"),
        (["."], ".: expected a file to tag, found a folder; name its files"),
        (["--from", "parquet"], "standard input: expected a whole Parquet file"),
    ],
)
def test_what_the_user_can_mend_is_one_message(model, tmp_path, options, message):
    refused(limbeck(model, *options, cwd=tmp_path), message)


def test_what_cannot_be_written_is_told(model, tmp_path):
    (tmp_path / "file").write_text("")
    refused(
        limbeck(model, "--out", tmp_path / "file" / "out", given="Ada"), "--out: expected a place"
    )
    if Path("/dev/full").exists():
        command = f"echo Ada | {sys.executable} -m stages.cli predict {model} > /dev/full"
        ran = subprocess.run(command, shell=True, capture_output=True, env=environment(), cwd=ROOT)
        refused(ran, "standard output: the disk is full")


def test_input_that_is_closed_is_told(model):
    for more in ("", "--from parquet"):
        command = f"{sys.executable} -m stages.cli predict {model} {more} <&-"
        ran = subprocess.run(command, shell=True, capture_output=True, env=environment(), cwd=ROOT)
        refused(ran, "standard input: expected something to read, found it closed")


def test_a_model_that_is_none_is_named(tmp_path):
    refused(limbeck(tmp_path / "none"), "none: expected a folder that `limbeck export` wrote")


@pytest.mark.parametrize("head", ["crf", "softmax"])
def test_a_student_for_pytorch_is_used_as_an_exported_one(tmp_path, head):
    sentences, _ = toys.sentences(20, 7)
    student = BiLSTM()
    tagger = new_student(student, sentences, ["O", "B-A", "E-A", "I-A", "S-A"], "bioes", head)
    save_student(tagger, student, tmp_path / "student")
    given = "".join(json.dumps({"words": words}) + "\n" for words in sentences)
    found = records(limbeck(tmp_path / "student", "--from", "jsonl", "--k", 1, given=given))
    assert [each["tags"] for each in found] == tagger.eval().tag(sentences)


def test_every_answer_is_that_of_the_predictor(model):
    found = records(limbeck(model, given=TEXT))
    wanted = Predictor.load(model).predict([each["words"] for each in found])
    assert [each["tags"] for each in found] == [each.tags for each in wanted]
