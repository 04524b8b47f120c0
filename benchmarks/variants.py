"""What variants of exported students score, weigh and cost, as the table in docs/export.md.

    python -m benchmarks.variants models/variants data/corpora

Times are of computing (not waiting), one thread, the fastest of several passes over test sentences,
from words to tags.
"""

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from statistics import fmean

from pipeline.corpus import read_split
from pipeline.predictor import Predictor

PASSES, SENTENCES = 6, 200


def main(variants: Path, corpora: Path) -> None:
    """Print a row for each folder that stage compress wrote."""
    texts = [words for path in corpora.glob("*/test.parquet") for words in read_split(path).words]
    texts = texts[:: max(1, len(texts) // SENTENCES)]
    print("| student | variant | dev | lost | test | bytes | packed | alone | in batches |")
    print("|---|---|---|---|---|---|---|---|---|")
    for recipe in sorted(path for path in variants.iterdir() if path.is_dir()):
        taggers = {path.name: Predictor.load(path) for path in sorted(recipe.iterdir())}
        times = {name: [float("inf"), float("inf")] for name in taggers}
        for _ in range(PASSES):  # in turn, so that what slows one slows the others too
            for name, tagger in taggers.items():
                alone = seconds(lambda tagger=tagger: [tagger.tag([words]) for words in texts])
                together = seconds(lambda tagger=tagger: tagger.tag(texts))
                times[name] = [*map(min, times[name], (alone, together))]
        for name in taggers:
            found = json.loads((recipe / name / "scores.json").read_text(encoding="utf-8"))
            dev, test = (fmean(found[key].values()) for key in ("dev", "f1"))
            cost = [f"{1e6 * each / len(texts):.0f} µs" for each in times[name]]
            print(
                f"| {recipe.name} | {name} | {dev:.2f} | {found['loss']:.2f} | {test:.2f} | "
                f"{found['bytes']:,} | {found['deflated']:,} | {' | '.join(cost)} |"
            )


def seconds(call: Callable[[], object]) -> float:
    """Of computing."""
    begun = time.process_time()
    call()
    return time.process_time() - begun


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:3]))
