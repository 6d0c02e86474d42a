"""What plugins reach, and what they cannot do with it."""

import json
from datetime import UTC, datetime

import pytest

from assistant.outdoors import Outdoors
from assistant.testing import FakeClock
from tests.daemon.support import FakeBus


class Speaker:
    def __init__(self) -> None:
        self.said: list[str] = []

    def say(self, text: str) -> None:
        self.said.append(text)


@pytest.fixture
def bus() -> FakeBus:
    return FakeBus()


@pytest.fixture
def speaker() -> Speaker:
    return Speaker()


@pytest.fixture
def outdoors(bus: FakeBus, speaker: Speaker) -> Outdoors:
    clock = FakeClock()
    return Outdoors(bus, speaker, site="kitchen", clock=clock, wall_time=lambda: 86_400.0)


async def test_a_plugin_publishes_on_the_broker(outdoors: Outdoors, bus: FakeBus):
    await outdoors.publish("home/light", b"ON", retain=True)
    assert bus.published == [("home/light", b"ON", True)]


async def test_a_plugin_speaks_at_its_own_site_only(outdoors: Outdoors, speaker: Speaker):
    await outdoors.say("kitchen", "Ping.", plugin="timer")
    with pytest.raises(ValueError, match="timer cannot speak at 'attic'"):
        await outdoors.say("attic", "Ping.", plugin="timer")
    assert speaker.said == ["Ping."]


async def test_a_plugins_error_is_told_as_the_daemons_own_are(outdoors: Outdoors, bus: FakeBus):
    await outdoors.event("error", {"reason": "no key"}, plugin="weather")
    assert bus.said == [("event", "error", None, {"plugin": "weather", "message": "no key"})]


async def test_a_plugins_event_keeps_its_fields_apart(outdoors: Outdoors, bus: FakeBus):
    moment = datetime(2026, 1, 5, tzinfo=UTC)
    await outdoors.event("rang", {"turn": "x", "at": moment}, plugin="timer")
    [(_, kind, turn, details)] = bus.said
    assert (kind, turn) == ("plugin", None)
    assert details == {"plugin": "timer", "name": "rang", "data": {"turn": "x", "at": str(moment)}}
    json.dumps(details)


def test_the_time_of_day_is_the_wall_clocks(outdoors: Outdoors):
    assert outdoors.now() == datetime(1970, 1, 2, tzinfo=UTC)
    assert outdoors.now().tzinfo is not None
