"""Writes the embedded corpora: sentences drawn by seed from hand-written templates and names.

    python data/embedded/generate.py

Every folder beside this file that holds `templates.txt` and `names.txt` is one language; README.md
tells their format. A further language is a further folder. Equal bytes on every run and platform.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

SEED = 7
NAME_GROUPS = {"common": 0.5, "mentioned": 0.25, "unseen": 0.25}
TEMPLATE_GROUPS = {"common": 0.55, "transfer": 0.2, "dev": 0.07, "test": 0.18}
FRESH = 0.5  # share of templates, and of names, that a split draws from what train never shows
PATTERN = 0.4  # share of names composed of others, in a section that also lists names
LOWERED, MISSPELT = 0.6, 0.1  # share of noisy sentences, and of their words
NOISY = {True: 0.75, False: 0.05}  # share of noisy sentences in chat, and elsewhere
COMPOSED = {"PER:full": ["{PER:given} {PER:family}"]}
PIECE = re.compile(r"\[(?P<span>[^]|]+)\|(?P<label>\w+)\]|\{(?P<slot>[^}]+)\}|(?P<word>[^\s{[]+)")


@dataclass(frozen=True)
class Split:
    """How many sentences; beside "common", which templates and names it may draw from."""

    sentences: int
    template_group: str
    name_groups: tuple[str, ...]


# The evaluation splits come first: what they hold is then refused to the others.
SPLITS = {
    "test": Split(400, "test", ("mentioned", "unseen")),
    "dev": Split(200, "dev", ("mentioned", "unseen")),
    "train": Split(800, "common", ("common",)),
    "transfer": Split(3000, "transfer", ("mentioned",)),
}


@dataclass(frozen=True)
class Template:
    """A sentence with slots; `group` decides which splits may draw it."""

    domain: str
    text: str
    group: str


@dataclass(frozen=True)
class Section:
    """The names of one kind by group, and the patterns that compose further ones."""

    names: dict[str, list[str]]
    patterns: list[str]


@dataclass
class Sentence:
    """Words and IOB2 tags; `drawn` lists (kind, name, group) of every listed name in it."""

    template: Template
    words: list[str] = field(default_factory=list)
    tags: list[str] = field(default_factory=list)
    drawn: list[tuple[str, str, str]] = field(default_factory=list)


def group_of(text: str, shares: dict[str, float]) -> str:
    """The group of a text by its own spelling: adding a line moves no other, in any section."""
    point = random.Random(f"{SEED}:{text}").random()
    for group, share in shares.items():
        point -= share
        if point < 0:
            return group
    return next(reversed(shares))


def blocks(path: Path) -> Iterator[tuple[str, str]]:
    """Yields (heading, line) for every line under a `## heading`."""
    heading = ""
    for line in path.read_text(encoding="utf-8").splitlines():
        if line.startswith("## "):
            heading = line[3:].strip()
        elif line.strip():
            yield heading, line.strip()


def read_templates(path: Path) -> list[Template]:
    """The templates of a language, each in its group."""
    return [Template(domain, text, group_of(text, TEMPLATE_GROUPS)) for domain, text in blocks(path)]


def read_sections(path: Path, templates: list[Template]) -> dict[str, Section]:
    """The names of a language by kind; those written out in a template are common to all splits."""
    written = {match["span"] for t in templates for match in PIECE.finditer(t.text) if match["span"]}
    composed = [(kind, text) for kind, texts in COMPOSED.items() for text in texts]
    sections: dict[str, Section] = {}
    for kind, text in [*blocks(path), *composed]:
        section = sections.setdefault(kind, Section({group: [] for group in NAME_GROUPS}, []))
        if "{" in text:
            section.patterns.append(text)
        else:
            shared = text in written or not kind[0].isupper()
            section.names["common" if shared else group_of(text, NAME_GROUPS)].append(text)
    return sections


class Writer:
    """Writes one sentence: remembers numbered slots and draws no name twice."""

    def __init__(self, sections: dict[str, Section], split: Split, rng: random.Random) -> None:
        self.sections, self.split, self.rng = sections, split, rng
        self.numbered: dict[str, list[str]] = {}
        self.drawn: list[tuple[str, str, str]] = []

    def tagged(self, text: str) -> Iterator[tuple[str, str]]:
        """Yields (word, tag) of a template."""
        for piece in PIECE.finditer(text):
            label = piece["label"] or (piece["slot"] or "").partition("#")[0].partition(":")[0]
            if not label.isupper():
                label = ""
            for n, word in enumerate(self.plain(piece[0], self.groups())):
                yield word, f"{'I' if n else 'B'}-{label}" if label else "O"

    def groups(self) -> tuple[str, ...]:
        """The groups that the next name comes from: one choice for all parts of a name."""
        return self.split.name_groups if self.rng.random() < FRESH else ("common",)

    def plain(self, text: str, groups: tuple[str, ...]) -> list[str]:
        """The words of a template, a slot or a pattern, all names from the same groups."""
        words: list[str] = []
        for piece in PIECE.finditer(text):
            if piece["word"]:
                words.append(piece["word"])
            else:
                inner = self.plain(piece["span"], groups) if piece["span"] else None
                words += inner or self.fill(piece["slot"], groups)
        return words

    def fill(self, slot: str, groups: tuple[str, ...]) -> list[str]:
        """The words for a slot: `kind`, or `kind#n` for the same name wherever n stands."""
        if slot not in self.numbered:
            words = self.plain(self.draw(slot.partition("#")[0], groups), groups)
            if "#" not in slot:
                return words
            self.numbered[slot] = words
        return self.numbered[slot]

    def draw(self, kind: str, groups: tuple[str, ...]) -> str:
        """A name or a pattern of a kind; of any of its kinds where only the label is given."""
        kinds = [kind] if kind in self.sections else self.kinds(kind)
        kind = self.rng.choice(kinds)
        section = self.sections[kind]
        taken = {name for _, name, _ in self.drawn}
        names = [(n, g) for g in groups for n in section.names[g] if n not in taken]
        names = names or [(n, "common") for n in section.names["common"]]
        if section.patterns and (not names or self.rng.random() < PATTERN):
            return self.rng.choice(section.patterns)
        name, group = self.rng.choice(names)
        self.drawn.append((kind, name, group))
        return name

    def kinds(self, label: str) -> list[str]:
        """The kinds of a label; an error that names what there is when it has none."""
        found = sorted(kind for kind in self.sections if kind.partition(":")[0] == label)
        if not found:
            raise ValueError(f"slot {label!r}: expected one of {sorted(self.sections)}")
        return found


def misspell(word: str, rng: random.Random) -> str:
    """Drops, doubles or swaps a letter inside a word of four letters or more."""
    if len(word) < 4 or not word.isalpha():
        return word
    at = rng.randrange(1, len(word) - 1)
    dropped, doubled = word[:at] + word[at + 1 :], word[:at] + word[at] + word[at:]
    return rng.choice([dropped, doubled, word[:at] + word[at + 1] + word[at] + word[at + 2 :]])


def roughen(words: list[str], rng: random.Random) -> list[str]:
    """Words as typed in haste: often in lower case, now and then misspelt."""
    lowered = rng.random() < LOWERED
    typed = [word.lower() if lowered else word for word in words]
    return [misspell(word, rng) if rng.random() < MISSPELT else word for word in typed]


def write(
    template: Template, sections: dict[str, Section], split: Split, rng: random.Random
) -> Sentence:
    """One sentence of a template, roughened by chance: mostly so in chat."""
    writer = Writer(sections, split, rng)
    words, tags = zip(*writer.tagged(template.text), strict=True)
    if rng.random() < NOISY[template.domain.startswith("chat")]:
        words = roughen(words, rng)
    return Sentence(template, list(words), list(tags), writer.drawn)


def draw(folder: Path) -> dict[str, list[Sentence]]:
    """Every split of a language; no sentence occurs twice, in one split or in two."""
    templates = read_templates(folder / "templates.txt")
    sections = read_sections(folder / "names.txt", templates)
    written: set[str] = set()
    drawn: dict[str, list[Sentence]] = {}
    for name, split in SPLITS.items():
        rng = random.Random(f"{SEED}:{folder.name}:{name}")
        drawn[name] = []
        while len(drawn[name]) < split.sentences:
            group = split.template_group if rng.random() < FRESH else "common"
            template = rng.choice([t for t in templates if t.group == group])
            sentence = write(template, sections, split, rng)
            if (text := " ".join(sentence.words).lower()) not in written:
                written.add(text)
                drawn[name].append(sentence)
    return drawn


def conll(sentences: list[Sentence]) -> str:
    """Two columns with a tab: word, IOB2 tag; an empty line after each sentence."""
    rows = ["".join(f"{w}\t{t}\n" for w, t in zip(s.words, s.tags, strict=True)) for s in sentences]
    return "\n".join(rows)


def files(folder: Path) -> dict[str, str]:
    """The text of every file of a language, by name; unlabelled text is a sentence a line."""
    drawn = draw(folder)
    texts = {f"{name}.conll": conll(drawn[name]) for name in ("train", "dev", "test")}
    return texts | {"transfer.txt": "".join(" ".join(s.words) + "\n" for s in drawn["transfer"])}


def main() -> None:
    """Writes the files of every language beside this file."""
    for templates in sorted(Path(__file__).parent.glob("*/templates.txt")):
        for name, text in files(templates.parent).items():
            (templates.parent / name).write_text(text, encoding="utf-8", newline="\n")


if __name__ == "__main__":
    main()
