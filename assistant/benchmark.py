"""How quick and how light the assistant is on this machine, beside what it ought to be."""

import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from assistant.audio.files import load_audio
from assistant.errors import AssistantError
from assistant.intents import Intents
from assistant.settings import Settings
from assistant.turn import SAMPLE_RATE_HZ
from assistant.understanding import Mind, load_mind
from assistant.worker import Cancel

REQUEST_S = 3.0
RECORDINGS = Path(__file__).parent / "recordings"
_READY_TIMEOUT_S = 60.0
_PROGRAM = "from assistant.__main__ import main; main()"


@dataclass(frozen=True, slots=True)
class Measure:
    """One number and its target."""

    name: str
    value: float
    unit: str
    target: float | None
    """At most this; None for what has none."""

    @property
    def met(self) -> bool:
        """Whether the target is reached, where there is one."""
        return self.target is None or self.value <= self.target


def bench_turn(settings: Settings, *, turns: int, idle_s: float) -> Iterator[Measure]:
    """Measure start, idle and memory of a real daemon, then `turns` requests in this process.

    Raises `UserError` for a model that cannot be used and `AssistantError` for a daemon that does
    not start to listen.
    """
    yield from _daemon(settings, idle_s)
    yield from _turns(settings, turns)


def _daemon(settings: Settings, idle_s: float) -> Iterator[Measure]:
    with tempfile.TemporaryDirectory(prefix="assistant-bench-") as folder:
        path = Path(folder) / "notify"
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notified:
            notified.bind(str(path))
            notified.settimeout(_READY_TIMEOUT_S)
            began = time.perf_counter()
            with _listening_to_silence(settings, Path(folder), path) as process:
                _await_ready(notified, process)
                yield Measure("start to listening", time.perf_counter() - began, "s", 2.0)
                time.sleep(1.0)  # what was loaded settles
                used_s, began = _cpu_s(process.pid), time.perf_counter()
                time.sleep(idle_s)
                share = (_cpu_s(process.pid) - used_s) / (time.perf_counter() - began)
                yield Measure("listening to silence", 100 * share, "% of a core", 4.0)
                yield Measure("resident memory", _resident_mb(process.pid), "MB", 400.0)


@contextmanager
def _listening_to_silence(
    settings: Settings, folder: Path, notify: Path
) -> Iterator[subprocess.Popen[bytes]]:
    """Run `assistant run` on a pipe of near-silence, paced as a microphone paces it."""
    command = [sys.executable, "-c", _PROGRAM, "run", "--source", "stdin"]
    # no broker listens there, and none is waited for
    command += ["--host", "127.0.0.1", "--port", "9"]
    command += ["--set", f"state_folder={folder}", "--set", "log.level=error"]
    if settings.engine.model:
        command += ["--model", str(settings.engine.model)]
    hiss = [sys.executable, "-c", _HISS]
    with (
        subprocess.Popen(hiss, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as source,
        subprocess.Popen(
            command, stdin=source.stdout, env={**os.environ, "NOTIFY_SOCKET": str(notify)}
        ) as process,
    ):
        try:
            yield process
        finally:
            for each in (process, source):
                each.terminate()


_HISS = """
import os, random, time
block = b"".join(random.randrange(-40, 40).to_bytes(2, "little", signed=True) for _ in range(480))
due = time.monotonic()
while True:
    os.write(1, block)
    due += 0.03
    time.sleep(max(0.0, due - time.monotonic()))
"""
"""A quiet room: what a microphone hears is never quite nothing."""


def _await_ready(notified: socket.socket, process: subprocess.Popen[bytes]) -> None:
    while process.poll() is None:
        try:
            if b"READY=1" in notified.recv(4096):
                return
        except TimeoutError:
            break
    raise AssistantError("the daemon did not start to listen: see what `assistant run` says")


def _cpu_s(pid: int) -> float:
    """Processor time that a process used so far."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _resident_mb(pid: int) -> float:
    pages = int(Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def _turns(settings: Settings, turns: int) -> Iterator[Measure]:
    """Time what lies between a confirmed end of speech and a reply when nothing was guessed before.

    A turn whose answer was begun at the first pause, as most are, is quicker than this.
    """
    intents = Intents.load(settings)
    mind = load_mind(settings, lambda: intents)
    requests = [_request(path) for path in sorted(RECORDINGS.glob("*.opus"))]
    totals, encodes, decodes = [], [], []
    for number in range(turns):
        took_ms, encode_ms, decode_ms = _turn(mind, intents, requests[number % len(requests)])
        totals.append(took_ms)
        encodes.append(encode_ms)
        decodes.append(decode_ms)
    slowest = sorted(totals)[min(turns - 1, round(0.95 * turns))]
    yield Measure("end of speech to reply, p50", statistics.median(totals), "ms", 250.0)
    yield Measure("end of speech to reply, p95", slowest, "ms", None)
    yield Measure("encode, p50", statistics.median(encodes), "ms", 25.0)
    yield Measure("decode, p50", statistics.median(decodes), "ms", 90.0)


def _turn(mind: Mind, intents: Intents, audio: NDArray[np.int16]) -> tuple[float, float, float]:
    """Understand and match one request: total, encode and decode in milliseconds."""
    began = time.perf_counter()
    understood = mind.understand(Cancel(), audio)
    intents.match(understood.transcript)
    return (time.perf_counter() - began) * 1000, understood.encode_ms, understood.decode_ms


def _request(path: Path) -> NDArray[np.int16]:
    """A recording, cut or padded with silence to the length that the target speaks of."""
    length = round(REQUEST_S * SAMPLE_RATE_HZ)
    samples = load_audio(path).samples[:length]
    return np.pad(samples, (0, length - len(samples)))
