"""Sentences and what is replied to them, written in TOML by people who do not program.

```toml
[[answer]]
sentences = ["(when|what day) is [the] bin day", "when do the bins go out"]
reply = "The bins go out on Thursday."
```
"""

import inspect
import json
import re
import tomllib
from collections.abc import Callable, Mapping
from datetime import time, timedelta
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from assistant.plugin import Choices, Handler, Plugin, Turn, say_duration, say_time
from assistant.slots import jsonable
from assistant.templates import named_slots

MAX_BYTES = 262_144
_GAP = re.compile(r"\{(\w+)\}")
_OPEN = re.compile(r"\[[^\]]*\]|\([^)]*\)|\{[^}]*\}|<[^>]*>")
_HEADER = re.compile(r"\s*\[{1,2}\s*([\w.]+)")
_TOPIC_LIMIT = 200


class PhrasebookError(ValueError):
    """What is wrong with a file, in one line that begins with `file:line`."""


def _several(value: Any) -> Any:
    return [value] if isinstance(value, str | dict) else value


Text = Annotated[str, Field(min_length=1, max_length=1000)]
Texts = Annotated[tuple[Text, ...], BeforeValidator(_several), Field(max_length=50)]
Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,31}$")]
Plain = str | int | float | bool


def _sendable(value: Any) -> Any:
    try:
        json.dumps(value, allow_nan=False)
    except TypeError as error:
        raise ValueError("JSON has no dates and no times: put them in quotes") from error
    return value


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class _Publish(_Part):
    topic: Annotated[
        str, Field(min_length=1, max_length=_TOPIC_LIMIT, pattern=r"^[^+#$\x00][^+#\x00]*$")
    ]
    payload: Annotated[Plain | dict[str, Any], BeforeValidator(_sendable)] = ""
    retain: bool = False


class _Answer(_Part):
    sentences: Annotated[Texts, Field(min_length=1)]
    reply: Text
    publish: Annotated[tuple[_Publish, ...], BeforeValidator(_several), Field(max_length=20)] = ()
    examples: Texts = ()
    name: Name | None = None
    defaults: dict[str, Plain] = Field(default_factory=dict)
    min_confidence: float = Field(default=0.8, ge=0, le=1)
    priority: int = 0


class _File(_Part):
    about: str = Field(default="", max_length=200)
    rules: dict[str, str] = Field(default_factory=dict)
    lists: dict[str, tuple[Text, ...] | dict[str, Texts]] = Field(default_factory=dict)
    answer: list[_Answer] = Field(min_length=1, max_length=500)


def read_phrasebook(path: Path) -> Plugin:
    """Make a plugin, named like the file, of its answers.

    Raises `PhrasebookError` that names the line; `OSError` for a file that cannot be read.
    """
    data = path.read_bytes()
    if len(data) > MAX_BYTES:
        raise PhrasebookError(f"{path}:1 {len(data)} bytes, over {MAX_BYTES}")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise PhrasebookError(f"{path}:{line} is not UTF-8") from error
    return _Reading(path, text).plugin()


class _Reading:
    """One file that becomes a plugin."""

    def __init__(self, path: Path, text: str) -> None:
        self._path, self._lines = path, text.splitlines()
        try:
            self._file = _File.model_validate(tomllib.loads(text))
        except tomllib.TOMLDecodeError as error:
            found = re.search(r" \(at line (\d+), column \d+\)", str(error))
            line = int(found[1]) if found else max(1, len(self._lines))
            said = str(error).partition(" (at ")[0]
            raise PhrasebookError(f"{path}:{line} {said}") from error
        except RecursionError as error:
            raise PhrasebookError(f"{path}:1 is nested too deeply") from error
        except ValidationError as error:
            first = error.errors()[0]
            place = first["loc"]
            name = ".".join(str(each) for each in place if isinstance(each, str))
            raise self._wrong(place, f"{name}: {first['msg']}") from error
        self._lists = {name: Choices(words) for name, words in self._file.lists.items()}

    def plugin(self) -> Plugin:
        """Build it."""
        try:
            plugin = Plugin(
                self._path.stem,
                about=self._file.about,
                rules=self._file.rules,
                topics=[_filter(each.topic) for some in self._file.answer for each in some.publish],
            )
        except ValueError as error:
            raise PhrasebookError(f"{self._path}:1 {error}") from error
        plugin.source = f"{self._path}:1"
        names: set[str] = set()
        for index, answer in enumerate(self._file.answer):
            name = answer.name or _free(_called(answer.sentences[0]), names)
            names.add(name)
            plugin.handlers.append(self._handler(index, name, answer))
        return plugin

    def _handler(self, index: int, name: str, answer: _Answer) -> Handler:
        try:
            slots = named_slots(answer.sentences, self._file.rules)
        except ValueError as error:
            raise self._wrong(("answer", index, "sentences"), str(error)) from error
        for slot, kind in slots.items():
            if not kind and slot not in self._lists:
                why = f"{{{slot}}} is none of the [lists]; free text is {{{slot}:text}}"
                raise self._wrong(("answer", index, "sentences"), why)
        self._check(index, answer, slots)
        try:
            run = _run(answer, {slot: self._lists.get(slot) for slot in slots})
        except ValueError as error:  # a word of Python's own, for instance
            raise self._wrong(("answer", index, "sentences"), str(error)) from error
        return Handler(
            name=name,
            run=run,
            templates=answer.sentences,
            examples={said: {} for said in answer.examples},
            min_confidence=answer.min_confidence,
            timeout_s=None,
            priority=answer.priority,
            fallback=None,
            source=f"{self._path}:{self._line(('answer', index))}",
        )

    def _check(self, index: int, answer: _Answer, slots: Mapping[str, str]) -> None:
        """Insist that every gap is a slot, and that nobody can speak a topic of their own."""
        named = {"defaults": set(answer.defaults), "reply": set(_GAP.findall(answer.reply))}
        topics = {gap for each in answer.publish for gap in _GAP.findall(each.topic)}
        named["publish"] = topics | {gap for each in answer.publish for gap in _gaps(each.payload)}
        for key, gaps in named.items():
            if unknown := sorted(gaps - slots.keys()):
                why = f"{key}: {{{unknown[0]}}} is in none of the sentences"
                raise self._wrong(("answer", index, key), why)
        if spoken := sorted(each for each in topics if slots[each] or each not in self._lists):
            why = f"publish: {{{spoken[0]}}} of a topic has to be one of the [lists]"
            raise self._wrong(("answer", index, "publish"), why)

    def _wrong(self, place: tuple[str | int, ...], why: str) -> PhrasebookError:
        return PhrasebookError(f"{self._path}:{self._line(place)} {why}")

    def _line(self, place: tuple[str | int, ...]) -> int:
        """Where a key stands, else its table; 1 where it cannot be told."""
        table = str(place[0]) if place else ""
        which = int(place[1]) if len(place) > 1 and isinstance(place[1], int) else 0
        heads = [n for n, line in enumerate(self._lines) if _is_head(line, table)]
        start = heads[which] if which < len(heads) else -1
        for key in (each for each in reversed(place) if isinstance(each, str) and each != table):
            for number in range(start + 1, len(self._lines)):
                if _HEADER.match(self._lines[number]):
                    break
                if re.match(rf"\s*[\"']?{re.escape(key)}[\"']?\s*[=.]", self._lines[number]):
                    return number + 1
        return max(1, start + 1)


def _is_head(line: str, table: str) -> bool:
    head = _HEADER.match(line)
    return head is not None and head[1] == table


def _run(answer: _Answer, slots: Mapping[str, Choices | None]) -> Callable[..., Any]:
    """Make the handler; its parameters are the slots."""

    async def run(turn: Turn, /, **said: Any) -> str:
        values = {**answer.defaults, **said}
        for each in answer.publish:
            payload = _fill_in(each.payload, jsonable(values))
            data = payload if isinstance(payload, str | dict) else str(payload).lower()
            await turn.mqtt.publish(_fill(each.topic, values), data, retain=each.retain)
        return _fill(answer.reply, {name: _spoken(value) for name, value in values.items()})

    kind, empty = inspect.Parameter.KEYWORD_ONLY, inspect.Parameter.empty
    parameters = [inspect.Parameter("_", inspect.Parameter.POSITIONAL_ONLY)]
    parameters += [
        inspect.Parameter(name, kind, default=answer.defaults.get(name, empty)) for name in slots
    ]
    run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    run.__annotations__ = {
        name: Annotated[str, words] for name, words in slots.items() if words is not None
    }
    return run


def _fill(text: str, values: Mapping[str, Any]) -> str:
    return _GAP.sub(lambda gap: str(values.get(gap[1], gap[0])), text)


def _fill_in(payload: Any, values: Mapping[str, Any]) -> Any:
    """Fill the gaps of a payload; one that is all gap becomes what was said, a number for one."""
    match payload:
        case dict():
            return {key: _value(value, values) for key, value in payload.items()}
        case str():
            return _fill(payload, values)
        case _:
            return payload


def _value(part: Any, values: Mapping[str, Any]) -> Any:
    match part:
        case str() if (whole := _GAP.fullmatch(part)) and whole[1] in values:
            return values[whole[1]]
        case list():
            return [_value(each, values) for each in part]
        case _:
            return _fill_in(part, values)


def _gaps(part: Any) -> set[str]:
    match part:
        case str():
            return set(_GAP.findall(part))
        case dict():
            return set().union(*(_gaps(each) for each in part.values()))
        case list():
            return set().union(*(_gaps(each) for each in part))
        case _:
            return set()


def _spoken(value: Any) -> str:
    match value:
        case timedelta():
            return say_duration(value)
        case time():
            return say_time(value)
        case float() if value.is_integer():
            return str(int(value))
        case _:
            return str(value)


def _filter(topic: str) -> str:
    """What a topic with gaps may become."""
    return "/".join("+" if _GAP.search(level) else level for level in topic.split("/"))


def _called(sentence: str) -> str:
    """Name an answer by the words that its first sentence always has."""
    words = re.findall(r"[a-z0-9]+", _OPEN.sub(" ", sentence.lower().replace("'", "")))
    name = "_".join(words)[:28].strip("_")
    return name if name[:1].isalpha() else f"answer_{name}".strip("_")


def _free(name: str, taken: set[str]) -> str:
    numbers = (f"{name}_{count}" for count in range(2, 600))
    return name if name not in taken else next(each for each in numbers if each not in taken)
