"""The language model, as far as plugins reach it: text in, text out, and gaps filled by ear."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from assistant.worker import Cancel, Worker
from engines.diffa import Ask, Engine
from engines.infilling import infill

PROMPT = "text"
"""The prompt of `model.toml` that takes words and no sound."""
MAX_TURNS = 4
"""Turns whose sound is kept, so that gaps can be filled from it."""
MAX_CHARS = 2000
"""Longest text of a plugin's."""


class Thinker:
    """The model of whatever mind is at work. `engine` gives its engine, or None."""

    def __init__(self, worker: Worker, engine: Callable[[], Any]) -> None:
        self._worker, self._engine = worker, engine
        self._heard: dict[str, NDArray[np.int16]] = {}

    def heard(self, turn_id: str, audio: NDArray[np.int16]) -> None:
        """Keep the sound of a turn while plugins may ask about it."""
        self._heard[turn_id] = audio
        while len(self._heard) > MAX_TURNS:
            del self._heard[next(iter(self._heard))]

    async def ask(self, text: str) -> str:
        """Answer words; raises `ValueError` where the model answers only what it hears."""
        engine = self._ready(text)
        if PROMPT not in engine.checkpoint.manifest.prompts:
            name = engine.checkpoint.manifest.name
            raise ValueError(f"the model {name} answers only what it hears, not text")

        def answer(cancel: Cancel) -> str:
            blocks = list(engine.generate([Ask(PROMPT, text=text)], cancel))
            cancel.check()
            return "".join(block.text for block in blocks).strip()

        return await self._worker.run(answer)

    async def fill(self, turn_id: str, template: str) -> str:
        """Fill the gaps of `template` from the sound of a turn; raises `ValueError` without it."""
        engine, audio = self._ready(template), self._heard.get(turn_id)
        if audio is None:
            raise ValueError(f"turn {turn_id} was not heard here: it came as text, or is long ago")

        def fill(cancel: Cancel) -> str:
            return infill(engine, template, engine.encode(audio), cancel=cancel)

        return await self._worker.run(fill)

    def _ready(self, text: str) -> Engine:
        if len(text) > MAX_CHARS:
            raise ValueError(f"{len(text)} characters are too many for the model: {MAX_CHARS}")
        engine = self._engine()
        if not isinstance(engine, Engine):
            raise ValueError("there is no model here that plugins can ask")  # noqa: TRY004 - as above
        return engine
