"""One run on several processes of this machine, or on a Ray cluster: each takes its part.

Parts share nothing but the run's folder; each writes its own journal there.
"""

import errno
import logging
import multiprocessing
import os
import queue
import subprocess
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any, Protocol

from engines.checkpoints import CheckpointError
from engines.evaluation.benchmarks.items import BenchmarkError
from engines.evaluation.benchmarks.running import Part

_POLL_S = 0.5
_WATCH_S = 2.0


class Job(Protocol):
    """What a process does with its part; it must be picklable."""

    def __call__(self, part: Part, tick: Callable[[int], None]) -> None:
        """Answer the part's items; raises `BenchmarkError`."""


def on_processes(job: Job, parts: Sequence[Part], tick: Callable[[int], None]) -> None:
    """Run each part in a process of its own, on a GPU of its own where there are several.

    Raises `BenchmarkError` when one of them fails; what it and the others finished is kept.
    """
    context = multiprocessing.get_context("spawn")
    ticks: Any = context.Queue()
    found = gpus()
    processes = []
    for place, part in enumerate(parts):
        gpu = found[place % len(found)] if found else None
        process = context.Process(
            target=_process, args=(job, part, gpu, ticks), name=f"benchmark {part}", daemon=True
        )
        process.start()
        processes.append(process)
    errors = _watch(processes, ticks, tick)
    if errors:
        raise BenchmarkError(errors[0])


def _watch(processes: Sequence[BaseProcess], ticks: Any, tick: Callable[[int], None]) -> list[str]:
    """Pass the ticks on until all processes are gone; returns what went wrong."""
    errors: list[str] = []
    try:
        alive = True
        while alive:
            alive = any(process.is_alive() for process in processes)
            while (told := _next(ticks, _POLL_S if alive else 0.01)) is not None:
                if isinstance(told, str):
                    errors.append(told)
                else:
                    tick(told)
    finally:
        for process in processes:
            process.terminate()
    for process in processes:
        process.join()
        if process.exitcode and not errors:
            errors.append(
                f"{process.name} ended with code {process.exitcode}; run the same command again: "
                "it goes on where it stopped"
            )
    return errors


def _next(ticks: Any, timeout_s: float) -> int | str | None:
    try:
        told: int | str = ticks.get(timeout=timeout_s)
    except queue.Empty:
        return None
    return told


def _process(job: Job, part: Part, gpu: str | None, ticks: Any) -> None:
    if gpu is not None:
        os.environ["CUDA_VISIBLE_DEVICES"] = gpu
    threading.Thread(target=_die_with_parent, name="benchmark parent", daemon=True).start()
    if reason := _trouble(job, part, ticks.put):
        ticks.put(reason)


def _trouble(job: Job, part: Part, tick: Callable[[int], None]) -> str:
    """Run a part; why it ended early, in one line. Raises what nobody foresaw."""
    try:
        job(part, tick)
    except (ValueError, OSError, CheckpointError) as error:
        if not isinstance(error, OSError) and not type(error).__module__.startswith("engines."):
            raise
        full = isinstance(error, OSError) and error.errno in {errno.ENOSPC, errno.EDQUOT}
        return "the disk is full; free some space and run it again" if full else str(error)
    return ""


def _die_with_parent() -> None:
    """End at once when the run is killed: what goes on unseen would hold its journals."""
    if parent := multiprocessing.parent_process():
        parent.join()
        os._exit(1)


def gpus() -> list[str]:
    """The GPUs that processes may be dealt, without loading torch to ask."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None:
        return [each for each in visible.split(",") if each]
    try:
        listed = subprocess.run(
            ["nvidia-smi", "--query-gpu=index", "--format=csv,noheader"],
            capture_output=True,
            text=True,
            check=True,
            timeout=20,
        )
    except (OSError, subprocess.SubprocessError):
        return []
    return listed.stdout.split()


def on_ray(
    job: Job,
    parts: Sequence[Part],
    tick: Callable[[int], None],
    *,
    journals: Sequence[Path],
    gpu: bool,
) -> None:
    """Run the parts as a Ray Data set on the cluster that `RAY_ADDRESS` names, or on this machine.

    Every machine must see the run's folder, the data and the model at the same paths: `tick` is
    told of the lines that `journals` gain. With `gpu` each task has a GPU where the cluster has
    any. A task that is lost is run again, and goes on where it stopped. Raises `BenchmarkError`.
    """
    try:
        import ray
        import ray.data
    except ImportError as error:
        raise BenchmarkError("--ray needs Ray: pip install 'assistant[ray]'") from error
    logging.getLogger("ray.data").setLevel(logging.CRITICAL)
    ray.init(ignore_reinit_error=True, log_to_driver=False, logging_level=logging.ERROR)
    ray.data.DataContext.get_current().enable_progress_bars = False

    def answer(row: dict[str, int]) -> dict[str, str]:
        # trouble is told as a result, for an error would end the tasks beside it
        return {"trouble": _trouble(job, Part(row["number"], row["count"]), lambda _: None)}

    # the machine that asks may be the only one without
    gpus = float(gpu and ray.cluster_resources().get("GPU", 0) >= 1)
    rows = [{"number": part.number, "count": part.count} for part in parts]
    dealt = ray.data.from_items(rows, override_num_blocks=len(rows)).map(answer, num_gpus=gpus)
    try:
        with _lines_told(journals, tick):
            troubles = [row["trouble"] for row in dealt.iter_rows()]
    except ray.exceptions.RayError as error:
        raise BenchmarkError(f"a task on Ray failed: {_root(error)}") from error
    if reason := next(filter(None, troubles), ""):
        raise BenchmarkError(reason)


@contextmanager
def _lines_told(journals: Sequence[Path], tick: Callable[[int], None]) -> Iterator[None]:
    """Tell `tick` how many lines the journals gain, now and then, and at the end."""
    stopped, before = threading.Event(), _lines(journals)

    def tell() -> None:
        seen, waits = before, True
        while waits:
            waits = not stopped.wait(_WATCH_S)
            now = _lines(journals)
            tick(max(0, now - seen))
            seen = max(seen, now)

    thread = threading.Thread(target=tell, name="benchmark progress", daemon=True)
    thread.start()
    try:
        yield
    finally:
        stopped.set()
        thread.join()


def _lines(journals: Sequence[Path]) -> int:
    return sum(path.read_bytes().count(b"\n") for path in journals if path.exists())


def _root(error: BaseException) -> str:
    """What lies at the bottom of an error that others were made of."""
    while cause := getattr(error, "cause", None) or error.__cause__:
        error = cause
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return lines[0]
