"""The stage extract: a part at a time on each thread, in memory that a corpus cannot fill."""

import json
import logging
import tracemalloc
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import torch
from safetensors.torch import save_file

from pipeline import extraction
from pipeline.emissions import Emissions, write_emissions
from pipeline.errors import InputError
from pipeline.extraction import Extract
from pipeline.parts import part_name
from pipeline.targets import dropped_in, read_targets
from pipeline.transitions import Transitions
from stages import extract as stage

TAGS = ("O", "B-X", "I-X")
SPLITS = ("en/train", "en/test", "sv/train")


@pytest.fixture(autouse=True)
def teacher(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder with a teacher's transitions, where the stage runs."""
    monkeypatch.chdir(tmp_path)
    torch.manual_seed(0)
    made = Transitions(TAGS, "iob2", "crf")
    for parameter in made.parameters():
        torch.nn.init.normal_(parameter)
    weights = {f"transitions.{name}": tensor for name, tensor in made.state_dict().items()}
    Path("teacher").mkdir()
    save_file(weights, "teacher/weights.safetensors")
    about = {"encoder": {}, "head": "crf", "scheme": "iob2", "tags": TAGS}
    Path("teacher/tagger.json").write_text(json.dumps(about))


def score(folder: str, parts: int, sentences: int, *, words: int = 9, seed: int = 0) -> None:
    """Emissions as the stage score leaves them."""
    chance = np.random.default_rng(seed)
    for number in range(parts):
        offsets = np.concatenate([[0], chance.integers(1, 2 * words, sentences).cumsum()])
        scores = chance.normal(size=(offsets[-1], 3), scale=4).astype(np.float32)
        ids = np.arange(sentences, dtype=np.int32) + number * sentences
        path = Path("emissions") / folder / part_name(number)
        path.parent.mkdir(parents=True, exist_ok=True)
        write_emissions(path, Emissions(ids, offsets, scores), TAGS)


def extract(out: str, **options) -> None:
    stage.run(lambda: Extract(**options), Path("teacher"), Path("emissions"), Path(out))


def run(out: str = "targets", **options) -> dict[str, bytes]:
    """What the stage publishes, by path."""
    extract(out, **options)
    files = (path for path in Path(out).rglob("*") if path.is_file())
    return {path.relative_to(out).as_posix(): path.read_bytes() for path in files}


def test_a_part_of_targets_for_each_of_emissions():
    for number, split in enumerate(SPLITS):
        score(split, 1 + number, 5, seed=number)
    names = {
        f"{split}/{part_name(n)}" for number, split in enumerate(SPLITS) for n in range(1 + number)
    }
    assert {*run(k=3)} == names
    ids = [n for rows in read_targets(Path("targets/sv/train")) for n in rows.sentence_ids]
    assert ids == [*range(15)]


@pytest.mark.parametrize("threads", [1, 2, 5])
def test_threads_change_nothing(monkeypatch: pytest.MonkeyPatch, threads: int):
    score("en/train", 7, 11)
    monkeypatch.setattr(stage, "found_threads", lambda: 3)
    expected = run("expected")
    monkeypatch.setattr(stage, "found_threads", lambda: threads)
    assert run() == expected


def test_what_was_dropped_is_told(caplog: pytest.LogCaptureFixture):
    score("en/train", 2, 30)
    with caplog.at_level(logging.INFO, "limbeck"):
        run("whole")
        assert "dropped" not in caplog.text
        run(keep_above=0.2)
    dropped = dropped_in(Path("targets/en/train"))
    share = f"{dropped.mass / dropped.words:.3%}"
    assert f"en/train: dropped marginals below 0.2, {share} of their sum" in caplog.text
    assert 0.001 < dropped.mass / dropped.words < 0.2


def test_an_interrupted_run_goes_on(monkeypatch: pytest.MonkeyPatch):
    score("en/train", 6, 5)
    expected, made, extract = run("expected"), [], extraction.extract

    def killed(rows, *rest):
        if rows.sentence_ids[0] == 15:
            raise KeyboardInterrupt
        made.append(int(rows.sentence_ids[0]))
        return extract(rows, *rest)

    monkeypatch.setattr(extraction, "extract", killed)
    monkeypatch.setattr(stage, "found_threads", lambda: 1)
    with pytest.raises(KeyboardInterrupt):
        run()
    assert made[:3] == [0, 5, 10]  # the thread may have taken another part before it was told
    assert not Path("targets").exists()

    def counted(rows, *rest):
        made.append(int(rows.sentence_ids[0]))
        return extract(rows, *rest)

    monkeypatch.setattr(extraction, "extract", counted)
    assert run() == expected
    assert sorted(made) == [0, 5, 10, 15, 20, 25]


def test_emissions_that_are_no_numbers_are_refused():
    score("en/train", 2, 5)
    score("sv/train", 1, 5)
    path = Path("emissions/sv/train") / part_name(0)
    scores = np.full((4, 3), np.nan, dtype=np.float32)
    write_emissions(path, Emissions(np.array([7, 8]), np.array([0, 1, 4]), scores), TAGS)
    with pytest.raises(InputError, match=r"sv/train/part-00000.* in sentence 7"):
        run()


def test_many_paths_make_small_row_groups(monkeypatch: pytest.MonkeyPatch):
    score("en/train", 1, 40)
    monkeypatch.setattr("pipeline.parts.NUMBERS", 40_000)
    for k, most in ((10, 40), (1000, 10)):
        run(f"best-{k}", k=k)
        sizes = [len(rows) for rows in read_targets(Path(f"best-{k}/en/train"))]
        assert sum(sizes) == 40
        assert most / 10 < max(sizes) <= most


def test_memory_does_not_grow_with_the_corpus(monkeypatch: pytest.MonkeyPatch):
    """What Python, numpy and Arrow hold at most: five times the text, no more memory.

    One thread, since how many parts of two threads meet at their largest is a matter of luck.
    """
    monkeypatch.setattr(stage, "found_threads", lambda: 1)
    score("en/train", 4, 300, words=40)
    run("once")  # to load the compiled kernels
    few = most_held("few")
    score("en/train", 20, 300, words=40)
    many = most_held("many")
    whole = sum(
        rows.log_marginals.nbytes + rows.paths.nbytes
        for rows in read_targets(Path("many/en/train"))
    )
    assert many < 1.1 * few
    assert few + whole > 1.5 * few, "the test is too small to tell"


def most_held(out: str) -> int:
    """Bytes at the peak of a run."""
    former, counting = pa.default_memory_pool(), pa.proxy_memory_pool(pa.system_memory_pool())
    pa.set_memory_pool(counting)
    tracemalloc.start()
    try:
        extract(out, k=20)
        return tracemalloc.get_traced_memory()[1] + (counting.max_memory() or 0)
    finally:
        tracemalloc.stop()
        pa.set_memory_pool(former)
