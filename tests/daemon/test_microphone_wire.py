"""A real sound server captured through PyAudio: what is played is answered on a real broker."""

import asyncio
from pathlib import Path

import numpy as np
import pytest
import soundfile

from tests.daemon.test_wire import REQUEST, watching
from tests.support.assistant import Assistant, NotifySocket, any_model, flags
from tests.support.broker import Mosquitto
from tests.support.pulse import Pulse

pytest.importorskip("pyaudio", reason="PyAudio is not installed: the extra `mic` needs it")


def arguments(broker: Mosquitto, *more: str) -> list[str]:
    stall = ("--set", "audio.stall_ms=500")
    return ["run", "--model", str(any_model()), *stall, *flags(broker.settings), *more]


async def test_what_is_played_is_answered_and_again_after_the_microphone_was_lost(
    pulse: Pulse, broker: Mosquitto, tmp_path: Path
):
    wav = tmp_path / "request.wav"
    soundfile.write(wav, np.concatenate([REQUEST, REQUEST[:8_000]]), 16_000)
    with (
        NotifySocket(tmp_path / "notify") as systemd,
        Assistant(
            tmp_path,
            *arguments(broker, "--device", "default"),
            env=pulse.env | {"NOTIFY_SOCKET": str(systemd.path)},
        ) as assistant,
    ):
        async with watching(broker) as hub:
            info = await hub.wait("info", lambda body: body["lifecycle"] == "ready")
            assert info["microphone"].startswith("microphone: default")
            assert info["problem"] is None
            systemd.wait_for("READY=1")

            playing = asyncio.create_task(asyncio.to_thread(pulse.play, wav))
            assert (await hub.wait("reply"))["text"]
            await playing

            await asyncio.to_thread(pulse.kill)
            info = await hub.wait("info", lambda body: body["lifecycle"] == "alert")
            assert info["problem"]
            assert info["microphone"] is None
            await asyncio.to_thread(pulse.start)
            await hub.wait("info", lambda body: body["lifecycle"] == "ready")

            code, _ = await asyncio.to_thread(assistant.terminate)
            await hub.wait("status", lambda body: body == "offline")
    assert code == 0
    assert "Traceback" not in assistant.log


async def test_a_flood_of_commands_costs_no_sound(pulse: Pulse, broker: Mosquitto, tmp_path: Path):
    wav = tmp_path / "silence.wav"
    soundfile.write(wav, np.zeros(16_000 * 5, np.int16), 16_000)
    with Assistant(tmp_path, *arguments(broker, "--device", "default"), env=pulse.env) as assistant:
        async with watching(broker) as hub:
            await hub.wait("info", lambda body: body["lifecycle"] == "ready")
            playing = asyncio.create_task(asyncio.to_thread(pulse.play, wav))
            for _ in range(300):  # a thousand a second, for three seconds
                for _ in range(10):
                    await hub.client.publish("assistant/kitchen/say", "Flood.", qos=0)
                await asyncio.sleep(0.01)
            await hub.send("request/diagnostics", "")
            told = await hub.wait("response/diagnostics")
            await playing
        assert assistant.process.poll() is None
    drops = told["data"]["metrics"]["drops"]
    assert drops["audio_ms"] == 0
    assert drops["commands"] > 2000
    assert told["data"]["messages"]["limited_commands"] > 2000


async def test_without_a_microphone_it_says_so_and_waits_for_one(broker: Mosquitto, tmp_path: Path):
    nowhere = {"PULSE_SERVER": "unix:/nowhere", "HOME": str(tmp_path)}
    with Assistant(tmp_path, *arguments(broker), env=nowhere) as assistant:
        async with watching(broker) as hub:
            info = await hub.wait("info", lambda body: body["lifecycle"] == "alert")
        await asyncio.to_thread(assistant.wait_logged, "microphone lost")
        assert assistant.process.poll() is None
        assert info["problem"]
        code, _ = await asyncio.to_thread(assistant.terminate)
    assert code == 0
    warnings = [line for line in assistant.log.splitlines() if '"warning"' in line]
    assert len(warnings) == 1, assistant.log
