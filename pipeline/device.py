"""The device and the threads that a stage computes with: found, not asked for."""

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import fields, is_dataclass
from typing import Any

import torch
from torch import Tensor

from pipeline.running.progress import log

# MKL reads this when it multiplies first. Without it, it shares a product among threads as it sees
# fit, and how it does so shows in the last bits: they would depend on the number of threads.
os.environ.setdefault("MKL_CBWR", "AUTO,STRICT")


def found_device(threads: int | None = None) -> torch.device:
    """CUDA where there is one, else the CPU on so many threads (None: as found); says which."""
    if torch.cuda.is_available():
        log(f"computing on {torch.cuda.get_device_name()}")
        return torch.device("cuda")
    threads = threads or found_threads()
    torch.set_num_threads(threads)
    log(f"computing on the CPU, {threads} threads")
    return torch.device("cpu")


def found_threads() -> int:
    """OMP_NUM_THREADS, or else the cores that this process may use."""
    return int(os.environ.get("OMP_NUM_THREADS", "0")) or _cores()


@contextmanager
def one_thread() -> Iterator[None]:
    """For what PyTorch rounds otherwise on more threads: eigenvectors, sums of large tables."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def sow(device: torch.device, seed: int) -> None:
    """Seed the random numbers that work on a device draws, those of the CPU included.

    `torch.manual_seed` seeds all kinds of devices, which takes a tenth of a millisecond where there
    are none.
    """
    torch.default_generator.manual_seed(seed)
    if device.type == "cuda":
        torch.cuda.manual_seed(seed)


def seed_of(*parts: Any) -> int:
    """A seed that depends on every part, by what it looks like."""
    text = repr(parts).encode("utf-8", "surrogatepass")
    return int.from_bytes(hashlib.sha256(text).digest()[:4], "big")


def moved(beside: Any, device: torch.device) -> Any:
    """Tensors, and the dataclasses and tuples that hold them, from the CPU to a device."""
    if device.type == "cpu":
        return beside
    if isinstance(beside, Tensor):
        return beside.to(device, non_blocking=True)
    if isinstance(beside, tuple):
        return tuple(moved(part, device) for part in beside)
    if not is_dataclass(beside):
        return beside
    parts = {part.name: moved(getattr(beside, part.name), device) for part in fields(beside)}
    return type(beside)(**parts)  # type: ignore[misc]


def _cores() -> int:
    """Those that this process may use; all, where the system does not tell (macOS)."""
    mine = getattr(os, "sched_getaffinity", None)
    return len(mine(0)) if mine else os.cpu_count() or 1
