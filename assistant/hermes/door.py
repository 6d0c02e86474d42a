"""What comes in from Hermes: bytes of strangers, vetted, or refused in one line."""

from collections.abc import Callable
from typing import TypeVar

import aiomqtt
import structlog
from pydantic import ValidationError

from assistant.clock import Clock
from assistant.hermes.wishes import Wish
from assistant.mqtt.bus import Bus
from assistant.mqtt.limits import TokenBucket
from assistant.mqtt.payloads import EventType

PER_S, BURST = 20.0, 40.0
"""Messages on one topic: no flow needs more, and each may cost a few milliseconds."""
_MAX_BYTES = 65_536
_REPORTS_PER_S, _REPORT_BURST = 1.0, 5.0

_log = structlog.get_logger(__name__)
_W = TypeVar("_W", bound=Wish)


class RefusedWishError(Exception):
    """A message that is not obeyed; the message is one line that says why."""


class Door:
    """Lets through what is fit and for this site, and of each topic not too much at a time."""

    def __init__(self, bus: Bus, clock: Clock) -> None:
        self.refused = 0
        """Messages that could not be understood, or were too many."""
        self._bus, self._clock = bus, clock
        self._reports = TokenBucket(clock, per_s=_REPORTS_PER_S, burst=_REPORT_BURST)

    def listen(self, topic: str, model: type[_W], obey: Callable[[_W], None]) -> None:
        """Call `obey`, which never raises, with each `model` that comes on `topic`.

        One that names another site is passed over.
        """
        rate = TokenBucket(self._clock, per_s=PER_S, burst=BURST)

        def hear(message: aiomqtt.Message) -> None:
            try:
                wish = _read(message, model, rate)
            except RefusedWishError as error:
                self._refuse(f"refused a message on {message.topic.value[:120]}: {error}")
                return
            if wish.site in {None, self._bus.topics.site}:
                obey(wish)

        self._bus.listen(topic, hear)

    def _refuse(self, line: str) -> None:
        self.refused += 1
        if self._reports.take():
            _log.warning(line)
            self._bus.event(EventType.ERROR, message=line)


def _read(message: aiomqtt.Message, model: type[_W], rate: TokenBucket) -> _W:
    payload = bytes(message.payload or b"")
    if not rate.take():
        raise RefusedWishError(f"more than {PER_S:g} a second")
    if message.retain:
        raise RefusedWishError("it is retained, so it may be old")
    if len(payload) > _MAX_BYTES:
        raise RefusedWishError(f"{len(payload)} bytes, over {_MAX_BYTES}")
    try:
        return model.model_validate_json(payload)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"])) or "payload"
        raise RefusedWishError(f"{place}: {first['msg']}") from error
