"""What a reader leaves in a tagger's folder: JSON and tokenizers, read with one message each."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pipeline.errors import InputError


def write_json(path: Path, value: Any) -> None:
    """Write JSON, a key or an item a line, keys sorted."""
    text = json.dumps(value, ensure_ascii=False, indent=0, sort_keys=True)
    path.write_text(text + "\n", encoding="utf-8")


def read_json(path: Path, what: str) -> Any:
    """Raises InputError where the file is missing or damaged; `what` says what it should hold."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise _damaged(path, what, error) from None


def read_reader(folder: Path, kind: str, names: Sequence[str]) -> dict[str, Any]:
    """What `reader.json` says of a reader of that kind, by these names and no others.

    Raises InputError where the file is missing or damaged, or holds another kind.
    """
    path = folder / "reader.json"
    stored = read_json(path, "how the tagger reads words")
    if not isinstance(stored, dict) or {*stored} != {"kind", *names} or stored["kind"] != kind:
        raise InputError(
            f"{path}: expected kind {kind} with {', '.join(names)}, found {stored!r}; "
            "run the stage that writes this folder again"
        )
    return {name: stored[name] for name in names}


def write_tokenizer(path: Path, tokenizer: Any) -> None:
    """Write a `tokenizers.Tokenizer`."""
    path.write_text(tokenizer.to_str(), encoding="utf-8")


def read_tokenizer(path: Path) -> Any:
    """The `tokenizers.Tokenizer` in a file; InputError where it is missing or damaged."""
    # Imported here: words that are read as such need no tokenizer.
    from tokenizers import Tokenizer

    try:
        tokenizer = Tokenizer.from_str(path.read_text(encoding="utf-8"))
    except Exception as error:  # the library raises nothing narrower
        raise _damaged(path, "a tokenizer", error) from None
    # Neither is part of a text, whatever the file asks for.
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return tokenizer


def _damaged(path: Path, what: str, error: Exception) -> InputError:
    return InputError(
        f"{path}: expected {what}, found no such file, or a damaged one ({error}); "
        "run the stage that writes this folder again"
    )
