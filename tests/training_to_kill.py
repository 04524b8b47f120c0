"""A stand-in for a training: every step changes the result, and takes its time.

    python training_to_kill.py SECONDS_A_STEP

Reads text.txt and params.json in the working directory and writes model/. Each step that is
executed adds a line `process step` to the file named by $TRACE.
"""

import hashlib
import json
import os
import sys
import time
from pathlib import Path

from pipeline.errors import InputError
from pipeline.running.artifacts import writing
from pipeline.running.bench import Bench, produce
from pipeline.running.progress import log, show_log


def main() -> None:
    show_log()
    try:
        produce(
            Path("model"),
            inputs=[Path("text.txt")],
            code=[Path("training_to_kill.py")],
            params=_params,
            body=_train,
        )
    except InputError as error:
        log(str(error))
        sys.exit(2)


def _params() -> dict[str, int]:
    return json.loads(Path("params.json").read_text())


def _train(bench: Bench) -> None:
    text, checkpoint = Path("text.txt").read_bytes(), bench.kept / "checkpoint.json"
    step, state = json.loads(checkpoint.read_text()) if checkpoint.exists() else (0, "")
    params = _params()
    while step < params["steps"]:
        _trace(step)
        time.sleep(float(sys.argv[1]))
        step, state = step + 1, hashlib.sha256(state.encode() + text + b"%d" % step).hexdigest()
        if step % params["steps_between_checkpoints"] == 0:
            _save_slowly(checkpoint, json.dumps([step, state]))
    bench.out.mkdir()
    (bench.out / "weights.txt").write_text(state)


def _save_slowly(checkpoint: Path, text: str) -> None:
    with writing(checkpoint) as partial:
        partial.write_text(text[:5])
        time.sleep(float(sys.argv[1]))
        partial.write_text(text)


def _trace(step: int) -> None:
    with Path(os.environ["TRACE"]).open("a") as trace:
        trace.write(f"{os.getpid()} {step}\n")


if __name__ == "__main__":
    main()
