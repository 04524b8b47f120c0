"""The benchmark beside spaCy, with a program in spaCy's place that tags every word in gold."""

import importlib.util
import sys
from pathlib import Path

import pytest
from toys import write_corpus

from pipeline.corpus import read_split

ROOT = Path(__file__).parents[1]

STAND_IN = """#!{python}
import json, sys
from pathlib import Path
sys.path.insert(0, ".")
from pipeline.timing.stopwatch import serve

class Quick:
    parameters = None
    def threads(self, number): pass
    def tag(self, sentences): pass

what, folder = sys.argv[3], Path((sys.argv + ["."])[4])
if what == "train":
    (folder / "model" / "model-best").mkdir(parents=True)
    (folder / "model" / "model-best" / "weights").write_bytes(bytes(2_000_000))
elif what == "tag":
    spans = []
    for words, tags in json.loads((folder / "test.json").read_text()):
        starts = [n for n, tag in enumerate(tags) if tag.startswith("B-")]
        ends = [next((m for m in range(n + 1, len(tags)) if tags[m][0] != "I"), len(tags))
                for n in starts]
        spans.append([[n, m, tags[n][2:]] for n, m in zip(starts, ends)])
    (folder / "tagged.json").write_text(json.dumps(spans))
else:
    serve(lambda order: Quick())
"""


@pytest.fixture
def peer():
    path = ROOT / "benchmarks" / "spacy_peer.py"
    specification = importlib.util.spec_from_file_location("spacy_peer", path)
    assert specification is not None
    assert specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


def test_what_spacy_finds_is_scored_as_students_are(tmp_path, monkeypatch, capsys, peer):
    write_corpus(tmp_path / "corpora" / "en")
    split = read_split(tmp_path / "corpora" / "en" / "test.parquet")
    stand_in = tmp_path / "python"
    stand_in.write_text(STAND_IN.format(python=sys.executable))
    stand_in.chmod(0o755)
    command = ["spacy_peer.py", tmp_path / "corpora", "--work", tmp_path / "work"]
    command += ["--spacy", stand_in, "--seconds", "0.01"]
    monkeypatch.setattr(sys, "argv", [*map(str, command)])
    peer.main()
    said = capsys.readouterr().out
    assert f"### en, {len(split)} test sentences" in said
    row = next(line for line in said.splitlines() if line.startswith("| spaCy |"))
    cells = [cell.strip() for cell in row.strip("|").split("|")]
    assert (cells[1], cells[6], cells[7]) == ("100.00", "", "2.00")

    # Trained once for the same data.
    (tmp_path / "work" / "en" / "model" / "model-best" / "weights").write_bytes(b"kept")
    peer.main()
    assert "| 0.00 |" in capsys.readouterr().out
