"""The device and the threads that a stage computes with: found, not asked for."""

import os

import torch

from pipeline.running.progress import log


def found_device() -> torch.device:
    """CUDA where there is one, else the CPU; says which."""
    if torch.cuda.is_available():
        log(f"computing on {torch.cuda.get_device_name()}")
        return torch.device("cuda")
    threads = found_threads()
    torch.set_num_threads(threads)
    log(f"computing on the CPU, {threads} threads")
    return torch.device("cpu")


def found_threads() -> int:
    """OMP_NUM_THREADS, or else the cores that this process may use."""
    return int(os.environ.get("OMP_NUM_THREADS", "0")) or _cores()


def _cores() -> int:
    """Those that this process may use; all, where the system does not tell (macOS)."""
    mine = getattr(os, "sched_getaffinity", None)
    return len(mine(0)) if mine else os.cpu_count() or 1
