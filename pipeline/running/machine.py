"""What a figure was measured on: processor, cores, and the libraries that compute."""

import os
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path


def machine() -> str:
    """For instance `x86_64, Intel Xeon, 2 cores, torch 2.13.0+cpu, onnxruntime 1.31.1`."""
    found = [platform.machine(), *_model(), f"{os.cpu_count()} cores"]
    for package in ("torch", "onnxruntime"):
        try:
            found.append(f"{package} {version(package)}")
        except PackageNotFoundError:
            continue
    return ", ".join(found)


def _model() -> list[str]:
    """The processor's name, where the system has a list of them (Linux)."""
    path = Path("/proc/cpuinfo")
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return [next(names)] if any(line.startswith("model name") for line in lines) else []
