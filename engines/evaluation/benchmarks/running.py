"""Runs a benchmark's items through an answerer, keeping each answer before the next is begun."""

import dataclasses
import json
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engines.evaluation.benchmarks.answering import Answerer, Group
from engines.evaluation.benchmarks.data import Split
from engines.evaluation.benchmarks.items import BenchmarkError, Item
from engines.evaluation.benchmarks.journal import Journal, read, write_whole

PARTS, RESPONSES, RECORD = "parts", "responses", "run.json"
PREDICTIONS = ("model_prediction", "model_output")
"""What a response is called by the scripts of MMAU's authors, the older and the newer."""
_SHORT = 60


@dataclass(frozen=True, slots=True)
class Part:
    """One share of the items: every `count`th; `number` is counted from 0."""

    number: int = 0
    count: int = 1

    def __str__(self) -> str:
        return f"{self.number + 1}-of-{self.count}"

    def share(self, workers: int) -> list["Part"]:
        """The same items, dealt to several workers."""
        return [
            Part(self.number + self.count * worker, self.count * workers)
            for worker in range(workers)
        ]

    def journal(self, out: Path) -> Path:
        """Where the answers of this part are kept as they come."""
        return out / PARTS / f"{self}.jsonl"

    @classmethod
    def parse(cls, text: str) -> "Part":
        """Read `i/n`, counted from 1; raises `BenchmarkError`."""
        number, _, count = text.partition("/")
        if number.isdecimal() and count.isdecimal() and 1 <= int(number) <= int(count):
            return cls(int(number) - 1, int(count))
        raise BenchmarkError(f"--shard {text}: write i/n, as in 1/4 for the first of four")


def chosen(split: Split, limit: int | None, part: Part | None = None) -> set[int]:
    """Places of the items to answer, `limit` of them evenly spread over the split.

    A part has every `count`th of them, from another one on in each split.
    """
    total = split.total
    count = total if limit is None else min(limit, total)
    places = [place * total // count for place in range(count)]
    if part is None:
        return set(places)
    first = (part.number + zlib.crc32(split.key.encode())) % part.count
    return set(places[first :: part.count])


@contextmanager
def settled(out: Path, described: Mapping[str, Any]) -> Iterator[None]:
    """Answer in a run's folder: begun here, or begun before with these very settings.

    What was begun here in vain, without an answer, is undone, so that the settings that were at
    fault may be changed. Raises `BenchmarkError` where the settings are others: answers of two
    kinds would be mixed.
    """
    begun = _settle(out, described)
    try:
        yield
    except Exception:
        if begun and not answered(out):
            (out / RECORD).unlink(missing_ok=True)
        raise


def _settle(out: Path, described: Mapping[str, Any]) -> bool:
    """Whether the folder was begun only now."""
    path = out / RECORD
    plain = json.loads(json.dumps(described, default=str))
    try:
        before = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        write_whole(path, [json.dumps(plain, indent=2, ensure_ascii=False), "\n"])
        return True
    except ValueError as error:
        raise BenchmarkError(f"{path}: damaged ({error}); name another --out") from error
    changed = [name for name in {**plain, **before} if plain.get(name) != before.get(name)]
    if changed:
        told = (_changed(name, before.get(name), plain.get(name)) for name in sorted(changed))
        raise BenchmarkError(
            f"{out} was begun with another {', '.join(told)} (see {path}); name another --out"
        )
    return False


def _changed(name: str, before: Any, now: Any) -> str:
    """A setting, and what it was and is now where that is not too long to be read."""
    values = f" ({before}, now {now})"
    return name if len(values) > _SHORT else name + values


def work(
    splits: Sequence[Split],
    answerer: Answerer,
    out: Path,
    *,
    part: Part | None = None,
    limit: int | None = None,
    tick: Callable[[int], None] = lambda _: None,
) -> None:
    """Answer what this part has left to answer; `tick` is told how many are finished each time.

    Raises `BenchmarkError` and `OSError`; what was finished before is kept.
    """
    part = part or Part()
    done = set(answered(out))
    with Journal(part.journal(out)) as journal:
        for group in answerer.answer(_left(splits, done, limit, part)):
            journal.add(_rows(group))
            tick(len(group.answers))


def _left(splits: Iterable[Split], done: set[str], limit: int | None, part: Part) -> Iterator[Item]:
    for split in splits:
        places = {
            place for place in chosen(split, limit, part) if f"{split.key}/{place}" not in done
        }
        if places:
            yield from split.read(places.__contains__)


def _rows(group: Group) -> list[dict[str, Any]]:
    rows = [dataclasses.asdict(answer) for answer in group.answers]
    # the last line carries the time of all, so that a run that is killed has its times, too
    names = ("wall_s", "busy_s", "denoising_s", "filled_s")
    times = {name: getattr(group, name) for name in names}
    rows[-1] |= {name: time_s for name, time_s in times.items() if time_s is not None}
    return rows


def answered(out: Path) -> dict[str, dict[str, Any]]:
    """Every finished answer of a run by its item's key, whoever finished it."""
    found: dict[str, dict[str, Any]] = {}
    for path in sorted((out / PARTS).glob("*.jsonl")):
        for row in read(path):
            found.setdefault(str(row.get("key")), row)
    return found


def write_responses(
    split: Split, answers: Mapping[str, Mapping[str, Any]], out: Path, name: str
) -> Path:
    """Write a split's answers as VoiceBench does: the published columns, and `response`.

    An item without one has an `error` besides.
    """
    path = out / RESPONSES / f"{name}-{split.subset.name}-{split.name}-audio.jsonl"
    places = {place for place in range(split.total) if f"{split.key}/{place}" in answers}

    def lines() -> Iterator[str]:
        for item in split.read(places.__contains__, sound=False):
            answer = answers[item.key]
            row = {**item.row, "response": answer["response"]}
            if split.subset.kind == "mmau":
                row |= dict.fromkeys(PREDICTIONS, answer["response"])
            if answer["error"]:
                row["error"] = answer["error"]
            yield json.dumps(row, ensure_ascii=False, default=str) + "\n"

    write_whole(path, lines())
    return path
