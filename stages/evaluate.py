"""evaluate: what a student says about every test split, and spans counted sentence by sentence."""

from pathlib import Path

from pipeline.device import found_device
from pipeline.evaluation import write_examined
from pipeline.examination import examine
from pipeline.running.artifacts import made_by
from pipeline.running.bench import Bench, produce
from pipeline.running.closure import closure
from pipeline.students import load_student


def run(student: Path, corpora: Path, out: Path) -> None:
    """Examine a student on the test split of each corpus below `corpora`; publish it at `out`."""
    tests = {path.parent.name: path for path in sorted(corpora.glob("*/test.parquet"))}

    def body(bench: Bench) -> None:
        tagger = load_student(student).to(found_device())
        examined = examine(student, tests, lambda corpus, split: tagger.tag(split.words))
        write_examined(bench.out, examined)

    produce(
        out,
        inputs=[made_by(f"distill@{student.parent.name}-{student.name}", student), *tests.values()],
        code=closure(Path("stages/evaluate.py"), Path(__file__).parents[1]),
        params=lambda: None,
        body=body,
    )
