"""What a sentence's emissions cost, of every student in a folder: in PyTorch and in ONNX Runtime.

    python benchmarks/students.py models/students [--sentences 300] [--rounds 7]

Counted is the computing time of one thread, so that other work on the machine hardly shows. The
students take turns; figures are medians over rounds, in microseconds a sentence: in batches of
2,048 words, and one sentence at a time. Reading the text into arrays and decoding are left out, the
same for all. Sentences are those of the embedded English transfer text.
"""

import argparse
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

import onnxruntime
import torch

from pipeline.batching import in_order
from pipeline.shipping.graphs import emissions_graph
from pipeline.students import load_student

TEXT = Path(__file__).parents[1] / "data/embedded/en/transfer.txt"
BATCH_WORDS = 2048


def main() -> None:
    """Measure and print a table in Markdown."""
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("students", type=Path)
    options.add_argument("--sentences", type=int, default=300)
    options.add_argument("--rounds", type=int, default=7)
    given = options.parse_args()
    torch.set_num_threads(1)
    lines = TEXT.read_text(encoding="utf-8").splitlines()[: given.sentences]
    text = [line.split() for line in lines]
    folders = sorted(path.parent for path in given.students.glob("*/1/tagger.json"))
    calls = {folder.parent.name: _calls(folder, text) for folder in folders}
    spent = {name: [[] for _ in ways] for name, ways in calls.items()}
    for turn in range(1 + given.rounds):
        for name, ways in calls.items():
            for way, times in zip(ways, spent[name], strict=True):
                seconds = _timed(way)
                if turn:  # the first warms up
                    times.append(1e6 * seconds / len(text))
    print("| student | PyTorch, batches | one by one | ONNX Runtime, batches | one by one |")
    print("|---|---|---|---|---|")
    for name, times in spent.items():
        print(f"| `{name}` | " + " | ".join(f"{median(each):,.0f}" for each in times) + " |")


def _calls(folder: Path, text: list[list[str]]) -> list[Callable[[], object]]:
    """PyTorch in batches and one by one, then ONNX Runtime."""
    student = load_student(folder)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(emissions_graph(student).SerializeToString(), options)
    names = [each.name for each in session.get_inputs()]
    batches = [
        [text[i] for i in batch] for batch in in_order(student.encoder.sizes(text), BATCH_WORDS)
    ]
    ways: list[Callable[[], object]] = []
    for grouped in (batches, [[words] for words in text]):
        inputs = [student.encoder.inputs(batch) for batch in grouped]
        arrays = [{name: each[name].numpy() for name in names} for each in inputs]
        ways.append(lambda inputs=inputs: _emitted(student, inputs))
        ways.append(lambda arrays=arrays: [session.run(None, each) for each in arrays])
    return [ways[0], ways[2], ways[1], ways[3]]


@torch.inference_mode()
def _emitted(student: torch.nn.Module, inputs: list[dict[str, torch.Tensor]]) -> None:
    for each in inputs:
        student.emissions(each)


def _timed(call: Callable[[], object]) -> float:
    start = time.thread_time()
    call()
    return time.thread_time() - start


if __name__ == "__main__":
    main()
