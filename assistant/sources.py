"""Which source the settings ask for."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from assistant.audio.source import FileSource, Source, StdinSource
from assistant.clock import Clock
from assistant.settings import AudioSettings
from assistant.settings import Source as Kind

if TYPE_CHECKING:
    from assistant.audio.microphone import MicrophoneStatus


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
        case Kind.MICROPHONE:
            from assistant.audio.microphone import Microphone

            return Microphone(settings, clock, on_status=on_status)
