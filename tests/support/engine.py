"""An engine as a process of its own, with a mind that takes its time."""

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from assistant.clock import SystemClock
from assistant.daemon import Daemon
from assistant.herald import SilentHerald
from assistant.settings import Settings
from assistant.sources import open_source
from assistant.stopping import serve_until
from assistant.turn import SAMPLE_RATE_HZ
from assistant.understanding import Understanding
from assistant.worker import Cancel

ROOT = Path(__file__).parents[2]
_PROGRAM = "from tests.support.engine import main; main()"


class SlowMind:
    """Takes a fixed time over every utterance, and then tells who answers it.

    It hears how long the utterance is, or, of `words`, those of the first that is at least as long.
    """

    name = "slow"
    longest_s = 20.0

    def __init__(self, engine: str, takes_s: float, words: Mapping[str, str] | None = None) -> None:
        """`words` are keyed by seconds of sound."""
        self._engine, self._takes_s, self._words = engine, takes_s, words or {}

    def understand(self, cancel: Cancel, audio: NDArray[np.int16]) -> Understanding:
        cancel._event.wait(self._takes_s)
        cancel.check()
        seconds = len(audio) / SAMPLE_RATE_HZ
        fitting = (said for longest, said in self._words.items() if seconds <= float(longest))
        heard = next(fitting, f"{seconds:.1f} seconds of sound")
        return Understanding(heard, 0.9, f"{self._engine} answers.", 3, 1.0, 2.0)

    def transcribe(self, cancel: Cancel, audio: NDArray[np.int16]) -> str:
        return ""

    def recall(self, text: str) -> str:
        return ""


class EngineProcess:
    """One engine, which can be killed."""

    def __init__(
        self,
        name: str,
        folder: Path,
        mqtt: dict[str, Any],
        *,
        takes_s: float,
        words: Mapping[str, str] | None = None,
        plugins: Path | None = None,
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        settings = {
            "site": name,
            "state_folder": str(folder / "state"),
            "plugins": {"folder": str(plugins or folder / "none")},
            "audio": {"source": "none"},
            "satellites": {"serve": True},
            "mqtt": mqtt | {"discovery": False},
        }
        self.name = name
        self._log = (folder / "log").open("wb")
        self.process = subprocess.Popen(
            [
                sys.executable,
                "-c",
                _PROGRAM,
                json.dumps(settings),
                str(takes_s),
                json.dumps(words or {}),
            ],
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stdout=self._log,
            stderr=self._log,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()
        self._log.close()

    def kill(self) -> None:
        """End it at once (SIGKILL)."""
        self.process.kill()
        self.process.wait(10)

    def freeze(self) -> None:
        self.process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self.process.send_signal(signal.SIGCONT)

    @property
    def log(self) -> str:
        return Path(self._log.name).read_text(errors="replace")


def main() -> None:
    """What the process runs: settings as JSON, the seconds that a turn takes, what is heard."""
    settings = Settings.model_validate(json.loads(sys.argv[1]))
    asyncio.run(_serve(settings, float(sys.argv[2]), json.loads(sys.argv[3])))


async def _serve(settings: Settings, takes_s: float, words: dict[str, str]) -> None:
    clock, stop = SystemClock(), asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    ears = partial(open_source, settings.audio, clock)
    mind = SlowMind(settings.site, takes_s, words)
    daemon = Daemon(settings, ears, SilentHerald(), clock=clock, mind=lambda *_: mind)
    await serve_until(stop, daemon.run())
