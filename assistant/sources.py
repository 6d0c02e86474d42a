"""Which source the settings ask for."""

from collections.abc import AsyncIterator, Callable
from typing import TYPE_CHECKING, Self

import numpy as np

from assistant.audio.source import FRAME_SAMPLES, FileSource, Frame, Source, StdinSource
from assistant.clock import Clock
from assistant.settings import AudioSettings
from assistant.settings import Source as Kind

if TYPE_CHECKING:
    from assistant.audio.microphone import MicrophoneStatus


SIGN_OF_LIFE_S = 5.0
"""Well below the 30 s after which systemd takes a daemon without sound for a dead one."""


class Deaf:
    """Hears nothing, for an engine of satellites.

    Now and then a silent frame shows that it lives. Between two of them a listener takes its sound
    for one that stopped coming, so that whoever asks it to listen is not kept waiting.
    """

    live = True
    dropped_frames = 0

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        """Nothing is left open."""

    def describe(self) -> str:
        """Say that there is none."""
        return "none"

    async def frames(self) -> AsyncIterator[Frame]:
        """Silence, for ever."""
        while True:
            yield Frame(np.zeros(FRAME_SAMPLES, np.int16), self._clock.now())
            await self._clock.sleep(SIGN_OF_LIFE_S)


def open_source(
    settings: AudioSettings,
    clock: Clock,
    on_status: Callable[["MicrophoneStatus"], None] = lambda _: None,
) -> Source:
    """The source, not yet entered; a microphone tells `on_status` when it is lost and found.

    Raises `UserError` for a microphone without PyAudio.
    """
    match settings.source:
        case Kind.FILE:
            return FileSource(settings.files, clock)
        case Kind.STDIN:
            return StdinSource(clock, buffer_ms=settings.buffer_ms)
        case Kind.NONE:
            return Deaf(clock)
        case Kind.MICROPHONE:
            from assistant.audio.microphone import Microphone

            return Microphone(settings, clock, on_status=on_status)
