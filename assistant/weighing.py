"""Weighs what a model wrote freely against the plugins' sentences near it, by the sound."""

from collections.abc import Callable, Sequence

from rapidfuzz import fuzz

from assistant.worker import Cancel
from engines.diffa import Engine, Prefix

CANDIDATES = 5
"""Sentences of the plugins that are weighed against the audio."""
CLOSE_RATIO = 90
"""Likeness, in percent of the letters, from which a plugin's sentence counts as close."""
LENIENCE = 0.3
"""How much less probable, in log-probability a token, a close sentence of a plugin may be than the
free reading and still be taken for what was said: people ask for what the assistant can do."""
MARGIN = 1.0
"""How much more probable any other sentence has to be. Measured on speech that was no command: with
less, too much of it becomes one."""
WEIGHING_PASSES = 2
"""One for the context, one for all sentences together."""


class Weigher:
    """For models that do not spell: of any other, the sound itself spells the sentences."""

    def __init__(
        self,
        engine: Engine,
        propose: Callable[[str, int], Sequence[str]],
        known: Callable[[str], bool],
    ) -> None:
        """`propose` gives sentences near a transcript, `known` tells those in a plugin's words."""
        self._engine, self._propose, self._known = engine, propose, known

    def weigh(self, transcript: str, prefix: Prefix, cancel: Cancel) -> tuple[str, int]:
        """Of the free reading and the plugins' sentences near it, what was most likely said.

        And the forward passes that this took; none for silence and for a plugin's words.
        """
        if not transcript or self._known(transcript):
            return transcript, 0
        near = [text for text in self._propose(transcript, CANDIDATES) if text != transcript]
        if not near:
            return transcript, 0
        cancel.check()
        free, *scores = self._engine.score([transcript, *near], "transcribe", prefix)
        gains = {text: score.mean - free.mean for text, score in zip(near, scores, strict=True)}
        likely = [text for text in near if gains[text] > _needed(transcript, text)]
        return max(likely, key=gains.__getitem__, default=transcript), WEIGHING_PASSES


def _needed(transcript: str, sentence: str) -> float:
    return -LENIENCE if fuzz.ratio(transcript, sentence) >= CLOSE_RATIO else MARGIN
