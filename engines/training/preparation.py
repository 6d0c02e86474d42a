"""Stage `speech`: everything that the stages which learn will read, made once and resumable.

Each part appears whole or is begun anew, but for the synthetic speech, which goes on where it
stood: a chunk of sentences that was not finished is spoken again by the same voices.
"""

import json
import os
import random
import shutil
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from gzip import BadGzipFile
from itertools import chain, islice
from pathlib import Path
from typing import Any

from engines.training import pairs as answers
from engines.training import requests
from engines.training.corpus import CorpusError
from engines.training.drafts import Draft, replace_text
from engines.training.heldout import (
    MANIFEST,
    held_out_questions,
    held_out_sentences,
    keep,
    strangers_say,
    unheard_voices_say,
)
from engines.training.speech import (
    CHUNK,
    Line,
    choose,
    held_out,
    held_out_humans,
    human_recordings,
    salad,
    synthesise,
)
from engines.training.text import MAX_WORDS, prose, read_jsonl, sentences, spoken
from engines.training.vocabulary import train_tokenizer

SPEECH, HUMAN, WORDS = "speech", "human", "words"
SPLICED, LABELLED = "spliced", "labelled"
HELD_OUT_SYNTHETIC, HELD_OUT_HUMAN = "heldout_synthetic", "heldout_human"
HELD_OUT_QUESTIONS = "heldout_questions"
UNABLE = "I can't do that, I have no plugin for it."
"""The model's own answer to a command: one that a plugin obeys never comes to it."""
PAIRS, TOKENIZER, WRITTEN = "pairs.jsonl", "tokenizer.json", "written.txt"
_PROGRESS = "progress.json"
_SENTENCE_WEIGHT, _TEMPLATE_WEIGHT = 0.15, 1.5
_TOKENIZER_LIMITS = {
    "slurp": 5000,
    "clinc": 22_000,
    "snips": 5000,
    "banking77": 2000,
    "opentriviaqa": 3000,
    "sgd": 8000,
}
_CASED = frozenset({"piper", "home", "snips", "banking77"})


class PreparationError(ValueError):
    """Data that is missing, or a folder that was begun differently; names it and the remedy."""


@dataclass(frozen=True, slots=True)
class SpeechStage:
    """`speech.toml`."""

    seed: int
    sentences: int
    workers: int
    request_draws: int
    per_intent: int
    pairs: int
    shares: dict[str, float]
    """Of the spoken sentences: `text`, `requests`, `plugins`, and `salad` of all their words."""
    limits: dict[str, int]
    read: dict[str, int]
    held_out: dict[str, int]


@dataclass(frozen=True, slots=True)
class Step:
    """How far a part has come, for a progress bar."""

    part: str
    done: int
    total: int
    counts: Mapping[str, int]
    """`clips`, `failed`, `held_out`, `unreadable`, `unused`."""


Templates = Iterable[Mapping[str, Any]]
"""Sentences of the plugins: `text`, `intent`, `slots`."""


def prepare(data: Path, run: Path, stage: SpeechStage, templates: Templates) -> Iterator[Step]:
    """Fill the folder `run` from the folder `data`, which holds `text/` and `speech/`.

    Raises `PreparationError` for data that is not there, `VoiceError` without a speech engine and
    `CorpusError` when nothing could be said.
    """
    try:
        yield from _prepare(data, run, stage, templates)
    except (LookupError, EOFError, BadGzipFile, json.JSONDecodeError, UnicodeDecodeError) as error:
        what = f"{type(error).__name__}: {error}"
        raise PreparationError(f"{data} holds a file that is not as expected ({what})") from error


def _prepare(data: Path, run: Path, stage: SpeechStage, templates: Templates) -> Iterator[Step]:
    text, manifest = data / "text", data / "speech" / MANIFEST
    if not text.is_dir():
        raise PreparationError(f"{text}: no such folder; --data names one that holds text/")
    run.mkdir(parents=True, exist_ok=True)
    said = [
        {**each, "text": words}
        for each in templates
        if 0 < len((words := spoken(each["text"])).split()) <= MAX_WORDS
    ]
    drawn = _draw_requests(stage)
    yield from _human(manifest, run)
    if not (run / TOKENIZER).is_file():
        _tokenizer(text, run, stage)
    yield Step("tokenizer", 1, 1, {})
    if not (run / PAIRS).is_file():
        _pairs(text, run, stage, drawn, said)
    yield Step("pairs", 1, 1, {})
    if not (run / WRITTEN).is_file():
        replace_text(run / WRITTEN, "".join(f"{each}\n" for each in _written(text)))
    yield Step("written", 1, 1, {})
    counts: Mapping[str, int] = {}
    if not (run / HELD_OUT_SYNTHETIC).is_dir():
        with Draft(run / HELD_OUT_SYNTHETIC) as draft:
            chosen = held_out_sentences(text, said, stage.held_out, stage.seed)
            counts = keep(unheard_voices_say(chosen), draft)
    yield Step(HELD_OUT_SYNTHETIC, 1, 1, counts)
    if not (run / HELD_OUT_QUESTIONS).is_dir():
        with Draft(run / HELD_OUT_QUESTIONS) as draft:
            asked = held_out_questions(stage.held_out.get("questions", 0), stage.seed)
            counts = keep(unheard_voices_say(asked), draft)
    yield Step(HELD_OUT_QUESTIONS, 1, 1, counts)
    for name, lines in _lines(text, stage, drawn, said).items():
        yield from speak_all(name, lines, run / SPEECH / name, stage)


def speak_all(name: str, lines: list[Line], folder: Path, stage: SpeechStage) -> Iterator[Step]:
    """Speak every line into the corpus at `folder`, or go on with it after a kill."""
    fingerprint = zlib.crc32(repr((stage.seed, lines)).encode())
    done = _Progress.resume(folder, fingerprint)
    first, begun = done.chunks, Counter(clips=done.clips, failed=done.failed)
    counts: Counter[str] = begun
    left = lines[first * CHUNK :]
    seed = stage.seed * 1_000_000 + zlib.crc32(name.encode()) % 1000 * 1000 + first
    chunks = enumerate(synthesise(left, folder, seed=seed, workers=stage.workers), first + 1)
    for number, made in chunks if left else ():
        counts = begun + made
        _Progress(fingerprint, number, counts["clips"], counts["failed"]).save(folder)
        yield Step(name, min(number * CHUNK, len(lines)), len(lines), counts)
    if not left:
        yield Step(name, len(lines), len(lines), counts)
    if lines and not counts["clips"]:
        raise CorpusError(f"{folder}: none of {len(lines)} sentences could be spoken")


@dataclass(frozen=True, slots=True)
class _Progress:
    """What of a corpus is finished, to the byte."""

    lines: int
    """Fingerprint of what is to be said."""
    chunks: int = 0
    clips: int = 0
    failed: int = 0

    @classmethod
    def resume(cls, folder: Path, lines: int) -> "_Progress":
        """Read it, and cut off what was written after it."""
        path = folder / _PROGRESS
        if not path.is_file():
            shutil.rmtree(folder, ignore_errors=True)
            return cls(lines)
        state = json.loads(path.read_text(encoding="utf-8"))
        sizes = state.pop("bytes")
        if state["lines"] != lines:
            raise PreparationError(
                f"{folder} was begun with other sentences: give the same options, or another --out"
            )
        for file, size in sizes.items():
            if (folder / file).stat().st_size > size:
                os.truncate(folder / file, size)
        return cls(**state)

    def save(self, folder: Path) -> None:
        """Write it, after what it speaks of."""
        files = [each for each in folder.iterdir() if each.name in {"audio.s16", "clips.jsonl"}]
        sizes = {each.name: each.stat().st_size for each in files}
        replace_text(folder / _PROGRESS, json.dumps({**asdict(self), "bytes": sizes}))


def _draw_requests(stage: SpeechStage) -> list[requests.Request]:
    rng = random.Random(stage.seed)  # noqa: S311 - not for secrets
    drawn = (requests.sample(rng) for _ in range(stage.request_draws))
    return list({request.text: request for request in drawn}.values())


def _lines(
    text: Path, stage: SpeechStage, drawn: list[requests.Request], said: list[dict[str, Any]]
) -> dict[str, list[Line]]:
    """What is to be said, by corpus."""
    reserved = frozenset(requests.reserved())
    general = choose(sentences(text), stage.limits, stage.seed)
    pools = {
        "text": [line for line in general if line.text not in reserved],
        "requests": _spread(((r.text, r.kind, r.kind) for r in drawn), stage, reserved),
        "plugins": _spread(((s["text"], s["intent"], "plugins") for s in said), stage, reserved),
    }
    wanted = {name: round(stage.sentences * share) for name, share in stage.shares.items()}
    known = (line.text for pool in pools.values() for line in pool)
    pools["salad"] = salad(known, wanted.get("salad", 0), stage.seed)
    wanted = {name: wanted.get(name, 0) for name in pools}
    lines = {name: pool[: wanted[name]] for name, pool in pools.items()}
    if not any(lines.values()):
        raise PreparationError(f"{text} holds nothing that can be said, and no plugin is loaded")
    return {name: chosen for name, chosen in lines.items() if chosen}


def _spread(
    rows: Iterable[tuple[str, str, str]], stage: SpeechStage, reserved: frozenset[str]
) -> list[Line]:
    """Lines of (text, group, source), no group more than `per_intent` times."""
    rng = random.Random(stage.seed)  # noqa: S311 - not for secrets
    groups: dict[str, list[Line]] = {}
    for text, group, source in rows:
        if 0 < len(text.split()) <= MAX_WORDS and not held_out(text) and text not in reserved:
            groups.setdefault(group, []).append(Line(text, source))
    lines = []
    for pool in groups.values():
        rng.shuffle(pool)
        lines += pool[: stage.per_intent]
    rng.shuffle(lines)
    return lines


def _human(manifest: Path, run: Path) -> Iterator[Step]:
    """Copy the human recordings: speakers to learn from, and speakers to be measured on."""
    if not manifest.is_file():
        yield Step(f"human recordings: none, {manifest} is missing", 1, 1, {})
        return
    strangers = held_out_humans(manifest)
    counts: Counter[str] = Counter()
    for name in (HUMAN, WORDS):
        if not (run / name).is_dir():
            with Draft(run / name) as draft:
                counts = human_recordings(manifest, draft, strangers, sentences=name == HUMAN)
        yield Step(name, 1, 1, counts)
    if not (run / HELD_OUT_HUMAN).is_dir():
        with Draft(run / HELD_OUT_HUMAN) as draft:
            counts = keep(strangers_say(manifest, strangers), draft)
    yield Step(HELD_OUT_HUMAN, 1, 1, counts)


def _tokenizer(text: Path, run: Path, stage: SpeechStage) -> None:
    """Learn the pieces from what is said and, cased and punctuated, from what is answered."""
    lines = [line.text for line in choose(sentences(text), _TOKENIZER_LIMITS, stage.seed)]
    human = run / HUMAN / "clips.jsonl"
    if human.is_file():
        lines += [row["text"] for row in read_jsonl(human)] * 2
    rng = random.Random(stage.seed)  # noqa: S311 - not for secrets
    cased = [each for source, each in sentences(text) if source in _CASED]
    lines += rng.sample(cased, min(len(cased), 6000))
    lines += islice(answers.lm_sentences(text), 8000)
    whole = train_tokenizer(lines).to_str(pretty=True)
    replace_text(run / TOKENIZER, whole)


def _written(text: Path) -> list[str]:
    """Distinct sentences as said, for counting which word follows which."""
    raw = chain((each for _, each in sentences(text)), prose(text))
    said = dict.fromkeys(spoken(each) for each in raw)
    return [each for each in said if each and not held_out(each)]


def _pairs(
    text: Path,
    run: Path,
    stage: SpeechStage,
    drawn: list[requests.Request],
    said: list[dict[str, Any]],
) -> None:
    """Write what the language model reads: requests with answers, and sentences without."""
    built = answers.build_pairs(text, random.Random(stage.seed))  # noqa: S311 - not for secrets
    asked: list[answers.Pair | requests.Request] = [*islice(built, stage.pairs), *drawn]
    rows = [(each.text, UNABLE if each.kind == "command" else each.answer, 1.0) for each in asked]
    rows += [(each["text"], "", _TEMPLATE_WEIGHT) for each in said]
    rows = [row for row in rows if not held_out(row[0])]
    read = choose(sentences(text), stage.read, stage.seed)
    rows += [(line.text, "", _SENTENCE_WEIGHT) for line in read]
    lines = (json.dumps({"text": t, "answer": a, "weight": w}) for t, a, w in rows)
    replace_text(run / PAIRS, "".join(f"{line}\n" for line in lines))
