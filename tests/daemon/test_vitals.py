"""What is measured of the running daemon."""

import asyncio
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from assistant.clock import SystemClock
from assistant.mqtt.counters import Counters
from assistant.mqtt.payloads import MetricsPayload, QueueDepths
from assistant.turn import Timings
from assistant.vitals import METRICS_S, Vitals, rss_mib


class SteppedClock(SystemClock):
    """Time passes only in its sleeps, of which there are three."""

    def __init__(self) -> None:
        self.seconds = 100.0
        self.naps = 3

    def now(self) -> float:
        return self.seconds

    async def sleep(self, seconds: float) -> None:
        if not self.naps:
            raise asyncio.CancelledError
        self.naps -= 1
        self.seconds += seconds


class MeasuredBus:
    """A bus with known losses."""

    counters = Counters(dropped=5, expired=6, refused_commands=7, dropped_commands=8)
    queues = QueueDepths(outbox=3, commands=4)

    def __init__(self) -> None:
        self.said: list[MetricsPayload] = []

    def metrics(self, metrics: MetricsPayload) -> None:
        self.said.append(metrics)


def vitals(bus: Any, dialogue: Any) -> Vitals:
    listener: Any = SimpleNamespace(dropped_frames=12, dropped_utterances=2)
    return Vitals(bus, dialogue, listener, SteppedClock(), wall_time=lambda: 5.0)


def dialogue(last: Timings | None = None) -> Any:
    return SimpleNamespace(counters=SimpleNamespace(turns=9), last_timings=last)


def test_measures_what_waits_what_was_lost_and_how_long_the_last_turn_took():
    timings = Timings(encode=40.0, total=90.0)
    measured = vitals(MeasuredBus(), dialogue(timings)).measure().model_dump()
    assert measured.pop("rss_mib") > 10
    assert measured.pop("timings_ms") == asdict(timings)
    assert measured == {
        "v": 1,
        "at": 5.0,
        "uptime_s": 0.0,
        "queues": {"outbox": 3, "commands": 4},
        "drops": {"audio_ms": 120, "utterances": 2, "messages": 5, "expired": 6, "commands": 15},
        "turns": 9,
    }


async def test_publishes_at_regular_times():
    bus = MeasuredBus()
    with suppress(asyncio.CancelledError):
        await vitals(bus, dialogue()).run()
    assert [metrics.uptime_s for metrics in bus.said] == [METRICS_S, 2 * METRICS_S, 3 * METRICS_S]
    assert bus.said[0].timings_ms is None


def test_memory_is_unknown_where_the_system_does_not_tell(tmp_path: Path):
    garbled = tmp_path / "statm"
    garbled.write_text("what")
    assert rss_mib(garbled) is None
    assert rss_mib(tmp_path / "missing") is None
