"""Requests over MQTT, and what they are answered."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Self

import numpy as np
import pytest

from assistant.answers import HandlerResult
from assistant.audio.source import FRAME_SAMPLES, FileSource, Frame
from assistant.clerk import Clerk
from assistant.clock import SystemClock
from assistant.daemon import Daemon
from assistant.dialogue import NO_PLUGIN, Dialogue
from assistant.errors import AssistantError, TransientError, UserError
from assistant.herald import SilentHerald
from assistant.mqtt.asking import ask as ask_for
from assistant.mqtt.requests import Ask, ChangeSetting, Inquiry, Request, Requester, Response
from assistant.mqtt.topics import RequestName
from assistant.settings import EngineSettings, MqttSettings, Settings
from tests.daemon.support import FakeBus, FakeIntents, FakeMind, FakeWorker
from tests.support.broker import Mosquitto
from tests.support.bus import heard

ROOT = "assistant/kitchen"
PATIENCE_S = 20.0

TIME = HandlerResult("clock.time", {}, "It is nine.", 1.0)
BROKEN = HandlerResult("bad.luck", {}, "The bad plugin failed.", 1.0, error="bad.luck: at x.py:1")


class AskedBus(FakeBus):
    """A bus with requests waiting, and a place for the responses."""

    def __init__(self, *requests: Request) -> None:
        super().__init__()
        self.waiting = requests
        self.responses: list[tuple[str, Response]] = []

    async def requests(self) -> AsyncIterator[Inquiry]:
        for request in self.waiting:
            yield Inquiry(request, Requester(request.name, request.transaction))

    def respond(self, whom: Requester, response: Response) -> None:
        told = response.model_copy(update={"transaction": whom.transaction})
        self.responses.append((whom.name, told))


async def answered(
    *requests: Request, intents: Any = None, controls: Any = None
) -> tuple[AskedBus, list[Response]]:
    """Let a clerk with a fake house around it answer `requests`."""
    bus: Any = AskedBus(*requests)
    intents = intents or FakeIntents({"what time is it": TIME, "break": BROKEN})
    worker: Any = FakeWorker()
    mind = FakeMind()
    mind.by_heart["who is it"] = "It is me."
    dialogue = Dialogue(
        mind, intents, bus, worker,
        site="kitchen", settings=EngineSettings(), clock=SystemClock(), new_id=lambda: "turn-1",
    )  # fmt: skip
    nobody: Any = SimpleNamespace()
    clerk = Clerk(
        bus, dialogue, intents, controls or nobody, vitals=nobody, health=nobody, restarts={}
    )
    await clerk.run()
    return bus, [response for _, response in bus.responses]


async def test_asked_words_are_answered_and_published_as_if_they_had_been_spoken():
    bus, [response] = await answered(Ask(text="what time is it", transaction="a7"))
    said = json.loads(response.encode())
    assert (said["status"], said["transaction"]) == ("ok", "a7")
    assert "error" not in said
    reply = said["data"]
    assert (reply["turn"], reply["text"], reply["intent"]) == ("turn-1", "It is nine.", TIME.intent)
    assert (reply["transcript"], reply["end_reason"]) == ("what time is it", "text")
    assert [each[:3] for each in bus.said] == [
        ("event", "intent", "turn-1"),
        ("state", "responding", "turn-1"),
        ("reply", "turn-1", "It is nine."),
        ("event", "reply", "turn-1"),
        ("state", "idle", None),
    ]


async def test_a_question_that_the_model_knows_by_heart_is_answered():
    bus, [response] = await answered(Ask(text="who is it"))
    assert response.status == "ok"
    assert bus.named("reply") == [("reply", "turn-1", "It is me.")]
    assert bus.named("event")[0][:2] != ("event", "intent")


async def test_words_that_no_plugin_knows_are_an_error_and_no_reply():
    bus, [response] = await answered(Ask(text="why is the sky blue", transaction=7))
    assert json.loads(response.encode()) == {
        "v": 1,
        "data": {},
        "status": "error",
        "error": NO_PLUGIN,
        "transaction": 7,
    }
    assert bus.said == []


async def test_a_plugin_that_fails_is_an_error_and_an_apology():
    bus, [response] = await answered(Ask(text="break"))
    assert (response.status, response.error) == ("error", "bad.luck: at x.py:1")
    assert bus.named("reply") == [("reply", "turn-1", "The bad plugin failed.")]


async def test_what_goes_wrong_with_one_request_does_not_cost_the_next():
    class Raising(FakeIntents):
        def match(self, text: str, site: str = "") -> Any:
            if text == "raise":
                raise ZeroDivisionError("oh")
            return super().match(text, site)

    intents = Raising({"what time is it": TIME})
    _, responses = await answered(Ask(text="raise"), Ask(text="what time is it"), intents=intents)
    assert [response.status for response in responses] == ["error", "ok"]
    assert responses[0].error == "ZeroDivisionError: oh"


class SilentSource(FileSource):
    """Silence, until the daemon is stopped."""

    async def __aenter__(self) -> Self:
        return self

    def describe(self) -> str:
        return "silence"

    async def frames(self) -> AsyncIterator[Frame]:
        while True:
            yield Frame(np.zeros(FRAME_SAMPLES, np.int16), self._clock.now())
            await asyncio.sleep(0.01)


@asynccontextmanager
async def running_daemon(
    broker: Mosquitto, tmp_path: Path, *, watch_plugins: bool = False
) -> AsyncIterator[Settings]:
    """One at work in the kitchen."""
    (tmp_path / "plugins").mkdir()
    (tmp_path / "plugins" / "broken.py").write_text("1 / 0\n")
    settings = Settings.model_validate(
        {
            "site": "kitchen",
            "state_folder": str(tmp_path / "state"),
            "plugins": {"folder": str(tmp_path / "plugins")},
            "audio": {"source": "file"},
            "mqtt": broker.settings,
        }
    )
    source = SilentSource([], SystemClock())
    running = Daemon(
        settings,
        lambda _: source,
        SilentHerald(),
        mind=lambda *_: FakeMind(),
        watch_plugins=watch_plugins,
    )
    async with asyncio.timeout(PATIENCE_S), broker.hub(f"{ROOT}/info") as hub:
        task = asyncio.create_task(running.run())
        while b'"ready"' not in (await heard(hub))[0].payload:
            pass
        try:
            yield settings
        finally:
            task.cancel()
            await asyncio.wait({task})


async def test_the_daemon_answers_each_request_on_its_own_topic(broker: Mosquitto, tmp_path: Path):
    async with running_daemon(broker, tmp_path), broker.hub(f"{ROOT}/response/#") as hub:
        for name, body in (
            ("ask", {"text": "what time is it", "transaction": "1"}),
            ("plugins", {"transaction": "2"}),
            ("diagnostics", {"transaction": "3"}),
        ):
            await hub.publish(f"{ROOT}/request/{name}", json.dumps(body), qos=1)
        messages = await heard(hub, 3)
    assert not any(message.retain for message in messages)
    topics = [message.topic.value.removeprefix(f"{ROOT}/response/") for message in messages]
    assert topics == ["ask", "plugins", "diagnostics"]
    asked, listed, diagnosed = (json.loads(message.payload) for message in messages)
    assert [each["transaction"] for each in (asked, listed, diagnosed)] == ["1", "2", "3"]
    assert asked["data"]["intent"] == "clock.time"
    clock = next(each for each in listed["data"]["plugins"] if each["name"] == "clock")
    assert "clock.time" in clock["intents"]
    assert clock["examples"]
    [problem] = listed["data"]["problems"]
    assert problem["plugin"] == "broken"
    assert "ZeroDivisionError" in problem["reason"]
    told = diagnosed["data"]
    assert (told["model"], told["microphone"], told["problem"]) == ("fake", "silence", None)
    assert told["versions"].keys() == {"python", "assistant", "aiomqtt", "numpy", "onnxruntime"}
    assert told["messages"]["connects"] == 1
    assert told["turns"]["replies"] == 1
    assert told["metrics"]["uptime_s"] >= 0


GOOD = """
from assistant.plugin import Plugin, Turn

plugin = Plugin("broken")

@plugin.intent("start glowing", examples=["start glowing"])
async def glow(turn: Turn) -> str:
    return "It glows."
"""


async def test_plugins_are_reloaded_on_request(broker: Mosquitto, tmp_path: Path):
    async with running_daemon(broker, tmp_path) as settings:
        path = tmp_path / "plugins" / "broken.py"
        path.write_text(GOOD)
        ask = partial(ask_for, settings.mqtt, settings.site, RequestName.RELOAD)
        assert await ask() == {"started": ["broken"], "stopped": [], "problems": []}
        path.write_text("x = (")
        [problem] = (await ask())["problems"]
        assert f"{path}:1" in problem["reason"]
        plugins = await ask_for(settings.mqtt, settings.site, RequestName.PLUGINS)
        assert "broken.glow" in str(plugins)


async def test_a_plugin_that_is_saved_is_reloaded_and_told(broker: Mosquitto, tmp_path: Path):
    async with (
        running_daemon(broker, tmp_path, watch_plugins=True),
        broker.hub(f"{ROOT}/info", f"{ROOT}/event") as hub,
    ):
        path = tmp_path / "plugins" / "broken.py"
        path.write_text(GOOD)
        seen = ""
        while '"reloaded"' not in seen or '"broken"' not in seen.partition('"plugins"')[2]:
            seen += (await heard(hub))[0].payload.decode()


async def test_nobody_there_is_a_clear_line(broker: Mosquitto):
    settings = MqttSettings.model_validate(broker.settings)
    with pytest.raises(TransientError, match="no assistant at site 'attic' answers"):
        await ask_for(settings, "attic", RequestName.RELOAD, patience_s=0.1)
    with pytest.raises(UserError, match=r"mqtt\.host is embedded"):
        await ask_for(MqttSettings(host="embedded"), "attic", RequestName.RELOAD)


async def test_an_answer_without_data_is_a_clear_line(broker: Mosquitto):
    settings = MqttSettings.model_validate(broker.settings)
    async with broker.hub(f"{ROOT}/request/reload") as stranger:
        asked = asyncio.create_task(ask_for(settings, "kitchen", RequestName.RELOAD))
        mark = json.loads((await heard(stranger))[0].payload)["transaction"]
        answer = json.dumps({"transaction": mark, "status": "ok"})
        await stranger.publish(f"{ROOT}/response/reload", answer, qos=1)
        with pytest.raises(UserError, match="no assistant of this version"):
            await asked


async def test_a_setting_is_changed_and_the_applied_value_is_told():
    class Knobs:
        async def change(self, name: str, value: Any) -> Any:
            if name != "vad.threshold":
                raise AssistantError(f"{name} needs a restart")
            return round(float(value), 2)

    wishes = [ChangeSetting(setting=name, value=0.301) for name in ("vad.threshold", "mqtt.host")]
    _, [changed, refused] = await answered(*wishes, controls=Knobs())
    assert json.loads(changed.encode())["data"] == {"setting": "vad.threshold", "value": 0.3}
    assert (refused.status, refused.error) == ("error", "mqtt.host needs a restart")
