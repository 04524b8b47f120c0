"""Evaluate: what is stored is what the tagger says, by a forward pass or by stored emissions."""

import json

import pytest
import torch
from toys import TAGS, sentences, write_corpus

from pipeline.corpus import read_split, write_split
from pipeline.errors import InputError
from pipeline.evaluation import read_examined
from pipeline.metrics import count, f1
from pipeline.networks import BiLSTM
from pipeline.scoring import Score, score_split
from pipeline.students import load_student, new_student, save_student
from stages import evaluate, evaluate_teacher

TINY = BiLSTM(words=4, characters=4, hidden=4, layers=1)


@pytest.fixture
def project(tmp_path, monkeypatch):
    """Two corpora, and one tagger that serves as student and as teacher."""
    monkeypatch.chdir(tmp_path)
    write_corpus(tmp_path / "corpora" / "en")
    write_corpus(tmp_path / "corpora" / "sv", seed=9)
    torch.manual_seed(0)
    tagger = new_student(TINY, sentences(30, 0)[0], TAGS, "iob2", "crf")
    for parameter in tagger.parameters():
        torch.nn.init.normal_(parameter, std=0.7)
    save_student(tagger, TINY, tmp_path / "models" / "gold" / "1")
    (tmp_path / "models" / "gold" / "1" / "curve.csv").write_text("step\n")
    (tmp_path / "label.json").write_text(json.dumps({"en": {}}))
    return tmp_path


def scored(project, corpus="en"):
    split = read_split(project / "corpora" / corpus / "test.parquet")
    folder = project / "emissions" / "en" / "test"
    tagger = load_student(project / "models" / "gold" / "1")
    options = {"score": Score(part=7), "batch_words": 50, "scored": lambda count: None}
    score_split(tagger, split.words, split.sentence_ids, folder, **options)


def run_teacher(project):
    evaluate_teacher.run(
        project / "models" / "gold" / "1",
        project / "emissions",
        project / "corpora",
        project / "label.json",
        project / "out",
    )


def run_student(project):
    evaluate.run(project / "models" / "gold" / "1", project / "corpora", project / "out")


def test_a_student_is_asked_about_every_test_split(project):
    run_student(project)
    found, student = read_examined(project / "out"), load_student(project / "models" / "gold" / "1")
    assert [*found.corpora] == ["en", "sv"]
    for corpus, evaluation in found.corpora.items():
        split = read_split(project / "corpora" / corpus / "test.parquet")
        assert evaluation.tags == student.tag(split.words)
        assert evaluation.sentence_ids == split.sentence_ids
        assert f1(evaluation.counts) == f1(count(split.tags, evaluation.tags, "iob2"))
    assert found.parameters == student.weights
    files = [p for p in (project / "models" / "gold" / "1").iterdir() if p.name != "curve.csv"]
    assert found.size == sum(path.stat().st_size for path in files)


def test_a_teacher_says_from_emissions_what_it_would_say_itself(project):
    scored(project)
    run_teacher(project)
    found = read_examined(project / "out")
    split = read_split(project / "corpora" / "en" / "test.parquet")
    assert [*found.corpora] == ["en"]
    tagger = load_student(project / "models" / "gold" / "1")
    assert found.corpora["en"].tags == tagger.tag(split.words)


def test_a_second_evaluation_gives_the_same_bytes(project):
    def content():
        run_student(project)
        return [path.read_bytes() for path in sorted((project / "out").iterdir())]

    assert content() == content()


def test_a_corpus_without_test_split_is_left_out(project):
    (project / "corpora" / "en" / "test.parquet").unlink()
    run_student(project)
    assert [*read_examined(project / "out").corpora] == ["sv"]
    run_teacher(project)
    assert [*read_examined(project / "out").corpora] == []


def test_another_tag_set_is_refused_with_the_difference(project):
    path = project / "corpora" / "sv" / "test.parquet"
    split = read_split(path)
    tags = (*TAGS, "B-ORG", "I-ORG")
    write_split(path, split.words, split.tags, tag_set=tags, scheme="iob2")
    with pytest.raises(InputError, match="B-ORG, I-ORG; train the tagger again"):
        run_student(project)
    assert not (project / "out").exists()


def test_emissions_of_other_sentences_are_refused(project):
    scored(project, "sv")
    with pytest.raises(InputError, match="dvc repro score"):
        run_teacher(project)


def test_a_split_without_gold_tags_is_refused(project):
    path = project / "corpora" / "sv" / "test.parquet"
    write_split(path, [["a"]], None, tag_set=TAGS, scheme="iob2")
    with pytest.raises(InputError, match="expected gold tags"):
        run_student(project)


def test_missing_inputs_are_named_with_the_stage_that_makes_them(project):
    with pytest.raises(InputError, match="score@1"):
        run_teacher(project)
    with pytest.raises(InputError, match="distill@top_wk-2"):
        evaluate.run(project / "top_wk" / "2", project / "corpora", project / "out")
