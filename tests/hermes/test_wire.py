"""`assistant run` as a flow written for Rhasspy finds it: a process, a real broker, real speech."""

import asyncio
import json
from pathlib import Path
from typing import Any

import aiomqtt
import numpy as np

from assistant.audio.files import load_audio
from tests.support.assistant import RECORDINGS, Assistant, any_model, flags
from tests.support.broker import Mosquitto

PATIENCE_S = 60.0
SILENCE = np.zeros(16_000 * 2, np.int16)
TIME = np.concatenate([SILENCE[:8_000], load_audio(RECORDINGS / "3-time.opus").samples, SILENCE])


async def until(flow: aiomqtt.Client, *topics: str) -> tuple[str, dict[str, Any]]:
    """The next message on any of `topics`."""
    async with asyncio.timeout(PATIENCE_S):
        async for message in flow.messages:
            topic = message.topic.value.removeprefix("hermes/")
            if topic in topics:
                return topic, json.loads(message.payload)
    raise AssertionError("the broker hung up")


async def tell(flow: aiomqtt.Client, topic: str, **wish: Any) -> None:
    await flow.publish(f"hermes/{topic}", json.dumps(wish), qos=1)


async def test_queries_are_parsed_and_the_intents_of_a_session_are_the_only_ones(
    broker: Mosquitto, tmp_path: Path
):
    model, hermes = str(any_model()), ("--set", "mqtt.hermes=true")
    arguments = ("run", "--source", "stdin", "--model", model, *flags(broker.settings), *hermes)
    answered = ("intent/clock.time", "nlu/intentNotRecognized")
    with Assistant(tmp_path, *arguments) as assistant:
        await asyncio.to_thread(assistant.hear, SILENCE)
        await asyncio.to_thread(assistant.wait_logged, '"listening"')
        await asyncio.to_thread(assistant.wait_logged, "connected to the MQTT broker")
        async with broker.hub("hermes/#") as flow:
            await tell(flow, "nlu/query", input="what time is it", id="q1", sessionId="x")
            _, told = await until(flow, "intent/clock.time")
            assert (told["id"], told["sessionId"]) == ("q1", "x")
            await tell(flow, "hotword/toggleOff", siteId="kitchen", reason="night")
            await asyncio.to_thread(assistant.hear, TIME)
            await tell(flow, "nlu/query", input="what time is it")
            topic, told = await until(flow, "intent/clock.time", "asr/startListening")
            assert (topic, told["sessionId"]) == ("intent/clock.time", None)
            for wanted, topic in (
                (["lights.switch"], "nlu/intentNotRecognized"),
                (["clock.time"], "intent/clock.time"),
            ):
                init = {"type": "action", "intentFilter": wanted}
                await tell(flow, "dialogueManager/startSession", init=init, customData="mine")
                _, told = await until(flow, "dialogueManager/sessionStarted")
                assert told["customData"] == "mine"
                await asyncio.to_thread(assistant.hear, TIME)
                found, told = await until(flow, *answered)
                assert found == topic
                assert "time" in told["input"]
                await tell(flow, "dialogueManager/endSession", sessionId=told["sessionId"])
                await until(flow, "dialogueManager/sessionEnded")
        assert "Traceback" not in assistant.log
