"""The embedded corpora are what their generator writes, and their splits keep their promises."""

import importlib.util
import sys
from collections import defaultdict
from pathlib import Path

import pytest

EMBEDDED = Path(__file__).parents[1] / "data" / "embedded"
FRESH = {"mentioned", "unseen"}


def load_generator():
    spec = importlib.util.spec_from_file_location("generate", EMBEDDED / "generate.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules["generate"] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


generate = load_generator()
LANGUAGES = sorted(path.parent.name for path in EMBEDDED.glob("*/templates.txt"))


@pytest.fixture(scope="module", params=LANGUAGES)
def folder(request):
    return EMBEDDED / request.param


@pytest.fixture(scope="module")
def splits(folder):
    return generate.draw(folder)


@pytest.fixture(scope="module")
def templates(folder):
    return generate.read_templates(folder / "templates.txt")


def names_of(sentences):
    """The listed names in sentences, as (kind, name, group); plain fillers are left out."""
    return [drawn for s in sentences for drawn in s.drawn if drawn[0][0].isupper()]


def spans_of(sentences):
    """The text of every span, folded, read from the tags alone."""
    found, last = set(), []
    for sentence in sentences:
        for word, tag in zip([*sentence.words, ""], [*sentence.tags, "O"], strict=True):
            if not tag.startswith("I-") and last:
                found.add(" ".join(last).lower())
                last = []
            if tag != "O":
                last.append(word)
    return found


def texts_of(sentences):
    return {" ".join(sentence.words).lower() for sentence in sentences}


def test_the_committed_files_are_what_the_generator_writes(folder):
    for name, text in generate.files(folder).items():
        assert (folder / name).read_bytes() == text.encode(), f"{name}: run generate.py, commit"


def test_the_files_of_a_language_are_small(folder):
    assert sum((folder / name).stat().st_size for name in generate.files(folder)) < 700_000


def test_sizes_are_as_promised(splits):
    assert {split: len(drawn) for split, drawn in splits.items()} == generate.SENTENCES


def row(language, split, sentences):
    """One line of the table in README.md."""
    tags = [tag for sentence in sentences for tag in sentence.tags]
    spans = [tags.count(f"B-{label}") for label in ("PER", "LOC", "ORG", "MISC")]
    counts = [len(sentences), len(tags), *("" if split == "transfer" else n for n in spans)]
    return f"| {language} | {split} | {' | '.join(map(str, counts))} |"


def test_the_table_in_the_readme_is_right(folder, splits):
    rows = [
        row(folder.name, split, splits[split]) for split in ("train", "dev", "test", "transfer")
    ]
    readme = (EMBEDDED / "README.md").read_text(encoding="utf-8").splitlines()
    assert set(rows) <= set(readme), "paste into README.md:\n" + "\n".join(rows)


def test_there_are_templates_enough_in_domains_enough(templates):
    assert len({t.text for t in templates}) == len(templates) >= 120
    assert len({t.domain for t in templates}) >= 8


def test_no_name_is_listed_twice_in_a_section(folder, templates):
    for kind, groups in generate.read_sections(folder / "names.txt", templates).items():
        names = [name for group in groups if group != "composed" for name in groups[group]]
        assert len(names) == len(set(names)), kind


def test_a_name_is_in_one_group_wherever_it_is_listed(folder, templates):
    groups = defaultdict(set)
    for kind, section in generate.read_sections(folder / "names.txt", templates).items():
        for group, names in section.items() if kind[0].isupper() else ():
            for name in names:
                groups[name].add(group)
    assert all(len(found) == 1 for found in groups.values())


def test_tags_are_valid_iob2_over_four_labels(splits):
    for sentence in splits["train"] + splits["dev"] + splits["test"]:
        last = "O"
        for word, tag in zip(sentence.words, sentence.tags, strict=True):
            assert word
            assert not word.isspace()
            assert tag == "O" or tag[2:] in {"PER", "LOC", "ORG", "MISC"}
            assert not tag.startswith("I-") or last[2:] == tag[2:]
            last = tag


def test_no_sentence_occurs_in_two_splits_or_twice_in_one(splits):
    assert len(set().union(*map(texts_of, splits.values()))) == sum(map(len, splits.values()))


@pytest.mark.parametrize("split", ["dev", "test"])
def test_half_of_the_templates_never_occur_in_train_or_transfer(splits, split):
    known = {s.template.text for s in splits["train"] + splits["transfer"]}
    fresh = [s for s in splits[split] if s.template.text not in known]
    assert 0.4 < len(fresh) / len(splits[split]) < 0.6


def test_dev_and_test_share_no_held_out_template(splits):
    dev, test = ({s.template for s in splits[split]} for split in ("dev", "test"))
    assert {t.group for t in dev & test} == {"train"}


@pytest.mark.parametrize("label", ["PER", "LOC", "ORG", "MISC"])
def test_half_of_the_names_in_test_never_occur_in_train(splits, label):
    train = {name for _, name, _ in names_of(splits["train"])}
    test = [(name, g) for kind, name, g in names_of(splits["test"]) if kind.startswith(label)]
    fresh = [name for name, group in test if group in FRESH]
    assert 0.35 < len(fresh) / len(test) < 0.65
    assert not train & set(fresh)


def test_every_domain_has_templates_of_its_own_in_test(templates):
    assert {t.domain for t in templates if t.group == "test"} == {t.domain for t in templates}


def test_half_of_the_names_of_every_kind_are_fresh_in_test(splits):
    groups = defaultdict(list)
    for kind, _, group in names_of(splits["test"]):
        groups[kind].append(group in FRESH)
    often = {kind: fresh for kind, fresh in groups.items() if len(fresh) >= 12}
    assert len(often) >= 8
    for kind, fresh in often.items():
        deviation = len(fresh) ** 0.5 / 2  # of a fair coin: the draw is one, its count is not half
        assert abs(sum(fresh) - len(fresh) / 2) < 3 * deviation, kind


def test_fresh_names_are_no_span_of_train_by_any_route(splits):
    fresh = {name.lower() for split in ("dev", "test") for _, name, g in names_of(splits[split])
             if g in FRESH}  # fmt: skip
    assert fresh
    assert not fresh & spans_of(splits["train"])


def test_transfer_text_mentions_some_names_that_train_lacks_and_never_the_unseen(splits):
    groups = {group for _, _, group in names_of(splits["transfer"])}
    assert groups == {"train", "mentioned"}
    unseen = {
        n.lower() for s in ("dev", "test") for _, n, g in names_of(splits[s]) if g == "unseen"
    }
    assert unseen
    assert not unseen & spans_of(splits["transfer"])


def test_surfaces_occur_under_several_labels(splits):
    labels = defaultdict(set)
    for kind, name, _ in names_of(splits["transfer"]):
        labels[name].add(kind.partition(":")[0])
    assert sum(len(found) > 1 for found in labels.values()) >= 30


def test_words_typed_in_haste_differ_by_one_letter_at_most():
    rng = generate.random.Random(1)
    for _ in range(200):
        typed = generate.misspell("Gothenburg", rng)
        assert abs(len(typed) - len("Gothenburg")) <= 1
        assert typed[0] == "G"
        assert typed[-1] == "g"
    assert generate.misspell("Ulm", rng) == "Ulm"


def test_an_unknown_slot_is_an_error_that_lists_the_kinds(folder, templates):
    sections = generate.read_sections(folder / "names.txt", templates)
    writer = generate.Writer(sections, ["train"], generate.random.Random(1))
    with pytest.raises(ValueError, match=r"slot 'LOC:moon': expected one of .*LOC:city"):
        list(writer.tagged("{LOC:moon} is full ."))


@pytest.mark.parametrize(
    ("name", "genitive"),
    [("Lund", "Lunds"), ("Marx", "Marx"), ("Varbergs BoIS", "Varbergs BoIS"), ("TV4", "TV4:s")],
)
def test_the_genitive_is_glued_to_the_last_word_as_its_spelling_asks(name, genitive):
    assert generate.ended(name.split(), "s") == genitive.split()
