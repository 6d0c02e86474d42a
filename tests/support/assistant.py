"""`assistant run` as a process of its own, as systemd would start it."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

import numpy as np
import pytest
from numpy.typing import NDArray

ROOT = Path(__file__).parents[2]
RECORDINGS = ROOT / "assistant" / "recordings"
_PROGRAM = "from assistant.__main__ import main; main()"
_PATIENCE_S = 30.0


def any_model() -> Path:
    """The bundled model, or the one that `ASSISTANT_TEST_MODEL` names; else the test is skipped."""
    for folder in (
        ROOT / "engines" / "nano",
        Path(os.environ.get("ASSISTANT_TEST_MODEL", "/none")),
    ):
        if (folder / "model.toml").is_file():
            return folder
    pytest.skip("no model: neither engines/nano nor ASSISTANT_TEST_MODEL")


def flags(mqtt: Mapping[str, Any]) -> list[str]:
    """The `mqtt` section as `--set` options."""
    return [part for key, value in mqtt.items() for part in ("--set", f"mqtt.{key}={value}")]


class NotifySocket:
    """What systemd would be told."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(str(path))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def wait_for(self, line: str, timeout_s: float = _PATIENCE_S) -> None:
        """Return once this was told; raises `TimeoutError`."""
        deadline = time.monotonic() + timeout_s
        while True:
            self._socket.settimeout(max(0.001, deadline - time.monotonic()))
            if line in self._socket.recv(4096).decode().splitlines():
                return

    def waiting(self) -> list[str]:
        """Everything told and not read yet."""
        lines: list[str] = []
        self._socket.setblocking(False)
        try:
            while True:
                lines += self._socket.recv(4096).decode().splitlines()
        except BlockingIOError:
            return lines


class Assistant:
    """A process; what it writes to standard error is kept."""

    def __init__(self, folder: Path, *arguments: str, env: Mapping[str, str] | None = None) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._log = folder / "stderr"
        command = [sys.executable, "-c", _PROGRAM, *arguments]
        command += ["--set", f"state_folder={folder / 'state'}", "--set", "site=kitchen"]
        command += ["--set", f"plugins.folder={folder / 'plugins'}"]
        with self._log.open("wb") as log:
            self.process = subprocess.Popen(
                command,
                cwd=ROOT,
                env={**os.environ, "XDG_CONFIG_HOME": str(folder), **(env or {})},
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=log,
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(_PATIENCE_S)
        assert self.process.stdin
        with contextlib.suppress(BrokenPipeError):
            self.process.stdin.close()

    @property
    def log(self) -> str:
        return self._log.read_text(errors="replace")

    def wait_logged(self, words: str) -> None:
        """Return once its log holds `words`."""
        deadline = time.monotonic() + _PATIENCE_S
        while words not in self.log:
            assert time.monotonic() < deadline, self.log
            assert self.process.poll() is None, self.log
            time.sleep(0.02)

    def hear(self, samples: NDArray[np.int16]) -> None:
        """Write sound to its standard input; returns once nearly all of it was taken."""
        assert self.process.stdin
        self.process.stdin.write(samples.astype("<i2").tobytes())
        self.process.stdin.flush()

    def freeze(self) -> None:
        self.process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self.process.send_signal(signal.SIGCONT)

    def terminate(self) -> tuple[int, float]:
        """Ask it to stop; gives its exit code and how many seconds it took."""
        began = time.monotonic()
        self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(_PATIENCE_S)
        return code, time.monotonic() - began
