"""What a model is measured on: voices and people, and sentences, that training never meets."""

import json
import random
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from numpy.typing import NDArray

from engines.training import requests
from engines.training.recordings import read_recordings
from engines.training.speech import held_out, read_speech
from engines.training.text import sentences, spoken
from engines.training.voices import SAMPLE_RATE_HZ, VoiceError, held_out_voices, speak

MANIFEST = "manifest.jsonl"
_SOURCES = frozenset({"slurp", "clinc", "snips", "home"})

Said = tuple[NDArray[np.int16] | None, Mapping[str, Any]]
"""Samples at 16 kHz, none where that failed, and the line of the manifest but for the file."""


def held_out_sentences(
    text: Path, said: Iterable[Mapping[str, Any]], counts: Mapping[str, int], seed: int
) -> list[Mapping[str, Any]]:
    """Requests of people (`counts["text"]`) and of the plugins (`counts["plugins"]`).

    Those of the plugins keep their `intent` and `slots`.
    """
    rng = random.Random(seed + 3)  # noqa: S311 - not for secrets
    written = (spoken(each) for source, each in sentences(text) if source in _SOURCES)
    general = sorted({each for each in written if 2 <= len(each.split()) <= 12 and held_out(each)})
    commands = [{**each, "source": "plugins"} for each in said if held_out(each["text"])]
    rows = [{"text": each, "source": "general"} for each in general]
    return [
        *rng.sample(rows, min(len(rows), counts["text"])),
        *rng.sample(commands, min(len(commands), counts["plugins"])),
    ]


def held_out_questions(count: int, seed: int) -> list[Mapping[str, Any]]:
    """Facts, sums, small talk and what must be refused, with the words accepted as an answer."""
    drawn = (each for each in requests.evaluation(2 * count, seed) if each.kind != "command")
    return [
        {"text": each.text, "kind": each.kind, "accepted": list(each.accepted)}
        for each in islice(drawn, count)
    ]


def unheard_voices_say(rows: Iterable[Mapping[str, Any]]) -> Iterator[Said]:
    """Speak each row's text in one of the held-out voices."""
    first, *others = held_out_voices()
    for number, row in enumerate(rows):
        # the first voice sounds most like a person, and so says every third sentence
        voice = first if number % 3 == 0 else others[number % len(others)]
        try:
            audio = speak(voice, row["text"])
        except VoiceError:
            yield None, row
            continue
        yield audio, {**row, "speaker": voice.key, "gender": voice.gender}


def strangers_say(manifest: Path, speakers: frozenset[str]) -> Iterator[Said]:
    """The transcribed recordings of some speakers."""
    rows, _ = read_recordings(manifest)
    for row in rows:
        if row.speaker not in speakers or not row.text:
            continue
        known = {key: each for key, each in row.about.items() if key in {"age", "gender"}}
        source = row.file.partition("/")[0]
        about = {"text": row.text, "speaker": row.speaker, "source": source} | known
        try:
            yield read_speech(manifest.parent / row.file), about
        except (OSError, soundfile.LibsndfileError):
            yield None, about


def keep(clips: Iterable[Said], folder: Path) -> Counter[str]:
    """Write sound files and a manifest into `folder`; counts `clips` and `failed`."""
    counts: Counter[str] = Counter()
    with (folder / MANIFEST).open("w", encoding="utf-8") as manifest:
        for audio, about in clips:
            if audio is None:
                counts["failed"] += 1
                continue
            name = f"{counts['clips']:05}.flac"
            soundfile.write(folder / name, audio, SAMPLE_RATE_HZ)
            manifest.write(json.dumps({"file": name, **about}, ensure_ascii=False) + "\n")
            counts["clips"] += 1
    return counts
