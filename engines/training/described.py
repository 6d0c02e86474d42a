"""Recordings of a manifest as the pairs of DIFFA's second stage want them."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import soundfile

from engines.training.heldout import MANIFEST
from engines.training.instructions import Recording
from engines.training.preparation import PreparationError
from engines.training.recordings import read_recordings
from engines.training.requests import recognise
from engines.training.speech import held_out_humans


def describe(data: Path, counts: Counter[str]) -> Iterator[Recording]:
    """The transcribed recordings of `data`, but for the held-out speakers.

    `data` holds `manifest.jsonl` or `speech/manifest.jsonl`. Lines that are none and clips that
    cannot be opened are left out, and counted as `malformed` and `unreadable`. Raises
    `PreparationError` where there is no manifest.
    """
    places = [data / MANIFEST, data / "speech" / MANIFEST]
    manifest = next((place for place in places if place.is_file()), None)
    if manifest is None:
        raise PreparationError(f"{data}: neither {MANIFEST} nor speech/{MANIFEST} is there")
    strangers = held_out_humans(manifest)
    rows, counts["malformed"] = read_recordings(manifest)
    answers = {r.text: r.answer for r in recognise([row.text for row in rows])}
    for number, row in enumerate(rows):
        if not row.text or row.speaker in strangers:
            continue
        path = manifest.parent / row.file
        try:
            seconds = soundfile.info(str(path)).duration
        except (OSError, soundfile.LibsndfileError):
            counts["unreadable"] += 1
            continue
        yield Recording(
            audio_id=f"{number:06}",
            path=str(path),
            transcription=row.text,
            seconds=seconds,
            dataset=row.source,
            answer=answers.get(row.text, ""),
            **row.about,
        )
