"""Audio-instruction pairs in the published schema, by rules or by asking a language model."""

import json
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import nullcontext, suppress
from dataclasses import dataclass
from http.client import HTTPException, HTTPResponse
from pathlib import Path
from typing import Any, Self


class InstructionsError(ValueError):
    """Pairs that cannot be made or written; the message names the file or address."""


class NoTargetError(InstructionsError):
    """A reply that is no target; the next one may be."""


class AnswererBusyError(RuntimeError):
    """The language model is away, slow or busy; later it may not be."""


WAITS_S = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0)
"""How long a busy language model is waited for before it is asked again."""
HOPELESS = 10
"""So many pairs in a row without a target, and none will come."""
LONGEST_TARGET = 1000
"""Characters; no answer of one sentence is longer."""
_LONGEST_REPLY = 1_000_000

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
    path: Path,
    recordings: Iterable[Recording],
    answerer: Answerer | None = None,
    counts: Counter[str] | None = None,
    tick: Callable[[], None] = lambda: None,
) -> int:
    """Write one JSON line for each recording and instruction; returns how many.

    Targets come from rules, or from `answerer` where one is given: then what was written when the
    work was cut short is kept beside `path`, and not asked for again. Pairs without a target are
    left out and counted as `without a target`. The file appears whole or not at all. `tick` is
    called after each pair. Raises `InstructionsError` where it cannot be written or there is
    nothing to write, and what `answerer` raises.
    """
    counts = Counter() if counts is None else counts
    part, asked = path.with_name(f"{path.name}.part"), path.with_name(f"{path.name}.asked")
    lines = []
    try:
        with _Kept(asked) if answerer else nullcontext() as kept:
            for recording in recordings:
                for by_rule in _lines(recording):
                    line = kept.answered(by_rule, answerer) if answerer and kept else by_rule
                    if line is None:
                        counts["without a target"] += 1
                        continue
                    lines.append(json.dumps(line, ensure_ascii=False) + "\n")
                    tick()
        if not lines:
            raise InstructionsError(f"{path}: there are no recordings to make pairs from")
        part.write_text("".join(lines), encoding="utf-8")
        part.replace(path)
        asked.unlink(missing_ok=True)
    except OSError as error:
        raise InstructionsError(f"{path}: {error.strerror}; choose a writable file") from error
    finally:
        part.unlink(missing_ok=True)
    return len(lines)


class _Kept:
    """Targets that a language model gave, on disk until the whole work is done."""

    def __init__(self, path: Path) -> None:
        self._known: dict[tuple[str, str], str] = {}
        self._without = 0
        with suppress(FileNotFoundError):
            for row in path.read_text(encoding="utf-8", errors="replace").splitlines():
                with suppress(ValueError, TypeError):  # torn by a kill
                    rendered, question, target = json.loads(row)
                    self._known[str(rendered), str(question)] = str(target)
        self._file = path.open("a", encoding="utf-8")
        self._file.write("\n")  # after a torn line

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def answered(self, line: dict[str, Any], answerer: Answerer) -> dict[str, Any] | None:
        """The pair with the model's target; none where it gave none."""
        key = line["seed_transcript"], line["input"]
        if key not in self._known:
            try:
                self._known[key] = patiently(answerer, *key)
            except NoTargetError:
                self._without += 1
                if self._without >= HOPELESS:
                    raise
                return None
            self._file.write(json.dumps([*key, self._known[key]], ensure_ascii=False) + "\n")
            self._file.flush()
        self._without = 0
        return line | {"target": self._known[key]}


def patiently(
    answerer: Answerer, rendered: str, question: str, sleep: Callable[[float], None] = time.sleep
) -> str:
    """Ask again for a while where the model is busy; raises `AnswererBusyError` after that."""
    for wait_s in WAITS_S:
        try:
            return answerer(rendered, question)
        except AnswererBusyError:
            sleep(wait_s)
    return answerer(rendered, question)


def _lines(recording: Recording) -> Iterator[dict[str, Any]]:
    rendered = render(recording)
    for question, target in by_rules(recording):
        yield {
            "audio_id": recording.audio_id,
            "audio_filepath": recording.path,
            "transcription": recording.transcription,
            "input": question,
            "target": target,
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

        Raises `AnswererBusyError` where the server is away, slow or busy, `NoTargetError` for a
        reply that is none, else `InstructionsError`.
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
                return self._receive(reply)
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

    def _receive(self, reply: HTTPResponse) -> bytes:
        """The whole reply; one that trickles in is given up like one that does not come."""
        until_s, received = time.monotonic() + self.timeout_seconds, b""
        while part := reply.read1(65_536):
            received += part
            if time.monotonic() > until_s or len(received) > _LONGEST_REPLY:
                raise TimeoutError("the reply is endless")
        return received


def _content(reply: bytes, url: str) -> str:
    try:
        text = " ".join(json.loads(reply)["choices"][0]["message"]["content"].split())
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        raise NoTargetError(f"{url}: the reply is no chat completion; check the address") from error
    if not 0 < len(text) <= LONGEST_TARGET:
        raise NoTargetError(f"{url}: the reply has {len(text)} characters; try another model")
    return text
