"""Audio-instruction pairs in the published schema, by rules or by asking a language model."""

import json
import urllib.error
import urllib.request
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path
from typing import Any


class InstructionsError(ValueError):
    """Pairs that cannot be made or written; the message names the file or address."""


class AnswererBusyError(RuntimeError):
    """The language model is away, slow or busy; later it may not be."""


Answerer = Callable[[str, str], str]
"""Gives the target for a rendered recording and a question."""

TRANSCRIBE = "What does the speaker say?"
DESCRIBE = "What can you hear from the audio?"
ANSWER = "Answer the speaker."


@dataclass(frozen=True, slots=True)
class Recording:
    """What is known about one clip; an empty text means unknown."""

    audio_id: str
    path: str
    transcription: str
    seconds: float
    dataset: str
    answer: str = ""
    """What the assistant should say, where the clip is a request."""
    gender: str = ""
    """male or female."""
    accent: str = ""
    age: str = ""
    emotion: str = ""
    pace: str = ""
    """slow, normal or fast."""
    noise: str = ""
    """clean or noisy."""


def render(recording: Recording) -> str:
    """The metadata as a text model reads it, times in whole seconds."""
    whole = max(1, round(recording.seconds))
    traits = {
        "Gender": recording.gender.capitalize(),
        "Accent": recording.accent,
        "Age": recording.age,
        "Emotion": recording.emotion,
        "Pace": recording.pace,
        "Noise": recording.noise,
        "Duration": f"{whole}s",
    }
    known = ", ".join(f"{name}: {value}" for name, value in traits.items() if value)
    hours, rest = divmod(whole, 3600)
    end = f"{hours:02}:{rest // 60:02}:{rest % 60:02}"
    return f'[00:00:00 - {end}]: "{recording.transcription}" ({known})'


def by_rules(recording: Recording) -> Iterator[tuple[str, str]]:
    """Each instruction that the metadata can answer, with its target."""
    yield TRANSCRIBE, recording.transcription
    if recording.answer:
        yield ANSWER, recording.answer
    who = {"male": "A man", "female": "A woman"}.get(recording.gender, "")
    if who:
        yield "Is the speaker a man or a woman?", f"{who} is speaking."
    if recording.pace:
        pace = {"normal": "at a normal pace"}.get(recording.pace, f"at a {recording.pace} pace")
        yield "How fast does the speaker talk?", f"The speaker talks {pace}."
    if recording.noise:
        yield "Is the recording noisy?", f"The recording is {recording.noise}."
    yield DESCRIBE, f'{who or "Someone"} says: "{recording.transcription}"'


def write_pairs(
    path: Path, recordings: Iterable[Recording], answerer: Answerer | None = None
) -> int:
    """Write one JSON line for each recording and instruction; returns how many.

    Targets come from rules, or from `answerer` where one is given. The file appears whole or not
    at all. Raises `InstructionsError` where it cannot be written or there is nothing to write.
    """
    part = path.with_name(path.name + ".part")
    count = 0
    try:
        with part.open("w", encoding="utf-8") as file:
            for recording in recordings:
                for line in _lines(recording, answerer):
                    file.write(json.dumps(line, ensure_ascii=False) + "\n")
                    count += 1
        if not count:
            raise InstructionsError(f"{path}: there are no recordings to make pairs from")
        part.replace(path)
    except OSError as error:
        raise InstructionsError(f"{path}: {error.strerror}; choose a writable file") from error
    finally:
        part.unlink(missing_ok=True)
    return count


def _lines(recording: Recording, answerer: Answerer | None) -> Iterator[Mapping[str, Any]]:
    rendered = render(recording)
    for question, target in by_rules(recording):
        yield {
            "audio_id": recording.audio_id,
            "audio_filepath": recording.path,
            "transcription": recording.transcription,
            "input": question,
            "target": answerer(rendered, question) if answerer else target,
            "dataset": recording.dataset,
            "duration": round(recording.seconds, 3),
            "seed_transcript": rendered,
        }


@dataclass(frozen=True, slots=True)
class LanguageModel:
    """Any server that speaks OpenAI's chat protocol, as an `Answerer`."""

    url: str
    """Base address, such as http://localhost:8000/v1."""
    model: str
    api_key: str = ""
    timeout_seconds: float = 60.0

    def __call__(self, rendered: str, question: str) -> str:
        """Ask about a rendered recording.

        Raises `AnswererBusyError` where the server is away, slow or busy, else
        `InstructionsError`.
        """
        if not self.url.startswith(("http://", "https://")):
            raise InstructionsError(
                f"{self.url}: not an address; give one like http://localhost:8000/v1"
            )
        prompt = f"You hear this audio: {rendered}\nAnswer in one short sentence: {question}"
        body = {
            "model": self.model,
            "temperature": 0,
            "messages": [{"role": "user", "content": prompt}],
        }
        headers = {"Content-Type": "application/json"}
        if self.api_key:
            headers["Authorization"] = f"Bearer {self.api_key}"
        address = f"{self.url.rstrip('/')}/chat/completions"
        request = urllib.request.Request(address, json.dumps(body).encode(), headers)  # noqa: S310
        return _content(self._send(request), self.url)

    def _send(self, request: urllib.request.Request) -> bytes:
        try:
            with urllib.request.urlopen(request, timeout=self.timeout_seconds) as reply:  # noqa: S310
                return bytes(reply.read(1_000_000))
        except urllib.error.HTTPError as error:
            message = f"{self.url}: the language model answers {error.code} {error.reason}"
            if error.code == 429 or error.code >= 500:
                raise AnswererBusyError(message) from error
            raise InstructionsError(
                f"{message}; check the address, the model and the key"
            ) from error
        except (OSError, HTTPException) as error:
            raise AnswererBusyError(
                f"{self.url}: no answer from the language model: {error}"
            ) from error


def _content(reply: bytes, url: str) -> str:
    try:
        text = json.loads(reply)["choices"][0]["message"]["content"].strip()
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        raise InstructionsError(
            f"{url}: the reply is no chat completion; check the address"
        ) from error
    return str(text)
