"""Responses from a file: our own, or made elsewhere, in which case nothing is taken on trust."""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

from engines.evaluation.benchmarks import listed
from engines.evaluation.benchmarks.catalogue import REGIONS, Benchmark, Subset
from engines.evaluation.benchmarks.data import Split
from engines.evaluation.benchmarks.items import BenchmarkError, Item
from engines.evaluation.benchmarks.running import PREDICTIONS
from engines.evaluation.benchmarks.scores import Response
from engines.evaluation.scoring import Row

_SHOWN = 10
_MODALITY = re.compile(r"-(audio|text|ttft)$")


def read_responses(
    benchmark: Benchmark, path: Path, subset: str = "", splits: Sequence[Split] = ()
) -> tuple[Subset, list[Response]]:
    """The responses of one file, and the subset they are of: told, or read from its name.

    Where the data is at hand, `splits`, the responses must be of just its items. Raises
    `BenchmarkError` for a file that cannot be read, and for missing, unknown or repeated items,
    naming them.
    """
    about, split = _place(benchmark, path, subset)
    rows = []
    for number, row in listed.records(path):
        for name in PREDICTIONS:
            if name in row:
                row.setdefault("response", row[name])
        if not isinstance(row.get("response"), str):
            raise BenchmarkError(f"{path}, row {number} has no text called response")
        rows.append(row)
    if not rows:
        raise BenchmarkError(f"{path} holds no responses")
    data = [each for each in splits if each.subset.name == about.name and split in {"", each.name}]
    items = [item for each in data for item in each.read(lambda _: True, sound=False)]
    keys = _matched(path, benchmark, rows, items)
    split = split or "test"
    keys = keys or [f"{about.name}/{split}/{place}" for place in range(len(rows))]
    return about, [
        Response(key, key.split("/")[1], row) for key, row in zip(keys, rows, strict=True)
    ]


def _place(benchmark: Benchmark, path: Path, subset: str) -> tuple[Subset, str]:
    """Subset and split of names like `result-naive-sd-qa-usa-audio.jsonl`; either may be untold."""
    stem = _MODALITY.sub("", path.stem)
    names = sorted((each.name for each in benchmark.subsets), key=len, reverse=True)
    found = [
        (name, match)
        for name in ([subset] if subset else names)
        if (match := re.search(rf"(?:^|[-_]){re.escape(name)}(?:-(?P<split>.+))?$", stem))
    ]
    if subset or len(names) == 1:
        about = benchmark.subset(subset or names[0])
    elif found:
        about = benchmark.subset(found[0][0])
    else:
        raise BenchmarkError(f"{path}: its name tells no subset; say which with --subset")
    split = (found[0][1]["split"] or "") if found else ""
    return about, split if split in {*REGIONS, "test"} or about.name == "mmsu" else ""


def _matched(
    path: Path, benchmark: Benchmark, rows: Sequence[Row], items: Sequence[Item]
) -> list[str]:
    """Keys of the items that the rows answer; none where there is no data to compare with."""
    names = _names(path, benchmark, rows)
    known = _names(path, benchmark, [item.row for item in items]) if items else []
    allowed = Counter(known)
    twice = [name for name, count in Counter(names).items() if count > max(1, allowed[name])]
    if twice:
        raise BenchmarkError(f"{path} answers items twice: {_some(twice)}; keep one answer of each")
    if not items:
        return []
    if not names or not known:
        return _in_order(path, rows, items)
    there, wanted = set(names), set(known)
    if missing := [name for name in known if name not in there]:
        raise BenchmarkError(f"{path} lacks the items {_some(missing)}; answer them, too")
    if unknown := [name for name in names if name not in wanted]:
        raise BenchmarkError(f"{path} has items that the data has not: {_some(unknown)}")
    places: dict[str, list[str]] = {}
    for name, item in zip(reversed(known), reversed(items), strict=True):
        places.setdefault(name, []).append(item.key)
    return [places[name].pop() for name in names]


def _names(path: Path, benchmark: Benchmark, rows: Sequence[Row]) -> list[str]:
    """What each row calls itself; nothing where rows have no names of their own."""
    for column in (*benchmark.identity, "id", "key", "question_id"):
        named = [row.get(column) not in {None, ""} for row in rows]
        if all(named):
            return [str(row[column]) for row in rows]
        if any(named):
            nameless = [str(number) for number, there in enumerate(named, 1) if not there]
            raise BenchmarkError(f"{path}: no {column} in the rows {_some(nameless)}")
    return []


def _in_order(path: Path, rows: Sequence[Row], items: Sequence[Item]) -> list[str]:
    """Rows without names are in the data's order, as their prompts tell."""
    if len(rows) != len(items):
        raise BenchmarkError(f"{path} has {len(rows)} responses, the data {len(items)} items")
    for number, (item, row) in enumerate(zip(items, rows, strict=True), 1):
        if "prompt" in row and row["prompt"] != item.row.get("prompt"):
            raise BenchmarkError(
                f"{path}: the prompt of row {number} is not that of {item.key}; are the responses "
                "in the data's order?"
            )
    return [item.key for item in items]


def _some(names: Iterable[str]) -> str:
    listed_names = list(names)
    more = len(listed_names) - _SHOWN
    return ", ".join(listed_names[:_SHOWN]) + (f" and {more} more" if more > 0 else "")
