"""The daemon on recordings: everything it publishes, compared with a list checked by a person.

`ASSISTANT_UPDATE_GOLDEN=1` writes the list anew.
"""

import asyncio
import itertools
import json
import os
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from assistant import daemon as daemon_module
from assistant.audio.files import load_audio
from assistant.audio.source import FRAME_SAMPLES, FileSource, Frame
from assistant.clock import SystemClock
from assistant.daemon import Daemon
from assistant.herald import SilentHerald
from assistant.mqtt.bus import Bus
from assistant.settings import Settings
from assistant.understanding import NANO, Understanding, load_mind
from assistant.worker import Cancel
from tests.daemon.support import FakeMind
from tests.support.assistant import RECORDINGS
from tests.support.broker import Mosquitto

GOLDEN = Path(__file__).parent / "golden" / "recordings.json"
NINE_O_CLOCK = 1_767_603_600.0
PATIENCE_S = 30.0

HEARD = {
    "1-light": "turn on the kitchen light",
    "2-timer": "set a timer for ten minutes",
    "3-time": "what time is it",
    "4-fact": "what is the capital of france",
    "5-small-talk": "",
    "6-cannot": "order me a pizza",
    "7-dim": "dim the bedroom light to thirty percent",
}
"""What the fake mind takes each recording for."""


class Recogniser(FakeMind):
    """Knows the recordings by heart: finds which one the loudest 10 ms are from."""

    def __init__(self) -> None:
        super().__init__(answer="The model's own answer.")
        self._known = {
            text: load_audio(RECORDINGS / f"{name}.opus").samples.tobytes()
            for name, text in HEARD.items()
        }

    def understand(self, cancel: Cancel, audio: NDArray[np.int16]) -> Understanding:
        loudest = int(np.abs(audio.astype(int)).argmax())
        sample = audio[loudest - 80 : loudest + 80].tobytes()
        [text] = [text for text, known in self._known.items() if sample in known]
        self.script = [text]
        return super().understand(cancel, audio)


class PatientSource(FileSource):
    """Recordings as fast as they are read, each after the one before was dealt with."""

    def __init__(self, paths: list[Path]) -> None:
        super().__init__(paths, SystemClock(), realtime=False)
        self.go_on = asyncio.Semaphore(0)

    def describe(self) -> str:
        return "recordings"

    async def frames(self) -> AsyncIterator[Frame]:
        yield Frame(np.zeros(FRAME_SAMPLES, np.int16), 0.0)
        playing = ""
        async for frame in super().frames():
            if playing != super().describe():
                playing = super().describe()
                async with asyncio.timeout(PATIENCE_S):
                    await self.go_on.acquire()
            yield frame


class Witness(Bus):
    """A bus that keeps a list of everything it is given to send."""

    said: list[tuple[str, Any]] = []  # noqa: RUF012 - the daemon makes the bus
    on_idle = staticmethod(lambda: None)

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        post, send = self._link.post, self._link.send

        def noted_post(topic: str, payload: bytes, envelope: Any) -> None:
            self._note(topic, payload)
            post(topic, payload, envelope)

        def noted_send(message: Any) -> None:
            self._note(message.topic, message.payload)
            send(message)

        self._link.post, self._link.send = noted_post, noted_send

    def _note(self, topic: str, payload: bytes) -> None:
        try:
            body = json.loads(payload)
        except ValueError:
            body = payload.decode()
        self.said.append((topic, timeless(body)))
        if isinstance(body, dict) and body.get("state") == "idle":
            self.on_idle()


def timeless(body: Any) -> Any:
    """Without what differs from run to run."""
    if not isinstance(body, dict):
        return body
    changing = {"at", "since", "timings_ms", "version", "config_hash"}
    return {key: value for key, value in body.items() if key not in changing}


@pytest.fixture(autouse=True)
def universal_time(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


async def played(
    broker: Mosquitto, folder: Path, monkeypatch: pytest.MonkeyPatch, mind: Any
) -> list[tuple[str, Any]]:
    """Run the daemon over all recordings and give what it published, in order."""
    source = PatientSource(sorted(RECORDINGS.glob("*.opus")))
    monkeypatch.setattr(Witness, "said", [])
    monkeypatch.setattr(Witness, "on_idle", staticmethod(source.go_on.release))
    monkeypatch.setattr(daemon_module, "Bus", Witness)
    settings = Settings.model_validate(
        {
            "site": "kitchen",
            "state_folder": str(folder / "state"),
            "plugins": {"folder": str(folder / "none")},
            "engine": {"partial_ms": 0},
            "audio": {"source": "file"},
            "mqtt": broker.settings,
        }
    )
    numbers = itertools.count(1)
    daemon = Daemon(
        settings,
        lambda _: source,
        SilentHerald(),
        wall_time=lambda: NINE_O_CLOCK,
        mind=mind,
        new_id=lambda: f"turn-{next(numbers)}",
    )
    async with (
        asyncio.timeout(2 * PATIENCE_S),
        broker.hub("assistant/kitchen/info", "assistant/kitchen/status") as hub,
    ):
        running = asyncio.create_task(daemon.run())
        heard = aiter(hub.messages)
        wanted = {b"online", b"ready"}  # a lamp cannot be switched before the broker is there
        while wanted:
            payload = (await anext(heard)).payload
            wanted = {word for word in wanted if word not in payload}
        source.go_on.release()
        await running
        assert (await anext(heard)).payload == b"offline"
    return Witness.said


async def test_what_is_published_for_the_recordings_is_what_a_person_approved(
    broker: Mosquitto, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    said = await played(broker, tmp_path, monkeypatch, lambda *_: Recogniser())
    if os.environ.get("ASSISTANT_UPDATE_GOLDEN"):
        lines = ",\n".join(json.dumps(each, ensure_ascii=False) for each in said)
        GOLDEN.write_text(f"[\n{lines}\n]\n")
    golden = [tuple(each) for each in json.loads(GOLDEN.read_text())]
    for happened, approved in zip(said, golden, strict=False):
        assert happened == approved
    assert len(said) == len(golden)


@pytest.mark.skipif(not (NANO / "model.toml").is_file(), reason="there is no bundled model")
async def test_the_bundled_model_understands_the_recordings(
    broker: Mosquitto, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    said = await played(broker, tmp_path, monkeypatch, load_mind)
    replies = [body for topic, body in said if topic.endswith("/reply")]
    intents = [reply["intent"] for reply in replies]
    assert intents[:3] == ["lights.switch", "timer.start", "clock.time"]
    assert intents[-1] == "lights.dim"
    assert len(replies) == len(HEARD)
    assert all(reply["text"] for reply in replies)
