"""An experiment replaces what it names, and nothing else: not a comment, not the order."""

from pathlib import Path

import pytest

from pipeline.config import read_yaml
from pipeline.errors import InputError
from pipeline.overlay import overlaid
from stages import apply

BASE = """\
# The top.
extract:
  k: 10   # paths
  other: 1
corpora:
  en: {train: a}   # English
grid:
  seeds: [1, 2]
"""
OVER = """\
# Expected: 43 F1.
extract: {k: 5}
corpora:
  wnut17:
    train: b  # tweets
"""


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    (tmp_path / "params.yaml").write_text(BASE)
    (tmp_path / "over.yaml").write_text(OVER)
    return tmp_path / "params.yaml", tmp_path / "over.yaml"


def test_named_keys_change_and_comments_stay(files):
    text = overlaid(*files)
    assert "# The top." in text
    assert any("k: 5 " in line and "# paths" in line for line in text.splitlines())
    assert "train: b  # tweets" in text
    assert "seeds: [1, 2]" in text


def test_sections_of_entries_are_replaced_whole(files, tmp_path: Path):
    (tmp_path / "result.yaml").write_text(overlaid(*files))
    result = read_yaml(tmp_path / "result.yaml")
    assert result["corpora"] == {"wnut17": {"train": "b"}}
    assert result["extract"] == {"k": 5, "other": 1}
    assert list(result) == ["extract", "corpora", "grid"]


def test_a_wrong_result_leaves_the_file_as_it_was(files):
    def refuse(path: Path) -> None:
        raise InputError(f"{path.name}: wrong")

    with pytest.raises(InputError, match="wrong"):
        apply.run(files[1], files[0], refuse)
    assert files[0].read_text() == BASE


def test_applying_writes_what_was_checked(files):
    seen = []
    apply.run(files[1], files[0], lambda path: seen.append(path.read_text()))
    assert files[0].read_text() == seen[0] != BASE


@pytest.mark.parametrize("text", ["- a\n", "a: [\n"])
def test_what_is_no_mapping_is_refused(files, text: str):
    files[1].write_text(text)
    with pytest.raises(InputError, match=r"over\.yaml: expected"):
        overlaid(*files)
