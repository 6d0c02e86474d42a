"""How the daemon fares: memory, queues, losses and the time that turns take."""

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from assistant.audio.listener import Listener
from assistant.audio.source import FRAME_MS
from assistant.clock import Clock
from assistant.mqtt.bus import Bus
from assistant.mqtt.payloads import Drops, MetricsPayload
from assistant.turn import Timings

METRICS_S = 30.0
"""How often the metrics are published."""
_STATM = Path("/proc/self/statm")
_MIB = 1 << 20


class Counted(Protocol):
    """A counter of what became of the utterances."""

    turns: int


class Talker(Protocol):
    """What answers utterances, or has them answered."""

    @property
    def counters(self) -> Counted:
        """Counts the turns."""
        ...

    @property
    def last_timings(self) -> Timings | None:
        """Of the last turn that was answered."""
        ...


class Vitals:
    """Measures the running daemon, and publishes what it finds."""

    def __init__(
        self,
        bus: Bus,
        dialogue: Talker,
        listener: Listener,
        clock: Clock,
        wall_time: Callable[[], float] = time.time,
    ) -> None:
        """`wall_time` gives seconds since 1970; the uptime counts from here."""
        self._bus, self._dialogue, self._listener = bus, dialogue, listener
        self._clock, self._wall_time = clock, wall_time
        self._began = clock.now()

    async def run(self) -> None:
        """Publish the metrics every `METRICS_S`, until cancelled."""
        while True:
            await self._clock.sleep(METRICS_S)
            self._bus.metrics(self.measure())

    def measure(self) -> MetricsPayload:
        """Measure now."""
        counters, listener = self._bus.counters, self._listener
        return MetricsPayload(
            at=self._wall_time(),
            uptime_s=round(self._clock.now() - self._began, 1),
            rss_mib=rss_mib(),
            queues=self._bus.queues,
            drops=Drops(
                audio_ms=listener.dropped_frames * FRAME_MS,
                utterances=listener.dropped_utterances,
                messages=counters.dropped,
                expired=counters.expired,
                commands=counters.refused_commands
                + counters.limited_commands
                + counters.dropped_commands,
            ),
            turns=self._dialogue.counters.turns,
            timings_ms=self._dialogue.last_timings,
        )


def rss_mib(statm: Path = _STATM) -> float | None:
    """Memory of this process that is in RAM; None where `statm` does not tell."""
    try:
        pages = int(statm.read_text(encoding="ascii").split()[1])
    except (OSError, ValueError, IndexError):
        return None
    return round(pages * os.sysconf("SC_PAGE_SIZE") / _MIB, 1)
