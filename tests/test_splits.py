"""What corpora become together: dev held out, policy for invalid tags, tag set, leaks, refusals."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st
from raw import conll, corpora, prepare, text

from pipeline.errors import InputError
from pipeline.raw.detection import Detected
from pipeline.raw.holdout import hold_out
from pipeline.raw.refusals import refuse
from pipeline.raw.rows import rows_of
from pipeline.raw.sentences import Sentence
from pipeline.raw.sources import read_corpora
from pipeline.raw.splits import join


def rows(sentences):
    """Rows of sentences such as `Ada/PER ran/O`."""
    split = [[word.split("/") for word in sentence.split()] for sentence in sentences]
    made = [
        Sentence([w for w, _ in s], [t for _, t in s], "raw.conll", [number] * len(s))
        for number, s in enumerate(split, start=1)
    ]
    return list(rows_of(made, Detected("raw", "O", "")))


def texts(some):
    return [row.text for row in some]


sentence = st.builds(
    "{}/{} w{}/O".format,
    st.sampled_from("ab"),
    st.sampled_from(["X", "Y", "O"]),
    st.integers(0, 30),
)


@given(st.lists(sentence, min_size=1, max_size=60), st.floats(0.05, 0.5), st.integers(0, 3))
def test_held_out_dev_parts_train_and_keeps_each_label_in_it(sentences, share, seed):
    whole = rows(sentences)
    train, dev = hold_out(whole, share, seed)
    assert Counter(texts(train)) + Counter(texts(dev)) == Counter(texts(whole))
    assert not set(texts(train)) & set(texts(dev))
    assert {x for row in whole for x in row.labels} == {x for row in train for x in row.labels}
    assert len(set(texts(dev))) <= share * len(set(texts(whole))) + 1
    assert texts(train) == [x for x in texts(whole) if x in set(texts(train))]


def test_held_out_dev_has_the_mix_of_train_whatever_the_order():
    whole = rows([f"a/X w{n}/O" for n in range(200)] + [f"a/O w{n}/O" for n in range(200, 1000)])
    train, dev = hold_out(whole, 0.1, seed=1)
    assert len(dev) == pytest.approx(100, abs=1)
    assert sum(bool(row.labels) for row in dev) == pytest.approx(20, abs=1)
    _, again = hold_out(whole[::-1], 0.1, seed=1)
    assert sorted(texts(again)) == sorted(texts(dev))
    _, other = hold_out(whole, 0.1, seed=2)
    assert sorted(texts(other)) != sorted(texts(dev))
    assert len(train) + len(dev) == 1000


def joined(tmp_path, named, **settings):
    """The corpora joined, once nothing speaks against them."""
    read, told = corpora(**named), prepare(tmp_path, **settings)
    readings = read_corpora(read, told.raw)
    joint = join(readings, read, told)
    refuse(joint, readings, told)
    return joint


def refused(tmp_path, named, **settings):
    with pytest.raises(InputError) as error:
        joined(tmp_path, named, **settings)
    return str(error.value)


@pytest.fixture
def english(tmp_path):
    return {
        "train": conll(tmp_path / "train.conll", *(f"Ada/B-PER w{n}/O" for n in range(20))),
        "dev": conll(tmp_path / "dev.conll", "Kim/B-PER ran/O", "we/O ran/O"),
        "test": conll(tmp_path / "test.conll", "Lee/B-PER ran/O", "you/O ran/O"),
    }


def test_one_tag_set_over_all_corpora(tmp_path, english):
    other = {"train": conll(tmp_path / "sv.conll", *(f"Oslo/B-LOC v{n}/O" for n in range(20)))}
    joint = joined(tmp_path, {"en": english, "sv": other}, scheme="iob2")
    assert joint.tag_set == ("O", "B-LOC", "I-LOC", "B-PER", "I-PER")
    assert joint.held_out == ("sv",)
    assert {name: sorted(splits) for name, splits in joint.splits.items()} == {
        "en": ["dev", "test", "train"],
        "sv": ["dev", "train"],
    }


def test_a_corpus_without_train_needs_labels_that_some_train_has(tmp_path, english):
    zero_shot = {"test": conll(tmp_path / "sv.conll", "Bo/B-PER sprang/O")}
    assert joined(tmp_path, {"en": english, "sv": zero_shot}).unseen == ()
    conll(tmp_path / "sv.conll", "Bo/B-PER sprang/O", "i/O Lund/B-LOC", "i/O Oslo/B-LOC")
    found = refused(tmp_path, {"en": english, "sv": zero_shot})
    assert found.startswith(
        f"{tmp_path}/sv.conll:5: expected labels that some train split has, "
        "found LOC (2 in test of sv); correct these tags, or add"
    )


def test_without_any_train_nothing_can_be_learned(tmp_path, english):
    found = refused(tmp_path, {"en": {"test": english["test"]}})
    assert "corpora: expected a train split in at least one corpus, found none" in found


def test_transfer_loses_what_any_dev_or_test_says_and_its_tags(tmp_path, english):
    other = {
        "train": conll(tmp_path / "sv.conll", *(f"Bo/B-PER v{n}/O" for n in range(20))),
        "transfer": text(tmp_path / "sv.txt", "Kimran", "weran", "Ada w3", "something else"),
    }
    joint = joined(tmp_path, {"en": english, "sv": other})
    assert texts(joint.splits["sv"]["transfer"]) == ["Adaw3", "somethingelse"]
    assert joint.leaks == {"sv": 2}
    labelled = {**english, "transfer": english["train"]}
    transfer = joined(tmp_path, {"en": labelled}).splits["en"]["transfer"]
    assert [row.spans for row in transfer] == [None] * 20


def test_transfer_that_is_a_test_is_refused(tmp_path, english):
    found = refused(tmp_path, {"en": {**english, "transfer": english["test"]}})
    assert "corpora.en.transfer: expected sentences, found none to keep of 2: each occurs" in found


def test_a_limit_of_transfer_takes_from_each_file(tmp_path, english):
    files = [
        text(tmp_path / f"{n}.txt", *(f"{n}x{m} said {m * 'no '}." for m in range(50)))
        for n in (1, 2)
    ]
    limited = {**english, "transfer": files, "max_transfer": 10}
    kept = joined(tmp_path, {"en": limited}).splits["en"]["transfer"]
    assert [said[0] for said in texts(kept)] == ["1"] * 5 + ["2"] * 5


INVALID = ("Ada/I-PER ran/O", "Ada/B-PER Kim/I-LOC", "she/O ran/O")


@pytest.fixture
def faulty(tmp_path, english):
    more = conll(tmp_path / "more.conll", *INVALID)
    return {"en": {**english, "train": [english["train"], more]}}


def test_invalid_tags_are_repaired(tmp_path, faulty):
    train = joined(tmp_path, faulty).splits["en"]["train"]
    assert [row.spans for row in train[-3:]] == [
        ((0, 1, "PER"),),
        ((0, 1, "PER"), (1, 2, "LOC")),
        (),
    ]


def test_sentences_with_invalid_tags_are_dropped(tmp_path, faulty):
    joint = joined(tmp_path, faulty, invalid="drop")
    assert len(joint.raw["en"]["train"]) - len(joint.splits["en"]["train"]) == 2


def test_invalid_tags_are_an_error_with_kind_count_and_place(tmp_path, faulty):
    first, second = refused(tmp_path, faulty, invalid="error").splitlines()
    path = f"{tmp_path}/more.conll"
    assert first.startswith(f"{path}:1: expected valid tags (prepare.invalid is error), found I-")
    assert f"1 in all ({path}:5); correct them, or set prepare.invalid to repair or drop" in second


def test_dropping_may_leave_nothing(tmp_path, english):
    bad = {**english, "dev": conll(tmp_path / "bad.conll", "Ada/I-PER ran/O")}
    found = refused(tmp_path, {"en": bad}, invalid="drop")
    assert "corpora.en.dev: expected sentences, found none to keep of 1: none is valid" in found


def test_train_must_spare_a_dev_split(tmp_path):
    tiny = {"train": conll(tmp_path / "tiny.conll", "Ada/B-PER ran/O", "she/O ran/O")}
    assert "corpora.en: expected a dev split, or a train split that can spare a share of 0.1" in (
        refused(tmp_path, {"en": tiny})
    )


def test_part_of_speech_and_entities_are_not_mixed_up(tmp_path, english):
    words = {"train": conll(tmp_path / "pos.conll", *(f"Ada/NOUN w{n}/VERB" for n in range(20)))}
    assert "found flat" in refused(tmp_path, {"en": words})
    assert joined(tmp_path, {"en": words}, scheme="flat").tag_set == ("NOUN", "VERB")
    assert "expected tags that become flat" in refused(tmp_path, {"en": english}, scheme="flat")
