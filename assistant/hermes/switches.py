"""What others switch off in Hermes: the wake word, the recogniser, and single intents."""

import asyncio
from functools import partial
from typing import Protocol

import structlog

from assistant.clock import Clock
from assistant.hermes.door import Door
from assistant.hermes.wishes import Configure, Toggle

MOMENT_S = 60.0
"""Whoever speaks or plays something and then forgets to say that it is over is forgotten, too."""
_OWN = "dialogueSession"
"""Said by dialogue managers, and the one of this site is here."""
_MOMENTS = frozenset({"ttsSay", "playAudio"})
_HOTWORD, _ASR = "hotword", "asr"
_MAX_INTENTS = 500

_log = structlog.get_logger(__name__)


class Heed(Protocol):
    """Lets utterances be opened, or not."""

    def __call__(self, *, voices: bool, commands: bool) -> None:
        """By voices and wake words; by commands. If by neither, the open one is thrown away."""
        ...


class Switches:
    """What of this site is off, and for which reasons: on again when the last of them is gone."""

    def __init__(self, door: Door, clock: Clock) -> None:
        self._clock = clock
        self._heed: Heed | None = None
        self._off: dict[str, dict[str, asyncio.Task[None] | None]] = {_HOTWORD: {}, _ASR: {}}
        self._intents: dict[str, None] = {}
        for part in self._off:
            door.listen(f"hermes/{part}/toggleOff", Toggle, partial(self._switch_off, part))
            door.listen(f"hermes/{part}/toggleOn", Toggle, partial(self._switch_on, part))
        door.listen("hermes/dialogueManager/configure", Configure, self._configure)

    def connect(self, heed: Heed) -> None:
        """Apply what is switched off to what hears, now and from now on."""
        self._heed = heed
        self._apply()

    @property
    def default_filter(self) -> tuple[str, ...] | None:
        """What sessions that name no intents are about; see `assistant.wanted.wants`."""
        return tuple(f"-{intent}" for intent in self._intents) or None

    def _configure(self, wish: Configure) -> None:
        """Switch intents off and on; none named is all of them on."""
        if not wish.intents:
            self._intents.clear()
        for each in wish.intents:
            if each.enable:
                self._intents.pop(each.intent, None)
            elif len(self._intents) < _MAX_INTENTS:
                self._intents[each.intent] = None

    def _switch_off(self, part: str, wish: Toggle) -> None:
        if wish.reason == _OWN:
            return
        reason = wish.reason if wish.reason in _MOMENTS else ""
        self._forget(part, reason)
        self._off[part][reason] = None
        if reason:
            lapse = self._lapse(part, reason)
            self._off[part][reason] = asyncio.create_task(lapse, name=f"hermes {part} {reason}")
        self._apply()

    def _switch_on(self, part: str, wish: Toggle) -> None:
        if wish.reason == _OWN:
            return
        known = wish.reason in _MOMENTS
        for reason in (wish.reason,) if known else tuple(self._off[part]):
            self._forget(part, reason)
        self._apply()

    def _forget(self, part: str, reason: str) -> None:
        timer = self._off[part].pop(reason, None)
        if timer is not None:
            timer.cancel()

    async def _lapse(self, part: str, reason: str) -> None:
        await self._clock.sleep(MOMENT_S)
        _log.warning("switched on again in Hermes, as nobody does", part=part, reason=reason)
        self._off[part].pop(reason, None)
        self._apply()

    def _apply(self) -> None:
        if self._heed is not None:
            hears = not self._off[_ASR]
            self._heed(voices=hears and not self._off[_HOTWORD], commands=hears)
