"""Speed: who is timed on what, what the figures are made of, and processes that fail."""

import csv
import io
import json
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import numpy as np
import pytest
import torch
from small_project import params
from toys import TAGS, sentences, write_corpus

from pipeline.config import parse
from pipeline.encoders import Pretrained
from pipeline.errors import InputError
from pipeline.networks import BiLSTM
from pipeline.reporting.frontier import Mark, page, points, undominated
from pipeline.shipping.checksums import seal
from pipeline.shipping.export import write_student
from pipeline.shipping.graphs import emissions_graph
from pipeline.students import new_student, save_student
from pipeline.tagger import Tagger
from pipeline.teachers import save_teacher
from pipeline.timing.clocked import Clocked
from pipeline.timing.references import bert_base
from pipeline.timing.speed import BATCH, WAYS, Speed, Timing, Way, figures, measure, spread
from pipeline.timing.stopwatch import peak_memory
from stages import speed
from stages.params import read_params
from tests.test_transformer import encoder

TINY = BiLSTM(words=4, characters=4, hidden=4, layers=1)

# A tagger that sleeps, as long for a sentence as it is told to.
SLEEPER = """
import json, os, sys, time
from pipeline.errors import InputError
from pipeline.timing.stopwatch import serve

class Sleeper:
    def __init__(self, order):
        if "fault" in order:
            raise {"user": InputError("weights: expected"), "bug": KeyError("x")}[order["fault"]]
        if "signal" in order:
            os.kill(os.getpid(), 9)
        self.parameters, self.seconds, self.log = 7, order["seconds"], order.get("log")
    def threads(self, number):
        self.on = number
    def tag(self, sentences):
        print("a library's chatter")
        time.sleep(self.seconds * len(sentences))
        if self.log:
            with open(self.log, "a") as file:
                print(json.dumps([self.on, sentences]), file=file)

serve(Sleeper)
"""


@contextmanager
def sleeper(name: str, **order: object) -> Iterator[Clocked]:
    with Clocked(name, sys.executable, "-c", SLEEPER) as process:
        process.load(order)
        yield process


def timing(*seconds: float) -> Timing:
    one = np.ones(len(seconds), dtype=np.int64)
    return Timing(np.array(seconds), 2 * one, 10 * one)


def test_any_beginning_comes_evenly_from_all_sentences():
    text = [[str(number)] for number in range(1000)]
    found = [int(words[0]) for words in spread(text)]
    assert sorted(found) == list(range(1000))
    for beginning in (10, 50, 100, 500):
        tenths = np.bincount(np.array(found[:beginning]) // 100, minlength=10)
        assert tenths.max() - tenths.min() <= 3


def test_rates_are_of_the_calls_that_were_done():
    assert timing(0.5, 0.5).rates() == {"sentences_per_second": 4, "words_per_second": 20}
    assert timing(0.001, 0.003).latency() == {"p50": 2.0, "p95": 2.9}


def test_a_slow_tagger_is_compared_on_the_calls_that_both_did():
    assert timing(0.1, 0.1, 9.0).speedup(timing(1.0, 1.0)) == 10
    assert timing(1.0, 1.0).speedup(timing(0.1, 0.1, 9.0)) == 0.1


def test_keys_on_top_are_of_one_thread():
    timings = {way: timing(1 / way.batch / way.threads) for way in WAYS}
    slower = {way: timing(way.threads * 3 / way.batch) for way in WAYS}
    found = figures(timings, slower, timings)
    assert found.pop("threads")["1"] == found
    assert (found["sentences_per_second"], found["speedup"]) == (2 * BATCH, 3)
    assert found["single"] == {
        "sentences_per_second": 2,
        "words_per_second": 10,
        "speedup": 3,
        "speedup_over_reference": 1,
    }
    assert found["latency_ms"]["p50"] == 1000
    assert "speedup_over_reference" not in figures(timings, slower)


def test_taggers_take_turns_on_the_same_sentences_and_slow_ones_get_less_done(tmp_path):
    text = [[f"w{number}"] for number in range(500)]
    with ExitStack() as stack:
        processes = {
            name: stack.enter_context(sleeper(name, seconds=seconds, log=str(tmp_path / name)))
            for name, seconds in {"quick": 0.0, "slow": 0.01}.items()
        }
        assert [process.parameters() for process in processes.values()] == [7, 7]
        found = measure(processes, text, Speed(sentences=20, seconds=0.05))
    quick, slow = found.timings["quick"], found.timings["slow"]
    assert {*quick} == {*slow} == {*WAYS}
    assert len(quick[Way(2, 1)].seconds) == 20
    assert 1 <= len(slow[Way(2, 1)].seconds) < 20
    assert len(slow[Way(2, BATCH)].seconds) == 1
    assert slow[Way(2, 1)].seconds.min() >= 0.01
    assert slow[Way(1, 1)].seconds.max() < 0.01  # computing, of which sleep is none
    assert 0 < found.waited <= 1
    assert all(held > 2**20 for held in found.memory.values())
    _no_sentence_twice(tmp_path / "quick")


def _no_sentence_twice(log):
    calls = [json.loads(line) for line in log.read_text().splitlines()]
    for threads in (1, 2):
        timed = Counter(words[0] for on, call in calls if on == threads for words in call)
        warm_up = [word for word, times in timed.items() if times > 1]
        assert len(warm_up) == 4, "at once before singles and before batches"


def test_memory_is_that_of_the_process_alone():
    held = bytearray(64 * 2**20)
    with sleeper("small", seconds=0) as process:
        assert process.parameters() == 7
        assert process.peak_memory() < peak_memory() - len(held) / 2


def test_a_process_says_what_a_user_can_mend():
    with pytest.raises(InputError, match="weights: expected"), sleeper("a", fault="user") as one:
        one.parameters()
    with (
        pytest.raises(InputError, match="killed by signal 9"),
        sleeper("a", signal=9) as one,
    ):
        one.parameters()
    with pytest.raises(RuntimeError, match="ended with status 1"), sleeper("a", fault="bug") as one:
        one.parameters()


def test_the_teacher_to_compare_with_is_in_the_grid(tmp_path):
    sections = params()
    sections["speed"]["over"] = "de"
    (tmp_path / "params.yaml").write_text(json.dumps(sections))
    with pytest.raises(InputError, match=r"speed\.over: expected one of en, sv, found de"):
        read_params(tmp_path / "params.yaml")
    with pytest.raises(InputError, match=r"speed\.seconds"):
        parse(Speed, {"seconds": 0}, "speed")


# The frontier


def test_none_is_both_faster_and_better():
    marks = [
        Mark(name, "recipes", "en", f1, speed)
        for name, f1, speed in (("a", 80, 10), ("b", 70, 5), ("c", 75, 100), ("d", 75, 90))
    ]
    assert [mark.tagger for mark in undominated(marks)] == ["a", "c"]


def entry(f1: float, rate: float) -> dict[str, object]:
    times = {"sentences_per_second": rate, "words_per_second": 9 * rate, "speedup": 1.5}
    known = {"latency_ms": {"p50": 1.0, "p95": 2.0}, "single": times, **times}
    scores = {"f1": f1, "corpora": {"en": {"f1": f1}, "s<v": {"f1": f1 - 1}}}
    size = {"parameters": 5, "bytes": 20, "peak_memory_bytes": 10**8}
    return {**known, "threads": {"1": known, "2": known}, **scores, **size}


def drawn() -> dict[str, object]:
    recipes = {
        f"recipe {number}": entry(60.0 + number, 100.0 * (1 + number)) for number in range(9)
    }
    reference = {**entry(0.0, 2.0), "corpora": {}}
    about = {"machine": "a <b>", "waited": 0.25, "sentences": 100, "batch": 32, "over": "t&t"}
    groups = {"teachers": {"t&t": entry(80.0, 20.0)}, "recipes": recipes}
    return {**about, **groups, "references": {"bert-base": reference}}


def test_the_page_draws_each_tagger_in_every_corpus_and_is_the_same_each_time():
    html = page(drawn())
    assert html == page(drawn())
    assert html.count("<figure>") == 2
    for name in ("t&amp;t (teacher)", "recipe 8 (student)", "s&lt;v", "bert-base", "25 %"):
        assert name in html
    assert html.count("<tr>") == 1 + 1 + 9 + 1
    assert "<b>" not in html.replace("<b>en</b>", "").replace("<b>s&lt;v</b>", "")
    swatches = {item.split("</svg>")[0] for item in html.split("<li>")[1:]}
    assert len(swatches) == 10, "two taggers look alike"


def test_the_points_are_what_the_page_draws():
    rows = list(csv.DictReader(io.StringIO(points(drawn()))))
    assert len(rows) == 10 * 2
    assert rows[0] == {
        "tagger": "t&t (teacher)",
        "group": "teachers",
        "corpus": "en",
        "f1": "80.0",
        "sentences_per_second": "20.0",
    }


# The stage


def student() -> Tagger:
    torch.manual_seed(0)
    return new_student(TINY, sentences(30, 0)[0], TAGS, "iob2", "crf")


def export(folder):
    write_student(folder, student(), emissions_graph(student()), "gold", "float32")
    scores = {"f1": {"en": 40.0, "sv": 50.0}, "bytes": 500, "parameters": 11}
    (folder / "scores.json").write_text(json.dumps(scores))
    seal(folder)


def store(folder, evaluation):
    save_student(student(), TINY, folder)
    told = {"parameters": 11, "bytes": 1000, "corpora": {"en": {"f1": 50.0}, "sv": {"f1": 61.0}}}
    evaluation.mkdir(parents=True)
    (evaluation / "evaluation.json").write_text(json.dumps(told))


def run(folder, out):
    names = ("corpora", "teachers", "students", "evaluations")
    speed.run(
        Speed(sentences=4, seconds=0.01),
        speed.Lineup(["en"], ["gold"], [3, 1]),
        **{name: folder / name for name in names},
        exported=folder / "exported",
        out=out / "speed.json",
        report=out / "speed.html",
        frontier=out / "frontier.csv",
    )


def test_the_stage_times_whom_the_grid_names(tmp_path):
    for corpus in ("en", "sv"):
        write_corpus(tmp_path / "corpora" / corpus)
    store(tmp_path / "teachers" / "en", tmp_path / "evaluations" / "teachers" / "en")
    store(tmp_path / "students" / "gold" / "3", tmp_path / "evaluations/students/gold/3")
    store(tmp_path / "students" / "gold" / "1", tmp_path / "evaluations/students/gold/1")
    export(tmp_path / "exported" / "gold" / "float32")
    run(tmp_path, tmp_path)
    found = json.loads((tmp_path / "speed.json").read_text())
    assert found["over"] == "en"
    assert "references" not in found, "no teacher has a tokenizer"
    gold = found["recipes"]["gold"]
    assert (gold["bytes"], gold["f1"], gold["corpora"]["sv"]["f1"]) == (1000, 55.5, 61.0)
    assert found["teachers"]["en"]["speedup"] == found["teachers"]["en"]["compression"] == 1
    small = found["exported"]["gold/float32"]
    assert (small["bytes"], small["f1"], small["compression"]) == (500, 45.0, 2.0)
    # PyTorch is not loaded.
    assert 2**20 < small["peak_memory_bytes"] < gold["peak_memory_bytes"] / 2
    assert "gold (student)" in (tmp_path / "speed.html").read_text()
    assert "gold (student)" in (tmp_path / "frontier.csv").read_text()

    (tmp_path / "evaluations/students/gold/1/evaluation.json").unlink()
    with pytest.raises(InputError, match="expected what stage evaluate writes"):
        run(tmp_path, tmp_path / "none")
    assert not (tmp_path / "none").exists()


def test_a_reference_reads_as_a_teacher_does(tmp_path, monkeypatch):
    import transformers

    small: Any = {"hidden_size": 8, "num_attention_heads": 2, "num_hidden_layers": 1}
    config = transformers.BertConfig(**small)
    monkeypatch.setattr(transformers, "BertConfig", lambda: config)
    network, kind = encoder(), Pretrained(name=str(tmp_path / "tiny"))
    network.model.save_pretrained(kind.name)
    network.tokenizer.save_pretrained(kind.name)
    save_teacher(Tagger(kind.build([]), TAGS, "iob2", "crf"), kind, tmp_path)
    tagger, like = bert_base(tmp_path), len(network.tokenizer)
    assert config.vocab_size == 30522 > like
    assert [len(tags) for tags in tagger.tag([["the", "London"], ["."]])] == [2, 1]
    save_student(student(), TINY, tmp_path / "s")
    with pytest.raises(InputError, match=r"set speed\.reference to null"):
        bert_base(tmp_path / "s")
