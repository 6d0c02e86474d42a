"""Which source the settings ask for."""

from assistant.audio.source import FileSource, Source, StdinSource
from assistant.clock import Clock
from assistant.settings import AudioSettings
from assistant.settings import Source as Kind


def open_source(settings: AudioSettings, clock: Clock) -> Source:
    """The source, not yet entered."""
    match settings.source:
        case Kind.FILE:
            return FileSource(settings.files, clock)
        case Kind.STDIN:
            return StdinSource(clock, buffer_ms=settings.buffer_ms)
        case Kind.MICROPHONE:
            from assistant.audio.microphone import Microphone

            return Microphone(settings, clock)
