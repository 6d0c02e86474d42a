"""What is made of words that were understood: the reply of a plugin, else the model's own."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
from numpy.typing import NDArray

from assistant.answers import HandlerResult
from assistant.clock import Clock
from assistant.intents import Intents
from assistant.recent import Recent
from assistant.turn import EndReason, Reply, Speaker, Timings, Turn
from assistant.understanding import Mind, Understanding
from assistant.voice import measure
from assistant.worker import Cancel

NO_ANSWER = "I have no answer to that."
"""Said when no plugin answers and the model's own answer is empty."""
_SITES = 256
"""Sites whose last reply is remembered."""


@dataclass(frozen=True, slots=True)
class Answered:
    """A reply, and what the plugin that gave it tells beside."""

    reply: Reply
    """Its timings are those of the engine and of the handlers; only the caller knows the rest."""
    result: HandlerResult | None
    """None for the model's own answer."""


class Answerer:
    """Answers turns at any site."""

    def __init__(self, intents: Intents, clock: Clock) -> None:
        self._intents, self._clock = intents, clock
        self._said: Recent[str, str] = Recent(_SITES)

    def ear(self, mind: Mind, site: str) -> Callable[[Cancel, NDArray[np.int16]], Understanding]:
        """Give `mind.understand`, mindful of the answers that are expected at `site`."""

        def understand(cancel: Cancel, audio: NDArray[np.int16]) -> Understanding:
            with self._intents.hearing(site):
                return mind.understand(cancel, audio)

        return understand

    async def answer(
        self,
        turn_id: str,
        site: str,
        understood: Understanding,
        ended_by: EndReason,
        audio: NDArray[np.int16] | None = None,
    ) -> Answered:
        """Let the plugins answer; where none does, the reply is the model's own answer.

        `audio` is the utterance, shape [samples], where it was spoken.
        """
        words, sure = understood.transcript, understood.confidence
        measured = Speaker if audio is None else partial(measure, audio, words)
        last = self._said.get(site) or ""
        turn = Turn(turn_id, site, words, sure, last, measure=measured)
        began = self._clock.now()
        result = await self._intents.handle(self._intents.match(words, site), turn)
        handle = milliseconds(self._clock.now() - began)
        timings = Timings(encode=understood.encode_ms, decode=understood.decode_ms, handle=handle)
        text = understood.answer or NO_ANSWER
        if result is not None:
            turn, text = replace(turn, intent=result.intent, slots=result.slots), result.text
        question = result.question if result is not None else None
        return Answered(Reply(turn, text, ended_by, understood.passes, timings, question), result)

    def note(self, site: str, text: str) -> None:
        """Remember what was said at a site, for whoever wants it repeated."""
        self._said.put(site, text)


def milliseconds(seconds: float) -> float:
    """A span of time as replies have it."""
    return round(seconds * 1000, 1)
