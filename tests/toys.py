"""A toy corpus that a tiny tagger learns in seconds, for tests of everything that trains."""

import random
from pathlib import Path

from pipeline.corpus import Split, read_split, write_split

TAGS = ("O", "B-PER", "I-PER", "B-LOC", "I-LOC")
GIVEN = ("Ada", "Bo", "Cleo", "Dan", "Eve", "Finn")
FAMILY = ("Berg", "Clark", "Diaz", "Eriksson", "Fox")
PLACES = (("Oslo",), ("New", "York"), ("Bergen",), ("Los", "Angeles"), ("Lund",))


def sentences(count: int, seed: int) -> tuple[list[list[str]], list[list[str]]]:
    """Words and IOB2 tags of sentences such as `Ada Berg lives in New York .`"""
    chance = random.Random(seed)
    words, tags = [], []
    for _ in range(count):
        name = [chance.choice(GIVEN), *([chance.choice(FAMILY)] if chance.random() < 0.5 else [])]
        place = list(chance.choice(PLACES))
        middle = chance.choice((["lives", "in"], ["went", "back", "to"], ["never", "saw"]))
        words.append([*name, *middle, *place, "."])
        named = ["B-PER", *["I-PER"] * (len(name) - 1)]
        placed = ["B-LOC", *["I-LOC"] * (len(place) - 1)]
        tags.append([*named, *["O"] * len(middle), *placed, "O"])
    return words, tags


def write_corpus(folder: Path, *, train: int = 60, other: int = 20, seed: int = 0) -> Path:
    """Splits train, dev, test and unlabelled transfer below `folder`."""
    for offset, name in enumerate(("train", "dev", "test", "transfer")):
        words, tags = sentences(train if name == "train" else other, seed + offset)
        labelled = None if name == "transfer" else tags
        write_split(folder / f"{name}.parquet", words, labelled, tag_set=TAGS, scheme="iob2")
    return folder


def split(folder: Path, name: str) -> Split:
    """One split of the corpus in a folder, which is written if it is not there."""
    if not (folder / "train.parquet").exists():
        write_corpus(folder)
    return read_split(folder / f"{name}.parquet")
