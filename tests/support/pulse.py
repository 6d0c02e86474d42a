"""A real PulseAudio with a null sink: what is played into it is what its microphone hears."""

import os
import shutil
import subprocess
import time
from contextlib import suppress
from pathlib import Path
from typing import Self

MISSING = [
    tool for tool in ("pulseaudio", "pactl", "pacat", "parec", "paplay") if not shutil.which(tool)
]


class Pulse:
    """A sound server of its own; programs with `env` see one microphone, `va.monitor`."""

    def __init__(self, folder: Path) -> None:
        self._socket = folder / "pulse.sock"
        self.env = {
            "HOME": str(folder),
            "XDG_RUNTIME_DIR": str(folder),
            "PULSE_RUNTIME_PATH": str(folder),
            "PULSE_SERVER": f"unix:{self._socket}",
            "PULSE_SINK": "va",
            "PULSE_SOURCE": "va.monitor",
        }
        self._processes: list[subprocess.Popen[bytes]] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    def start(self) -> None:
        """Start the server, unless it runs.

        Silence is played all the time, because a null sink that is asleep gives nothing.
        """
        if self._processes:
            return
        options = ["-n", "--daemonize=no", "--exit-idle-time=-1", "--use-pid-file=false"]
        modules = [
            f"module-native-protocol-unix auth-anonymous=1 socket={self._socket}",
            "module-null-sink sink_name=va rate=16000 channels=1 format=s16le",
        ]
        self._run("pulseaudio", *options, *[part for module in modules for part in ("-L", module)])
        deadline = time.monotonic() + 10
        while self._asleep():
            if time.monotonic() > deadline:
                raise RuntimeError("pulseaudio does not start")
            time.sleep(0.02)
        silence = Path("/dev/zero").open("rb")  # noqa: SIM115 - the process reads on
        self._run(
            "pacat",
            "--rate=16000",
            "--channels=1",
            "--format=s16le",
            "--latency-msec=20",
            stdin=silence,
        )
        silence.close()
        self._await_sound()

    def kill(self) -> None:
        """End the server at once, as a crash would."""
        for process in reversed(self._processes):
            process.kill()
            process.wait(10)
        self._processes.clear()
        with suppress(FileNotFoundError):
            self._socket.unlink()

    def play(self, wav: Path) -> None:
        """Play a recording to its end, in real time."""
        subprocess.run(["paplay", str(wav)], env=self._whole(), check=True, timeout=60)

    def _await_sound(self) -> None:
        """Hear a little: the sink's first block, of seconds, would look like a stalled device."""
        command = ["parec", "--rate=16000", "--channels=1", "--format=s16le", "--latency-msec=20"]
        ear = subprocess.Popen(
            command, env=self._whole(), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        )
        with ear:
            assert ear.stdout is not None
            heard = ear.stdout.read(6400)
            ear.kill()
        assert heard, "the null sink gives no sound"

    def _asleep(self) -> bool:
        asked = subprocess.run(
            ["pactl", "info"], env=self._whole(), capture_output=True, check=False, timeout=10
        )
        return asked.returncode != 0

    def _run(self, *command: str, stdin: object = subprocess.DEVNULL) -> None:
        process = subprocess.Popen(
            command, env=self._whole(), stdin=stdin, stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )  # fmt: skip
        self._processes.append(process)

    def _whole(self) -> dict[str, str]:
        return {**os.environ, **self.env}
