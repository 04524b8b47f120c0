"""train_teacher: from the corpora of one teacher to a tagger that labels for students."""

import json
from collections.abc import Callable
from pathlib import Path

import torch

from pipeline.corpus import Split, read_split, split_path
from pipeline.curves import write_curve
from pipeline.device import found_device
from pipeline.errors import InputError
from pipeline.lessons import Lessons, development_f1, gold_nll
from pipeline.running.artifacts import made_by
from pipeline.running.bench import Bench, produce
from pipeline.running.closure import closure
from pipeline.running.progress import log
from pipeline.teachers import Teacher, new_teacher, save_teacher
from pipeline.training import fit


def run(read: Callable[[], Teacher], corpora: Path, lesson: Path, out: Path) -> None:
    """Train the teacher on the corpora that `lesson` names, below `corpora`; publish it at `out`.

    `read` gives its settings. Raises InputError where an input lacks or is not fit to learn from.
    """
    names = list(json.loads(made_by("prepare", lesson).read_text(encoding="utf-8")))
    paths = {
        kind: [path for name in names if (path := split_path(corpora, name, kind)).exists()]
        for kind in ("train", "dev")
    }
    if not paths["train"] or not paths["dev"]:
        raise InputError(
            f"{lesson}: expected corpora with train and dev splits for teacher {out.name}, found "
            f"{', '.join(names) or 'none'}; name the teacher in corpora.<corpus>.teachers"
        )
    produce(
        out,
        inputs=[lesson, *paths["train"], *paths["dev"]],
        code=closure(Path("stages/train_teacher.py"), Path(__file__).parents[1]),
        params=read,
        body=lambda bench: _train(read(), _read(paths["train"]), _read(paths["dev"]), bench),
    )


def _train(settings: Teacher, train: list[Split], dev: list[Split], bench: Bench) -> None:
    torch.manual_seed(settings.training.seed)
    sentences = (words for split in train for words in split.words)
    teacher = new_teacher(settings, sentences, train[0].tag_set, train[0].scheme)
    lessons = Lessons(train, teacher.encoder.sizes)
    log(f"{bench.out.name}: {len(lessons.lengths)} sentences, tags {' '.join(train[0].tag_set)}")
    curve = fit(
        teacher.to(found_device()),
        lessons,
        gold_nll,
        development_f1(dev),
        settings.training,
        bench.kept,
    )
    save_teacher(teacher.cpu(), settings.encoder, bench.out)
    write_curve(bench.out / "curve.csv", curve)


def _read(paths: list[Path]) -> list[Split]:
    return [read_split(path) for path in paths]
