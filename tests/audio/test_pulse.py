"""The wire itself: a real PulseAudio, captured through PortAudio."""

import asyncio
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

from assistant.audio.microphone import Lost, Microphone, MicrophoneStatus, Opened
from assistant.clock import SystemClock
from assistant.settings import AudioSettings
from tests.audio.support import noise, silence
from tests.support.pulse import Pulse

pytest.importorskip("pyaudio", reason="PyAudio is not installed: the extra `mic` needs it")

SOUND = np.concatenate([silence(0.2), noise(0.8, 3000), silence(0.3)])


async def play_and_find(pulse: Pulse, frames: object, wav: Path) -> np.ndarray:
    """What was heard from the first loud sample on, as long as the noise was."""
    playing = asyncio.create_task(asyncio.to_thread(pulse.play, wav))
    heard, loud_after = [], 0
    async with asyncio.timeout(8):
        async for frame in frames:  # type: ignore[attr-defined]
            heard.append(frame.samples)
            loud_after += bool(np.abs(frame.samples).max() > 0) or loud_after > 0
            if loud_after > 90:
                break
    await playing
    samples = np.concatenate(heard)
    start = int(np.flatnonzero(samples)[0])
    return samples[start : start + 12800]


async def sound_since(moment: float, frames: object) -> None:
    """Wait until the microphone hears again, past what it had heard before."""
    async with asyncio.timeout(15):
        async for frame in frames:  # type: ignore[attr-defined]
            if frame.at > moment:
                return


@pytest.fixture
def wav(tmp_path: Path) -> Path:
    path = tmp_path / "noise.wav"
    soundfile.write(path, SOUND, 16000)
    return path


async def test_what_is_played_is_heard_bit_by_bit_and_again_after_a_crash(pulse: Pulse, wav: Path):
    told: list[MicrophoneStatus] = []
    lost = asyncio.Event()

    def on_status(status: MicrophoneStatus) -> None:
        told.append(status)
        if isinstance(status, Lost):
            lost.set()

    expected = SOUND[np.flatnonzero(SOUND)[0] :][:12800]
    settings = AudioSettings(device="default", stall_ms=500)
    async with Microphone(settings, SystemClock(), on_status=on_status) as microphone:
        frames = microphone.frames()
        async with asyncio.timeout(8):
            await anext(frames)
        assert np.array_equal(await play_and_find(pulse, frames, wav), expected)
        assert microphone.dropped_frames == 0

        lost.clear()
        await asyncio.to_thread(pulse.kill)
        async with asyncio.timeout(5):
            await lost.wait()
        await asyncio.to_thread(pulse.start)
        await sound_since(SystemClock().now(), frames)
        assert np.array_equal(await play_and_find(pulse, frames, wav), expected)
    assert sum(isinstance(status, Opened) for status in told) >= 2


def devices(pulse: Pulse | None, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the command as a user would, in a process that starts its own PortAudio."""
    program = (
        "import sys, typer; from assistant.cli.devices import devices;"
        "from assistant.errors import UserError\n"
        "app = typer.Typer(); app.command()(devices)\n"
        "try: app(standalone_mode=False)\n"
        "except UserError as error: sys.exit(f'assistant: {error}')"
    )
    nowhere = {"PULSE_SERVER": "unix:/nowhere"}
    environment = {**os.environ, **(pulse.env if pulse else nowhere)}
    command = [sys.executable, "-c", program, *arguments]
    return subprocess.run(
        command, env=environment, capture_output=True, text=True, timeout=30, check=False
    )


def test_devices_are_listed_without_chatter(pulse: Pulse):
    listed = devices(pulse)
    assert listed.returncode == 0
    assert listed.stderr == ""
    assert "default" in listed.stdout
    found = json.loads(devices(pulse, "--json").stdout)
    assert {"index", "name", "rate_hz", "channels", "is_default"} == set(found[0])
    assert [item["is_default"] for item in found].count(True) == 1


def test_a_device_is_tested_by_its_name(pulse: Pulse):
    tested = devices(pulse, "--test", "pulse", "--seconds", "1")
    assert tested.returncode == 0, tested.stderr
    assert "microphone: pulse" in tested.stdout
    assert "only silence was heard" in tested.stdout


def test_a_wrong_name_and_a_machine_without_microphone_say_what_to_do(pulse: Pulse):
    wrong = devices(pulse, "--test", "webcam")
    assert "no microphone matches 'webcam'" in wrong.stderr
    nothing = devices(None)
    assert "no input device: plug in a microphone" in nothing.stderr
    assert "Traceback" not in nothing.stderr + wrong.stderr
    assert devices(None, "--json").stdout.strip() == "[]"
