"""Raw corpora for tests: a few sentences written down as files."""

from pathlib import Path

from pipeline.config import parse
from pipeline.raw.sources import Corpus, Prepare

SHARED = Path(__file__).parents[1].parent / "shared" / "corpora"
REASON = "the shared corpora do not lie beside this tree"


def conll(path: Path, *sentences: str) -> str:
    """Writes sentences such as `Ada/B-PER ran/O` as columns, and gives the path back."""
    blocks = ["".join(word.replace("/", "\t") + "\n" for word in s.split()) for s in sentences]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(blocks), encoding="utf-8")
    return str(path)


def text(path: Path, *sentences: str) -> str:
    """Writes sentences one a line, and gives the path back."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{sentence}\n" for sentence in sentences), encoding="utf-8")
    return str(path)


def corpora(**named: dict) -> dict[str, Corpus]:
    """Corpora as params.yaml would give them."""
    return parse(dict[str, Corpus], named, "params.yaml: corpora")


def prepare(raw: Path, **settings) -> Prepare:
    """Settings of the stage, its raw folder given."""
    return parse(Prepare, {"raw": str(raw), **settings}, "params.yaml: prepare")
