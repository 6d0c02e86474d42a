"""Claims a voice over MQTT, and gives way to a satellite at which it is louder."""

from collections.abc import Callable

import aiomqtt
from pydantic import ValidationError

from assistant.clock import Clock
from assistant.mqtt.bus import Bus
from assistant.mqtt.envelope import Envelope
from assistant.mqtt.message import Message
from assistant.mqtt.rooms import ClaimPayload
from assistant.satellites.arbitration import Arbiter, Claim
from assistant.settings import SatelliteSettings


class Bidding:
    """One satellite's part in the arbitration; see `Arbiter` for the rules."""

    def __init__(
        self,
        bus: Bus,
        settings: SatelliteSettings,
        clock: Clock,
        *,
        give_way: Callable[[str, str], None],
    ) -> None:
        """`give_way` is told the turn that was lost, and which site won it."""
        self.refused = 0
        """Messages that were no claims."""
        self._bus, self._clock, self._give_way = bus, clock, give_way
        self._group, self._site = settings.group, bus.topics.site
        self._arbiter = Arbiter(settings.arbitration_ms / 1000)
        self._turn = ""
        bus.listen(bus.topics.everywhere(bus.topics.claim), self._hear)

    def bid(self, turn: str, level_dbfs: float, *, answers: bool) -> None:
        """Tell the others that a voice is heard here, how loud, and whether it `answers`."""
        self._turn, site = turn, self._site
        told = ClaimPayload(
            turn=turn, site=site, group=self._group, level_dbfs=level_dbfs, answers=answers
        )
        about = Envelope.of_json("claim", turn, expiry_s=1.0)
        self._bus.send(Message(self._bus.topics.claim, told.encode(), envelope=about))
        own = Claim(site, level_dbfs, self._clock.now(), answers)
        self._yield_to(self._arbiter.claim(own))

    def settle(self) -> None:
        """The utterance is over."""
        self._arbiter.settle()

    def _hear(self, message: aiomqtt.Message) -> None:
        try:
            claim = ClaimPayload.model_validate_json(message.payload, extra="ignore")
        except ValidationError:
            self.refused += 1
            return
        if message.retain or claim.site == self._site or claim.group != self._group:
            return
        other = Claim(claim.site, claim.level_dbfs, self._clock.now(), claim.answers)
        self._yield_to(self._arbiter.hear(other))

    def _yield_to(self, better: Claim | None) -> None:
        if better is not None:
            self._give_way(self._turn, better.site)
