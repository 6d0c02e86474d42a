"""`assistant run` as a process, a real broker, and sound on its standard input."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiomqtt
import numpy as np
import pytest

from assistant.audio.files import load_audio
from tests.support.assistant import RECORDINGS, Assistant, NotifySocket, any_model, flags
from tests.support.broker import Account, Mosquitto

BASE = "assistant/kitchen"
PATIENCE_S = 30.0
STOP_S = 2.0
SLACK_S = 4.0
"""A loaded machine may take longer than the promise; a stop that hangs takes much longer."""

SILENCE = np.zeros(16_000 * 2, np.int16)
REQUEST = np.concatenate(
    [SILENCE[:8_000], load_audio(RECORDINGS / "3-time.opus").samples, SILENCE]
)  # fmt: skip


@dataclass
class Hub:
    """A smart-home hub that watches one site."""

    client: aiomqtt.Client

    async def wait(self, topic: str, fits: Callable[[Any], bool] = lambda _: True) -> Any:
        """The next message on a topic that fits."""
        async with asyncio.timeout(PATIENCE_S):
            async for message in self.client.messages:
                body = _decoded(bytes(message.payload or b""))
                if message.topic.value == f"{BASE}/{topic}" and fits(body):
                    return body
        raise AssertionError("the broker hung up")

    async def error(self, words: str) -> None:
        await self.wait("event", lambda e: e["event_type"] == "error" and words in e["message"])

    async def send(self, topic: str, payload: str | bytes) -> None:
        await self.client.publish(f"{BASE}/{topic}", payload, qos=1)


def _decoded(payload: bytes) -> Any:
    try:
        return json.loads(payload)
    except ValueError:
        return payload.decode(errors="replace")


@asynccontextmanager
async def watching(broker: Mosquitto) -> AsyncIterator[Hub]:
    async with broker.hub(f"{BASE}/#") as client:
        yield Hub(client)


def state(wanted: str) -> Callable[[Any], bool]:
    return lambda body: bool(body["state"] == wanted)


@dataclass
class Living:
    broker: Mosquitto
    assistant: Assistant

    async def hear(self, samples: np.ndarray) -> None:
        await asyncio.to_thread(self.assistant.hear, samples)


@pytest.fixture(scope="module")
def living(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Living]:
    """One assistant for the tests that leave it as they found it."""
    folder, model = tmp_path_factory.mktemp("living"), str(any_model())
    with (
        Mosquitto(folder / "broker") as broker,
        Assistant(
            folder, "run", "--source", "stdin", "--model", model, *flags(broker.settings)
        ) as assistant,
    ):
        assistant.hear(SILENCE)
        assistant.wait_logged("connected to the MQTT broker")
        assistant.wait_logged('"listening"')
        yield Living(broker, assistant)
        assert assistant.process.poll() is None
        assert "Traceback" not in assistant.log


async def test_a_spoken_request_is_answered_on_the_broker(living: Living):
    async with watching(living.broker) as hub:
        await hub.wait("info", lambda info: info["lifecycle"] == "ready")
        await living.hear(REQUEST)
        reply = await hub.wait("reply")
    assert reply["text"]
    assert reply["end_reason"] == "silence"
    assert set(reply["timings_ms"]) == {"endpoint", "encode", "decode", "handle", "total"}


async def test_nonsense_on_a_command_topic_is_told_and_survived(living: Living):
    async with watching(living.broker) as hub:
        await hub.send("say", "{broken")
        await hub.error("begins like JSON but is not")
        await hub.send("mute/set", b"\xff\xfe")
        await hub.error("not UTF-8")
        await hub.send("say", b"x" * 10_000_000)
        await hub.error("10000000 bytes, over 65536")
        await hub.send("say", '{"text": "Still here."}')
        assert (await hub.wait("reply"))["text"] == "Still here."


async def test_a_muted_assistant_hears_nothing(living: Living):
    async with watching(living.broker) as hub:
        await hub.send("mute/set", "ON")
        assert (await hub.wait("state", lambda body: body["muted"]))["state"] == "idle"
        await hub.send("listen", "")
        await hub.error("muted")
        # more silence than pipe and buffer hold: all of the speech was heard while it was muted
        await living.hear(np.concatenate([REQUEST, REQUEST, *[SILENCE] * 4]))
        await hub.send("mute/set", "OFF")
        # Nothing was made of what was said meanwhile: the next thing said is the unmuting.
        after = await hub.wait("state")
        assert (after["state"], after["muted"]) == ("idle", False)
        await living.hear(np.concatenate([SILENCE, REQUEST]))
        reply = await hub.wait("reply")
    assert reply["seq"] == 0


async def test_a_turn_can_be_cancelled_and_the_next_is_answered(living: Living):
    async with watching(living.broker) as hub:
        await living.hear(REQUEST[:24_000])
        await hub.wait("state", state("listening"))
        await hub.send("cancel", "")
        event = await hub.wait("event", lambda body: body["event_type"] == "speech_end")
        assert (event["reason"], event["dropped"]) == ("cancelled", True)
        await hub.wait("state", state("idle"))
        await living.hear(SILENCE)
        await living.hear(REQUEST)
        await hub.wait("reply")


async def test_a_broker_that_dies_in_mid_turn_costs_no_reply(living: Living):
    async with watching(living.broker) as hub:
        await living.hear(REQUEST[:24_000])
        turn = (await hub.wait("state", state("listening")))["turn"]
    living.broker.kill()
    await living.hear(REQUEST[24_000:])
    await asyncio.to_thread(living.assistant.wait_logged, "closed the connection")
    living.assistant.freeze()  # so that the hub is there first, as one with a session would be
    try:
        living.broker.start()
        async with watching(living.broker) as hub:
            living.assistant.thaw()
            await hub.wait("status", lambda body: body == "online")
            event = await hub.wait("event", lambda body: body["event_type"] == "speech_end")
            reply = await hub.wait("reply")
    finally:
        living.assistant.thaw()
    assert (event["turn"], reply["turn"]) == (turn, turn)


async def test_systemd_is_told_ready_with_the_first_sound_and_alive_while_it_lasts(
    broker: Mosquitto, tmp_path: Path
):
    arguments = ("run", "--source", "stdin", "--model", str(any_model()), *flags(broker.settings))
    with (
        NotifySocket(tmp_path / "notify") as systemd,
        Assistant(tmp_path, *arguments, env={"NOTIFY_SOCKET": str(systemd.path)}) as assistant,
    ):
        async with watching(broker) as hub:
            await hub.wait("info", lambda info: info["model"] is not None)
            assert systemd.waiting() == []
            await asyncio.to_thread(assistant.hear, SILENCE)
            await asyncio.to_thread(systemd.wait_for, "READY=1")
            await asyncio.to_thread(systemd.wait_for, "WATCHDOG=1")
            await asyncio.to_thread(assistant.hear, SILENCE)
            await asyncio.to_thread(systemd.wait_for, "WATCHDOG=1")
            # the last of the sound may feed it once more, and nothing after that
            await asyncio.sleep(1.2)
            systemd.waiting()
            await asyncio.sleep(1.2)
            assert systemd.waiting() == []
            code, took_s = await asyncio.to_thread(assistant.terminate)
            await hub.wait("status", lambda body: body == "offline")
        async with watching(broker) as late:
            assert await late.wait("status") == "offline"
        assert "STOPPING=1" in systemd.waiting()
    assert code == 0, assistant.log
    assert took_s < STOP_S + SLACK_S
    assert "Traceback" not in assistant.log


async def test_knobs_are_turned_and_what_was_turned_survives_a_restart(
    broker: Mosquitto, tmp_path: Path
):
    arguments = ("run", "--source", "stdin", "--model", str(any_model()), *flags(broker.settings))
    with Assistant(tmp_path, *arguments) as assistant:
        assistant.hear(SILENCE)
        async with watching(broker) as hub:
            await hub.wait("model", lambda body: body == "default")
            await hub.send("threshold/set", "0.35")
            await hub.wait("threshold", lambda body: body == 0.35)
            wish = {"setting": "endpoint.preset", "value": "relaxed", "transaction": 7}
            await hub.send("request/setting", json.dumps(wish))
            response = await hub.wait("response/setting")
            assert response["data"] == {"setting": "endpoint.preset", "value": "relaxed"}
            await hub.send("preset/set", "eternal")
            await hub.error("'quick', 'normal' or 'relaxed'")
            await hub.send("model/set", "elsewhere")
            await hub.error("no model is named 'elsewhere'")
            await hub.send("mute/set", "ON")
            await hub.wait("mute", lambda body: body == "ON")
        await asyncio.to_thread(assistant.terminate)
    async with watching(broker) as hub:
        with Assistant(tmp_path, *arguments) as assistant:
            assistant.hear(SILENCE)
            await hub.wait("info", lambda body: body["lifecycle"] == "init")
            await hub.wait("mute", lambda body: body == "ON")
            await hub.wait("threshold", lambda body: body == 0.35)
            await hub.wait("preset", lambda body: body == "relaxed")


async def test_recordings_are_played_and_then_it_ends(broker: Mosquitto, tmp_path: Path):
    recording = str(RECORDINGS / "3-time.opus")
    arguments = ("run", "--file", recording, "--model", str(any_model()), *flags(broker.settings))
    async with watching(broker) as hub:
        with Assistant(tmp_path, *arguments) as assistant:
            assert (await hub.wait("reply"))["text"]
            await hub.wait("status", lambda body: body == "offline")
            assert await asyncio.to_thread(assistant.process.wait, PATIENCE_S) == 0


async def test_a_refused_password_is_one_line_and_it_keeps_trying(tmp_path: Path):
    with Mosquitto(tmp_path / "broker", account=Account("daemon", "right")) as broker:
        wrong = broker.settings | {"password": "wrong"}
        arguments = ("run", "--source", "stdin", "--model", str(any_model()), *flags(wrong))
        with Assistant(tmp_path, *arguments) as assistant:
            assistant.hear(SILENCE)
            await asyncio.to_thread(assistant.wait_logged, '"listening"')
            assert assistant.process.poll() is None
            lines = [line for line in assistant.log.splitlines() if "password" in line]
            code, _ = await asyncio.to_thread(assistant.terminate)
    assert len(lines) == 1
    assert "refused the password: correct mqtt.username and mqtt.password" in lines[0]
    assert code == 0


def test_a_stop_while_the_model_loads_is_clean(broker: Mosquitto, tmp_path: Path):
    arguments = ("run", "--source", "stdin", "--model", str(any_model()), *flags(broker.settings))
    with Assistant(tmp_path, *arguments) as assistant:
        assistant.wait_logged("connected to the MQTT broker")
        code, took_s = assistant.terminate()
    assert (code, took_s < STOP_S + SLACK_S) == (0, True)
    assert "Traceback" not in assistant.log


def test_the_embedded_brokers_taken_port_is_named(broker: Mosquitto, tmp_path: Path):
    arguments = ("run", "--source", "stdin", "--host", "embedded", "--port", str(broker.port))
    with Assistant(tmp_path, *arguments) as assistant:
        assert assistant.process.wait(PATIENCE_S) == 2
    assert assistant.log.count("\n") == 1
    assert f"the embedded broker cannot listen on 127.0.0.1:{broker.port}" in assistant.log
