"""Writes the embedded corpora: sentences drawn by seed from hand-written templates and names.

    python data/embedded/generate.py

Every folder beside this file that holds `templates.txt` and `names.txt` is a language; a new one
needs nothing here. README.md tells their format and what each group of names and templates is for.
"""

from __future__ import annotations

import random
import re
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

SEED = 7
# The evaluation splits come first: a sentence that they hold is refused to the others.
SENTENCES = {"test": 400, "dev": 200, "train": 800, "transfer": 3000}
# Where in [0, 1) each group ends; "train" is everybody's, the others as FRESH_NAMES and `draw` say.
TEMPLATE_GROUPS = {"train": 0.55, "transfer": 0.75, "dev": 0.82, "test": 1.0}
NAME_GROUPS = {"train": 0.5, "mentioned": 0.75, "unseen": 1.0}
HELD_OUT = ["mentioned", "unseen"]
FRESH_NAMES = {"test": HELD_OUT, "dev": HELD_OUT, "train": ["train"], "transfer": ["mentioned"]}
FRESH = 0.5  # share of the templates, and of the names, that are not from the group "train"
COMPOSED = 0.4  # share of names composed of other names, in a section that lists whole ones too
FULL_NAME = ("PER:full", {"composed": ["{PER:given} {PER:family}"]})  # where none is listed
CHAT, ELSEWHERE = 0.75, 0.05  # share of sentences typed in haste, of which:
LOWERED, MISSPELT = 0.6, 0.1  # share of sentences in lower case, share of words misspelt
Groups = dict[str, list[str]]  # names of one kind by group; "composed" are made of other names
PIECE = re.compile(
    r"(?:\[(?P<span>[^]|]+)\|(?P<label>\w+)\]|\{(?P<slot>[^}]+)\})(?P<ending>[\w-]*)"
    r"|(?P<word>[^\s{[]+)"
)


@dataclass(frozen=True)
class Template:
    """A sentence with slots; the group decides which splits may draw it."""

    domain: str
    text: str
    group: str


@dataclass(frozen=True)
class Sentence:
    """Words and IOB2 tags; `drawn` has (kind, name, group) of every listed name in it."""

    template: Template
    words: list[str]
    tags: list[str]
    drawn: list[tuple[str, str, str]]


def place(text: str) -> float:
    """A number in [0, 1) by the spelling alone: equal in every section, whatever else is listed."""
    return random.Random(f"{SEED}:{text}").random()


def group_at(point: float, ends: dict[str, float]) -> str:
    """The group in whose part of [0, 1) a point lies."""
    return next(group for group, end in ends.items() if point < end)


def blocks(path: Path) -> Iterator[tuple[str, str]]:
    """Yields (heading, line) for every line under a `## heading`."""
    heading = ""
    for line in path.read_text(encoding="utf-8").splitlines():
        if line.startswith("## "):
            heading = line[3:].strip()
        elif line.strip():
            yield heading, line.strip()


def read_templates(path: Path) -> list[Template]:
    """The templates of a language; every group has its share of every domain."""
    domains: dict[str, list[str]] = defaultdict(list)
    for domain, text in blocks(path):
        domains[domain].append(text)
    return [
        Template(domain, text, group_at((rank + 0.5) / len(texts), TEMPLATE_GROUPS))
        for domain, texts in domains.items()
        for rank, text in enumerate(sorted(texts, key=place))
    ]


def read_sections(path: Path, templates: list[Template]) -> dict[str, Groups]:
    """The names of each kind; a name written out in a template is everybody's."""
    written = {(piece["span"] or "").lower() for t in templates for piece in PIECE.finditer(t.text)}
    sections: dict[str, Groups] = defaultdict(lambda: defaultdict(list))
    for kind, text in blocks(path):
        shared = kind[0].islower() or text.lower() in written
        group = "train" if shared else group_at(place(text), NAME_GROUPS)
        sections[kind]["composed" if "{" in text else group].append(text)
    sections.setdefault(*FULL_NAME)
    return dict(sections)


def ended(name: list[str], ending: str) -> list[str]:
    """A name with an ending on its last word; `s` is the genitive of Swedish and its neighbours."""
    last = name[-1]
    if ending == "s" and len(last) > 1 and last.isupper():
        ending = ":s"  # SVT:s
    elif ending == "s" and last[-1].lower() in "sxz":
        ending = ""
    return [*name[:-1], last + ending]


class Writer:
    """Writes one sentence: keeps numbered slots, and draws no name twice unless it must."""

    def __init__(self, sections: dict[str, Groups], fresh: list[str], rng: random.Random) -> None:
        self.sections, self.fresh, self.rng = sections, fresh, rng
        self.numbered: dict[str, list[str]] = {}
        self.drawn: list[tuple[str, str, str]] = []

    def tagged(self, text: str) -> Iterator[tuple[str, str]]:
        """Yields (word, tag); all parts of one name come from the same groups."""
        for piece in PIECE.finditer(text):
            label = piece["label"] or re.split("[:#]", piece["slot"] or "")[0]
            groups = self.fresh if self.rng.random() < FRESH else ["train"]
            for n, word in enumerate(self.words(piece[0], groups)):
                yield word, f"{'I' if n else 'B'}-{label}" if label.isupper() else "O"

    def words(self, text: str, groups: list[str]) -> list[str]:
        """The words of a text with slots, as they are without tags."""
        found = []
        for piece in PIECE.finditer(text):
            if piece["word"]:
                found.append(piece["word"])
                continue
            span, slot = piece["span"], piece["slot"]
            name = self.words(span, groups) if span else self.fill(slot, groups)
            found += ended(name, piece["ending"])
        return found

    def fill(self, slot: str, groups: list[str]) -> list[str]:
        """The words for `kind`, or for `kind#n`: the same name wherever n stands."""
        if slot not in self.numbered:
            words = self.words(self.draw(slot.partition("#")[0], groups), groups)
            if "#" not in slot:
                return words
            self.numbered[slot] = words
        return self.numbered[slot]

    def draw(self, kind: str, groups: list[str]) -> str:
        """A name or a pattern of a kind; of any kind with that label where only it is given."""
        kinds = [each for each in self.sections if kind in (each, each.partition(":")[0])]
        if not kinds:
            raise ValueError(f"slot {kind!r}: expected one of {sorted(self.sections)}")
        kind = self.rng.choice(kinds)
        listed, taken = self.sections[kind], {name for _, name, _ in self.drawn}
        names = [(name, g) for g in groups for name in listed.get(g, []) if name not in taken]
        names = names or [(name, "train") for name in listed.get("train", [])]
        if "composed" in listed and (not names or self.rng.random() < COMPOSED):
            return self.rng.choice(listed["composed"])
        name, group = self.rng.choice(names)
        self.drawn.append((kind, name, group))
        return name


def misspell(word: str, rng: random.Random) -> str:
    """Drops, doubles or swaps a letter inside a word of four letters or more."""
    if len(word) < 4 or not word.isalpha():
        return word
    n = rng.randrange(1, len(word) - 2)
    start, letter, end = word[:n], word[n], word[n + 1 :]
    return start + rng.choice([end, letter * 2 + end, end[0] + letter + end[1:]])


def typed_in_haste(words: list[str], rng: random.Random) -> list[str]:
    """The words, often in lower case, now and then misspelt."""
    if rng.random() < LOWERED:
        words = [word.lower() for word in words]
    return [misspell(word, rng) if rng.random() < MISSPELT else word for word in words]


def draw(folder: Path) -> dict[str, list[Sentence]]:
    """Every split of a language; no sentence occurs twice, be it in one split or in two."""
    templates = read_templates(folder / "templates.txt")
    sections = read_sections(folder / "names.txt", templates)
    splits: dict[str, list[Sentence]] = {}
    written: set[str] = set()
    for split, size in SENTENCES.items():
        rng = random.Random(f"{SEED}:{folder.name}:{split}")
        splits[split] = []
        while len(splits[split]) < size:
            group = split if rng.random() < FRESH else "train"
            template = rng.choice([t for t in templates if t.group == group])
            writer = Writer(sections, FRESH_NAMES[split], rng)
            words, tags = map(list, zip(*writer.tagged(template.text), strict=True))
            if rng.random() < (CHAT if template.domain.startswith("chat") else ELSEWHERE):
                words = typed_in_haste(words, rng)
            if (text := " ".join(words).lower()) not in written:
                written.add(text)
                splits[split].append(Sentence(template, words, tags, writer.drawn))
    return splits


def conll(sentence: Sentence) -> str:
    """A line a word: word, tab, IOB2 tag."""
    return "".join(f"{w}\t{t}\n" for w, t in zip(sentence.words, sentence.tags, strict=True))


def files(folder: Path) -> dict[str, str]:
    """The text of every file of a language; `transfer` is unlabelled, a sentence a line."""
    splits = draw(folder)
    plain = "".join(" ".join(sentence.words) + "\n" for sentence in splits.pop("transfer"))
    labelled = {f"{s}.conll": "\n".join(map(conll, drawn)) for s, drawn in splits.items()}
    return labelled | {"transfer.txt": plain}


if __name__ == "__main__":
    for source in sorted(Path(__file__).parent.glob("*/templates.txt")):
        for name, text in files(source.parent).items():
            (source.parent / name).write_text(text, encoding="utf-8", newline="\n")
