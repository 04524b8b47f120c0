"""What is to be tagged: sentences with their text, from files in any format or standard input."""

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from shutil import copyfileobj
from tempfile import NamedTemporaryFile
from typing import Any

from pipeline.errors import InputError
from pipeline.raw.segments import TextSentence, sentences_of, unwrapped
from pipeline.raw.sentences import (
    STANDARD_INPUT,
    Sentence,
    json_object,
    numbered_lines,
    opened,
    whole_lines,
)

LONGEST = 1 << 16
"""Characters of a wrapped paragraph that are held; a longer one is given out as it goes."""


@dataclass(frozen=True, slots=True)
class Untagged:
    """A sentence, and where it begins: a line of a file (a row of a table), from 1.

    `sentence.start` counts the characters of the file (of the record, in JSON Lines) ahead of it;
    words that come without a text have that of their `# text =`, or else are joined by spaces.
    """

    sentence: TextSentence
    source: str
    line: int
    of_text: bool
    comments: tuple[str, ...] = ()


def read_text(path: str, word: str = "") -> Iterator[Untagged]:
    """Running text, a paragraph a line."""
    _no_columns(word)
    offset = 0
    for number, line in whole_lines(path):
        for found in sentences_of(line):
            yield Untagged(found._replace(start=offset + found.start), path, number, of_text=True)
        offset += len(line)


def read_wrapped(path: str, word: str = "") -> Iterator[Untagged]:
    """Running text whose lines are wrapped: empty lines part paragraphs."""
    _no_columns(word)
    offset, first, held = 0, 1, ""
    for number, line in whole_lines(path):
        if line.strip() and len(held) < LONGEST:
            first = first if held else number
            held += line
            continue
        sentences = sentences_of(unwrapped(held + line))
        # The last one may go on, unless the paragraph has ended.
        kept = sentences.pop() if line.strip() and len(sentences) > 1 else None
        for found in sentences:
            yield _placed(found, held + line, offset, path, first)
        whole = held + line
        cut = len(whole) if kept is None else kept.start
        first, offset, held = first + whole.count("\n", 0, cut), offset + cut, whole[cut:]
    for found in sentences_of(unwrapped(held)):
        yield _placed(found, held, offset, path, first)


def _no_columns(word: str) -> None:
    if word:
        raise InputError(
            f"--word {word}: expected columns, records or a table, found running text; leave it "
            "out, or say with --from what the input is"
        )


def _placed(found: TextSentence, held: str, offset: int, path: str, first: int) -> Untagged:
    line = first + held.count("\n", 0, found.start)
    return Untagged(found._replace(start=offset + found.start), path, line, of_text=True)


def read_spaced(path: str, word: str = "") -> Iterator[Untagged]:
    """Text that was cut into words before: a sentence a line, words apart by white space."""
    _no_columns(word)
    offset = 0
    for number, line in whole_lines(path):
        borders = [match.span() for match in re.finditer(r"\S+", line)]
        if borders:
            found = _cut(line, borders)
            yield Untagged(found._replace(start=offset + found.start), path, number, of_text=True)
        offset += len(line)


def read_json(path: str, word: str = "") -> Iterator[Untagged]:
    """An object a line: words in a list, or a `text` of any number of sentences.

    `word` names the key of the words; without it, `words` or what `limbeck check` takes for them.
    """
    for number, line in numbered_lines(path):
        if not line.strip():
            continue
        where = f"{path}:{number}"
        record = _object(line, where)
        key = next((key for key in ([word] if word else _WORDS) if key in record), None)
        if key is not None:
            yield Untagged(_joined(_strings(record[key], where)), path, number, of_text=False)
        elif not word and isinstance(record.get("text"), str):
            for found in sentences_of(record["text"]):
                yield Untagged(found, path, number, of_text=True)
        else:
            raise InputError(
                f"{where}: expected the key {word or '`words` or `text`'}, found "
                f"{', '.join(record) or 'none'}; name the key of the words with --word"
            )


_WORDS = ("words", "tokens", "token", "forms")


def read_columns(path: str, word: str = "") -> Iterator[Untagged]:
    """A word a line, sentences apart by empty lines; `word`: its column, 0 without."""
    from pipeline.raw.columns import Conll

    return _of_words(Conll(word=_column(word), tag=None).read(path))


def read_conllu(path: str, word: str = "") -> Iterator[Untagged]:
    """CoNLL-U, or CoNLL-U Plus."""
    from pipeline.raw.columns import ConllU

    return _of_words(ConllU(field=None).read(path))


def read_parquet(path: str, word: str = "") -> Iterator[Untagged]:
    """A table with a list of words a row; `word` names the column, `words` without."""
    if path == STANDARD_INPUT:
        return _spooled(word)
    from pipeline.raw.formats import guess_parquet
    from pipeline.raw.records import ParquetTable

    if not word:
        found: Any = guess_parquet(path).format
        word = found.words
    return _of_words(ParquetTable(words=word, tags=None).read(path))


def _spooled(word: str) -> Iterator[Untagged]:
    """A table from standard input. It is read from its end, so it waits in a file until then."""
    with NamedTemporaryFile(suffix=".parquet") as file:
        with opened(STANDARD_INPUT) as given:
            copyfileobj(given, file)
        file.flush()
        try:
            for each in read_parquet(file.name, word):
                yield replace(each, source=STANDARD_INPUT)
        except InputError as error:
            raise InputError(str(error).replace(file.name, STANDARD_INPUT)) from None


READERS: Mapping[str, Callable[[str, str], Iterator[Untagged]]] = {
    "text": read_text,
    "wrapped": read_wrapped,
    "spaced": read_spaced,
    "conll": read_columns,
    "conllu": read_conllu,
    "jsonl": read_json,
    "parquet": read_parquet,
}
"""By the name of the format. What cannot be read raises InputError, with file and line."""


def guessed(path: str, word: str) -> Iterator[Untagged]:
    """The sentences of a file in the format that it seems to have; a pipe holds text."""
    place = Path(path)
    if path == STANDARD_INPUT or (place.exists() and not place.is_file()):
        return read_text(path, word)
    if place.is_file() and _is_blank(place):
        return iter(())
    # Imported here: running text is read without the libraries that tables and settings need.
    from pipeline.raw.formats import guess

    found: Any = guess(path).format
    match found.kind:
        case "conll":
            column = _column(word) if word else found.word
            columns = type(found)(word=column, tag=None, separator=found.separator)
            return _of_words(columns.read(path))
        case "parquet":
            return read_parquet(path, word or found.words)
        case "text":
            return (read_text if found.words == "rule" else read_spaced)(path, word)
        case kind:
            return READERS[kind](path, word)


def _is_blank(path: Path) -> bool:
    with path.open("rb") as file:
        return not any(line.strip() for line in file)


def _of_words(sentences: Iterable[Sentence]) -> Iterator[Untagged]:
    for each in sentences:
        told = next((c.partition("=")[2].strip() for c in each.comments if _TEXT.match(c)), "")
        found = _found_in(told, each.words) or _joined(each.words)
        yield Untagged(found, each.source, each.lines[0], False, each.comments)


_TEXT = re.compile(r"#\s*text\s*=")


def _found_in(text: str, words: list[str]) -> TextSentence | None:
    """The words in a text that holds them in order, with white space alone between; else None."""
    borders, place = [], 0
    for word in words:
        while text[place : place + 1].isspace():
            place += 1
        if not word or not text.startswith(word, place):
            return None
        borders.append((place, place + len(word)))
        place += len(word)
    return TextSentence(text, 0, words, borders) if place == len(text) else None


def _joined(words: list[str]) -> TextSentence:
    """Words with a space between."""
    borders, place = [], 0
    for word in words:
        borders.append((place, place + len(word)))
        place += len(word) + 1
    return TextSentence(" ".join(words), 0, words, borders)


def _cut(line: str, borders: list[tuple[int, int]]) -> TextSentence:
    start, end = borders[0][0], borders[-1][1]
    words = [line[first:stop] for first, stop in borders]
    moved = [(first - start, stop - start) for first, stop in borders]
    return TextSentence(line[start:end], start, words, moved)


def _object(line: str, where: str) -> dict[str, Any]:
    record = json_object(line, where)
    if _SURROGATE.search(line) and not _encodes(record):
        raise InputError(f"{where}: expected Unicode, found half of a surrogate pair (`\\ud…`)")
    return record


_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")


def _encodes(record: dict[str, Any]) -> bool:
    try:
        return bool(json.dumps(record, ensure_ascii=False).encode())
    except UnicodeEncodeError:
        return False


def _strings(words: Any, where: str) -> list[str]:
    if isinstance(words, list) and all(isinstance(word, str) for word in words):
        return words
    raise InputError(f"{where}: expected words as a list of strings, found {words!r:.80}")


def _column(word: str) -> int:
    if word and not word.isdecimal():
        raise InputError(f"--word: expected the number of a column, from 0, found {word!r}")
    return int(word or 0)
