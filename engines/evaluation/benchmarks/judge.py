"""A language model that judges open answers, with VoiceBench's questions and settings.

Three votes at temperature 0.5: an answer to a question that has a reference is right or not, any
other is worth 1 to 5. The wording is our own; it asks for the same, in the same form, so that the
votes are read by the same rules. Votes are kept on disk by the hash of what was asked: nothing is
asked twice, not even by another run that shares the file.
"""

import hashlib
import json
import re
import tomllib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engines.evaluation.benchmarks.chat import Chat, Message
from engines.evaluation.benchmarks.items import BenchmarkError
from engines.evaluation.benchmarks.journal import Journal, read

VOTES = 3
SETTINGS: Mapping[str, Any] = {
    "temperature": 0.5,
    "top_p": 0.95,
    "max_tokens": 1024,
    "frequency_penalty": 0,
    "presence_penalty": 0,
}
PROMPTS = Path(__file__).with_name("judge.toml")
TRIES = 3
"""How often a vote is asked for that cannot be read."""

_GAP = re.compile(r"\{(prompt|reference|response)\}")
_BRACKETED = re.compile(r"\[\[(\d+\.?\d*)\]\]")

Row = Mapping[str, Any]
Votes = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Verdicts:
    """What became of the rows of one subset."""

    votes: tuple[Votes | None, ...]
    """For each row, in order; None where none came that can be read."""
    asked: int
    """Rows that were not in the cache."""
    garbled: int
    """Rows that the judge gave no readable votes on, however often it was asked."""


class Judge:
    """A server that judges, and the votes it has given."""

    def __init__(
        self, chat: Chat, cache: Path, *, workers: int = 8, prompts: Path = PROMPTS
    ) -> None:
        """Ask through `chat`, `workers` at a time; votes are kept in the file `cache`.

        `prompts` may be another file with the texts of `judge.toml`.
        """
        self._chat, self._workers, self._path = chat, workers, cache
        self._prompts = _read_prompts(prompts)
        self._votes: dict[str, Votes] = {
            str(row["key"]): tuple(row["votes"]) for row in read(cache)
        }

    def judge(
        self, rows: Sequence[Row], *, tick: Callable[[int], None] = lambda _: None
    ) -> Verdicts:
        """Votes on every row; `tick` is told how many rows are done each time.

        Raises `BenchmarkError` when the server is away or refuses; the votes that came before are
        kept, and `known` finds them.
        """
        keys = [self._key(row) for row in rows]
        asks = {key: row for key, row in zip(keys, rows, strict=True) if key not in self._votes}
        times = Counter(keys)
        tick(sum(key in self._votes for key in keys))
        garbled = 0
        if asks:
            with Journal(self._path) as journal:
                for key, votes in self._ask_all(asks):
                    if votes is None:
                        garbled += times[key]
                    else:
                        journal.add([{"key": key, "votes": list(votes)}])
                        self._votes[key] = votes
                    tick(times[key])
        asked = sum(key in asks for key in keys)
        return Verdicts(tuple(self._votes.get(key) for key in keys), asked, garbled)

    def known(self, rows: Iterable[Row]) -> tuple[Votes | None, ...]:
        """The votes that are there without asking."""
        return tuple(self._votes.get(self._key(row)) for row in rows)

    def _ask_all(self, asks: Mapping[str, Row]) -> Iterator[tuple[str, Votes | None]]:
        """Ask several at a time; an error is raised once the votes under way are handed out."""
        waiting, failure = iter(asks.items()), None
        with ThreadPoolExecutor(self._workers, "benchmark judge") as pool:
            running: dict[Future[Votes | None], str] = {}
            while True:
                while failure is None and len(running) < self._workers:
                    if (ask := next(waiting, None)) is None:
                        break
                    running[pool.submit(self._ask, ask[1])] = ask[0]
                if not running:
                    break
                for future in wait(running, return_when=FIRST_COMPLETED).done:
                    key = running.pop(future)
                    if error := future.exception():
                        failure = failure or error
                    else:
                        yield key, future.result()
        if failure is not None:
            raise failure

    def _ask(self, row: Row) -> Votes | None:
        readable = _is_verdict if "reference" in row else _is_score
        votes: list[str] = []
        for _ in range(VOTES + TRIES):
            # some servers give one choice however many are asked for
            texts = self._chat.complete(self._messages(row), n=VOTES - len(votes), **SETTINGS)
            votes += [text for text in texts if readable(text)]
            if len(votes) >= VOTES:
                return tuple(votes[:VOTES])
        return None

    def _messages(self, row: Row) -> list[Message]:
        question = self._prompts["referenced" if "reference" in row else "open"]
        # all at once, for an answer may hold a brace, too
        question = _GAP.sub(lambda gap: str(row.get(gap[1], "")), question)
        system = {"role": "system", "content": self._prompts["system"]}
        return [system, {"role": "user", "content": question}]

    def _key(self, row: Row) -> str:
        asked = [self._chat.model, VOTES, dict(SETTINGS), self._messages(row)]
        return hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()


def _read_prompts(path: Path) -> Mapping[str, str]:
    try:
        texts = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise BenchmarkError(f"{path} cannot be read: {error}; give a file of TOML") from error
    for name in ("system", "open", "referenced"):
        if not isinstance(texts.get(name), str):
            raise BenchmarkError(f"{path} has no text {name}; it needs system, open, referenced")
    return texts


def _is_verdict(text: str) -> bool:
    return text.lower().strip(" .*\"'") in {"yes", "no"}


def _is_score(text: str) -> bool:
    """Whether a score can be read as the official evaluator reads one: bare, or as `[[n]]`."""
    try:
        score = float(text)
    except ValueError:
        found = _BRACKETED.search(text)
        score = float(found[1]) if found else 0.0
    return 1 <= score <= 5
