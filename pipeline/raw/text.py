r"""Running text as words with their offsets, by one rule in every language.

A word, in every language, is the first of these that fits:

- an address (`https://…`, `www.…`, `a@b.org`), a mention or a hashtag (`@name`, `#topic`);
- letters with full stops between them (`U.S.`), a number (`1,000`, `10:30`, `3.5mm`);
- the parts of an English contraction as treebanks cut it (`do` `n't`, `It` `'s`); any other
  apostrophe between letters ends its word (`l'` `eau`, `O'` `Brien`);
- a Han character or kana: such text has no spaces to go by;
- a run of letters, digits and underscores, with the marks, joiners and soft hyphens inside it;
- a run of one punctuation mark or symbol (`...`, `!!!`), so that a hyphen cuts (`Al` `-` `Zaman`);
  an emoji keeps its modifiers and what it is joined with, a flag is one word.

White space is in no word, everything else in exactly one.
"""

import re
import unicodedata
from functools import cache


def words_with_offsets(text: str) -> list[tuple[str, int, int]]:
    """Each word with the offsets of its first character and of the one after its last."""
    return [(match[0], *match.span()) for match in _rule().finditer(text)]


@cache  # the table of marks takes some milliseconds, which `--help` need not wait for
def _rule() -> re.Pattern[str]:
    marks = _marks()
    han = "[\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]"
    part = rf"(?:(?!{han})[\w{marks}])"
    word = rf"(?!{han})\w{part}*"
    contracted = r"['’](?i:s|re|ve|ll|d|m)\b"
    symbol = r"[^\w\s]"
    return re.compile(
        "|".join(
            (
                r"(?:https?://|www\.)\S*[\w/]",
                r"[\w.+-]+@\w[\w-]*(?:\.\w[\w-]*)+",
                rf"[@#]{word}",
                r"(?:[^\W\d_]\.){2,}",
                rf"\d+(?:[.,:/]\d+)*{part}*",
                rf"(?!{han})\w{part}*?(?=(?i:n['’]t)\b)",
                r"(?i:n['’]t)\b",
                contracted,
                rf"{word}(?!{contracted})['’](?=\w)",
                rf"{han}[{marks}]*",
                word,
                r"[\U0001f1e6-\U0001f1ff]{2}",
                rf"({symbol})\1*[{marks}]*(?:(?<=\u200d){symbol}[{marks}]*)*",
            )
        )
    )


def _marks() -> str:
    """The inside of a character class: marks, format characters and the modifiers of emoji."""
    # What is left out, blocks of Han, Tangut, Hangul and private use, has none and is most of all.
    blocks = (
        (0, 0x3400),
        (0xA000, 0xAC00),
        (0xFB00, 0x17000),
        (0x18D00, 0x20000),
        (0xE0001, 0xE01F0),
    )
    kinds, category = {"Mn", "Mc", "Me", "Cf"}, unicodedata.category
    points = {n for block in blocks for n in range(*block) if category(chr(n)) in kinds}
    points |= {*range(0x1F3FB, 0x1F400)}
    # As ranges, which take a tenth of the time to compile.
    firsts = sorted(n for n in points if n - 1 not in points)
    lasts = sorted(n for n in points if n + 1 not in points)
    pairs = zip(firsts, lasts, strict=True)
    return "".join(f"{re.escape(chr(first))}-{re.escape(chr(last))}" for first, last in pairs)
