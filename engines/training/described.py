"""Recordings of a manifest as the pairs of DIFFA's second stage want them."""

from collections.abc import Iterator
from pathlib import Path

import soundfile

from engines.training.heldout import MANIFEST
from engines.training.instructions import Recording
from engines.training.preparation import PreparationError
from engines.training.requests import recognise
from engines.training.speech import held_out_humans
from engines.training.text import read_jsonl, spoken


def describe(data: Path) -> Iterator[Recording]:
    """The transcribed recordings of `data`, but for the held-out speakers.

    `data` holds `manifest.jsonl` or `speech/manifest.jsonl`; a clip that cannot be opened is left
    out. Raises `PreparationError` where there is no manifest.
    """
    places = [data / MANIFEST, data / "speech" / MANIFEST]
    manifest = next((place for place in places if place.is_file()), None)
    if manifest is None:
        raise PreparationError(f"{data}: neither {MANIFEST} nor speech/{MANIFEST} is there")
    strangers = held_out_humans(manifest)
    rows = [{**row, "text": spoken(row.get("text") or "")} for row in read_jsonl(manifest)]
    answers = {r.text: r.answer for r in recognise([row["text"] for row in rows])}
    for number, row in enumerate(rows):
        if not row["text"] or row.get("speaker") in strangers:
            continue
        path = manifest.parent / row["file"]
        try:
            seconds = soundfile.info(str(path)).duration
        except (OSError, soundfile.LibsndfileError):
            continue
        known = {key: str(row[key]) for key in ("gender", "accent", "age", "pace") if row.get(key)}
        yield Recording(
            audio_id=f"{number:06}",
            path=str(path),
            transcription=row["text"],
            seconds=seconds,
            dataset=str(row.get("source") or row["file"].partition("/")[0]),
            answer=answers.get(row["text"], ""),
            **known,
        )
