"""Gaps in a sentence filled from what was heard: all of them at once, and in both directions.

A left-to-right model cannot do this: here the words after a gap stand before it is filled. How many
tokens a gap holds is not known, so several widths are denoised in one batch, and the sentence that
the sound fits best is taken.
"""

import re
from collections.abc import Callable
from dataclasses import replace

from engines.diffa import Ask, Engine, Prefix

MAX_WIDTH = 8
"""Most tokens in one gap."""
_GAP = re.compile(r"\s*_{2,}")


def infill(
    engine: Engine,
    sentence: str,
    prefix: Prefix,
    *,
    prompt: str = "transcribe",
    cancel: Callable[[], bool] = lambda: False,
) -> str:
    """Fill each run of underscores of `sentence`, as a response to `prompt` over `prefix`.

    Gives the whole sentence. Raises `ValueError` for one without a gap, and when no filling is
    found.
    """
    pieces = _GAP.split(sentence.strip())
    if len(pieces) < 2:
        raise ValueError(f"{sentence!r} has no gap: write ___ where words are wanted")
    asks = [_ask(engine, pieces, width, prompt, prefix) for width in range(1, MAX_WIDTH + 1)]
    texts = [""] * len(asks)
    for block in engine.generate(asks, cancel):
        texts[block.ask] += block.text
    whole = re.compile(r"\s*\S.*?".join(re.escape(piece) for piece in pieces))
    found = [text for text in dict.fromkeys(map(str.strip, texts)) if whole.fullmatch(text)]
    if not found:
        raise ValueError(f"nothing that was heard fits into {sentence!r}")
    scores = engine.score(found, prompt, prefix)
    return max(zip(scores, found, strict=True), key=lambda pair: pair[0].mean)[1]


def _ask(engine: Engine, pieces: list[str], width: int, prompt: str, prefix: Prefix) -> Ask:
    """Ask for the sentence with gaps of `width` tokens."""
    tokenizer = engine.checkpoint.tokenizer
    template: list[int | None] = []
    for place, piece in enumerate(pieces):
        template += [None] * (width if place else 0)
        if piece:
            template += tokenizer.encode(piece, add_special_tokens=False).ids
    template.append(engine.checkpoint.stop_ids[0])
    room = max(engine.schedule.max_new_tokens, len(template))
    schedule = replace(engine.schedule, max_new_tokens=room)
    return Ask(prompt, prefix, schedule=schedule, template=tuple(template))
