"""Whether the assistant hears anything, told to the broker and to whoever supervises it."""

import structlog

from assistant.herald import Herald
from assistant.mqtt.bus import Bus
from assistant.mqtt.payloads import InfoPayload, Lifecycle

_log = structlog.get_logger(__name__)


class Health:
    """`ready` once sound comes in, `alert` while there is no microphone, `ready` again after."""

    def __init__(self, bus: Bus, herald: Herald, progress_at: float) -> None:
        """`progress_at`: see `beat`."""
        self.listening = False
        """Sound came in, and no microphone was lost since."""
        self._bus, self._herald = bus, herald
        self._seen = progress_at
        self.info = InfoPayload()
        """What was last said."""
        self._announced = False

    def loaded(self, *, model: str, plugins: tuple[str, ...], config_hash: str) -> None:
        """Everything is there but the sound."""
        self._say(model=model, plugins=plugins, config_hash=config_hash)

    def has_plugins(self, names: tuple[str, ...]) -> None:
        """Other plugins are there now."""
        self._say(plugins=names)

    def thinks_with(self, model: str) -> None:
        """Another model is used."""
        self._say(model=model)

    def beat(self, progress_at: float, microphone: str) -> None:
        """Look whether sound came in: whether its last time, `progress_at`, has moved on."""
        if progress_at == self._seen:
            return
        self._seen = progress_at
        if not self.listening:
            self.listening = True
            self._say(lifecycle=Lifecycle.READY, problem=None, microphone=microphone)
            _log.info("listening", to=microphone, model=self.info.model)
        if not self._announced:
            self._announced = True
            self._herald.ready()
        self._herald.alive()

    def lost(self, progress_at: float, reason: str) -> None:
        """No sound will come after `progress_at` until somebody does something."""
        self._seen, self.listening = progress_at, False
        self._say(lifecycle=Lifecycle.ALERT, problem=reason, microphone=None)

    def _say(self, **news: object) -> None:
        """Publish what is new, and nothing when a lost microphone is lost again."""
        info = self.info.model_copy(update=news)
        if info != self.info:
            self.info = info
            self._bus.info(info)
