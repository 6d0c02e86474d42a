"""A clock, a memory gauge and a bandwidth gauge, for the CPU and for CUDA."""

import resource
import sys
import time
from contextlib import suppress
from pathlib import Path

import torch

_PROCESS = Path("/proc/self")
_READS = 4


def now(device: str) -> float:
    """Seconds on a clock, once the device has finished what it was given."""
    if device == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter()


def device_name(device: str) -> str:
    """What computes, in the words of its maker where they are known."""
    return torch.cuda.get_device_name() if device == "cuda" else "cpu"


def reset_peak(device: str) -> None:
    """Forget the highest use of memory so far, where the system can."""
    if device == "cuda":
        torch.cuda.reset_peak_memory_stats()
    else:
        with suppress(OSError):  # Linux only, and not in every container
            (_PROCESS / "clear_refs").write_text("5", encoding="ascii")


def peak_mb(device: str) -> float:
    """Memory at its highest since the last reset: of the GPU, or of the whole process."""
    if device == "cuda":
        return torch.cuda.max_memory_allocated() / 1e6
    with suppress(OSError):
        for line in (_PROCESS / "status").read_text(encoding="ascii").splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024 / 1e6
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6


def bandwidth_gb_per_s(device: str) -> float:
    """Gigabytes a second that a sum over an array larger than any cache reads, at best."""
    size = 1_000_000_000 if device == "cuda" else 400_000_000
    array = torch.ones(size // 4, device=device)
    array.sum()
    took = []
    for _ in range(_READS):
        begin = now(device)
        array.sum()
        took.append(now(device) - begin)
    return size / min(took) / 1e9
