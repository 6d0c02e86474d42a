"""Two runs of one benchmark, item by item: what changed, and how surely."""

import json
import math
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engines.evaluation.scoring import counted

Floats = NDArray[np.float64]

ITEMS, SCORES = "items.jsonl", "scores.json"
ROUNDS = 2000
_AT_ONCE = 100  # rounds drawn at a time, so that memory does not grow with the items
_OPEN_SCALE = 20  # marks to 5 in percent
_MUST_AGREE = ("seed", "strict", "judge", "data_version")
_MIXED = frozenset({"ifeval", "qa"})


class ComparisonError(ValueError):
    """Two folders that cannot be compared; the message names the file and the remedy."""


@dataclass(frozen=True, slots=True)
class Run:
    """The scored items of one run."""

    folder: Path
    benchmark: str
    titles: Mapping[str, str]
    """Of each subset."""
    kinds: Mapping[str, str]
    """The rule of each subset."""
    items: Mapping[str, Mapping[str, float | None]]
    """By subset and key, in percent; `None` where an item was not scored."""
    settings: Mapping[str, Any]
    """How it was made."""


@dataclass(frozen=True, slots=True)
class Difference:
    """One subset in both runs; all figures in percent, the difference is second less first."""

    subset: str
    title: str
    n: int
    """Items scored in both."""
    first: float
    second: float
    difference: float
    low: float
    """The 95 % interval of the difference, by the bootstrap over items."""
    high: float
    better: int
    """Items that the second run has better."""
    worse: int

    @property
    def sure(self) -> bool:
        """Whether the interval leaves out no difference at all."""
        return self.low > 0 or self.high < 0


@dataclass(frozen=True, slots=True)
class Comparison:
    """All that two runs share."""

    first: Path
    second: Path
    benchmark: str
    subsets: tuple[Difference, ...]
    overall: Difference | None
    """The mean of the subsets that count, where more than one does."""
    changed: tuple[str, ...] = ()
    """Keys of the items that changed most, for each subset in turn."""
    notes: tuple[str, ...] = field(default=())

    def summary(self) -> dict[str, Any]:
        """The same for a program."""
        return asdict(self) | {"first": str(self.first), "second": str(self.second)}


def read_run(folder: Path) -> Run:
    """The items that `assistant evaluate` wrote into a folder; raises `ComparisonError`."""
    summary = _summary(folder / SCORES)
    kinds = {str(one.get("subset")): str(one.get("kind")) for one in summary["scores"]}
    items: dict[str, dict[str, float | None]] = {}
    for key, score in _scores(folder / ITEMS):
        subset = key.split("/", 1)[0]
        scale = _OPEN_SCALE if kinds.get(subset) == "open" else 100
        items.setdefault(subset, {})[key] = None if score is None else scale * score
    return Run(
        folder=folder,
        benchmark=str(summary["benchmark"]),
        titles={str(one.get("subset")): str(one.get("title")) for one in summary["scores"]},
        kinds=kinds,
        items=items,
        settings=summary.get("run") or {},
    )


def compare(first: Run, second: Run, *, seed: int = 0) -> Comparison:
    """The paired differences of two runs, of each subset and of those that make the overall.

    Only items scored in both are compared. Raises `ComparisonError` where there are none.
    """
    if first.benchmark != second.benchmark:
        raise ComparisonError(
            f"{first.folder} is a run of {first.benchmark}, {second.folder} of {second.benchmark}"
        )
    rng = np.random.default_rng(seed)
    counts = set(counted(first.items) if first.benchmark == "voicebench" else first.items)
    found: list[Difference] = []
    drawn: list[Floats] = []
    changed: list[str] = []
    for subset in first.items:
        pairs = _pairs(first.items[subset], second.items.get(subset, {}))
        if not pairs:
            continue
        values = np.array(list(pairs.values()))  # [items, 2]
        means = _bootstrap(values[:, 1] - values[:, 0], rng)
        title = first.titles.get(subset, subset)
        found.append(_difference(subset, title, values, means))
        if subset in counts:
            drawn.append(means)
        most = sorted(pairs, key=lambda key: -abs(pairs[key][1] - pairs[key][0]))
        changed += [key for key in most[:3] if pairs[key][0] != pairs[key][1]]
    if not found:
        raise ComparisonError(
            f"{first.folder} and {second.folder} share no scored item; "
            "they must be runs on the same data, judged where it needs a judge"
        )
    return Comparison(
        first=first.folder,
        second=second.folder,
        benchmark=first.benchmark,
        subsets=tuple(found),
        overall=_overall([one for one in found if one.subset in counts], drawn),
        changed=tuple(changed),
        notes=tuple(_notes(first, second)),
    )


def _pairs(
    first: Mapping[str, float | None], second: Mapping[str, float | None]
) -> dict[str, tuple[float, float]]:
    both = {}
    for key, one in first.items():
        other = second.get(key)
        if one is not None and other is not None:
            both[key] = (one, other)
    return both


def _bootstrap(differences: Floats, rng: np.random.Generator) -> Floats:
    """The mean difference in each of `ROUNDS` draws of as many items, [rounds]."""
    count = len(differences)
    parts = [
        differences[rng.integers(count, size=(_AT_ONCE, count))].mean(axis=1)
        for _ in range(ROUNDS // _AT_ONCE)
    ]
    return np.concatenate(parts)


def _difference(subset: str, title: str, values: Floats, means: Floats) -> Difference:
    low, high = np.quantile(means, [0.025, 0.975])
    first, second = values.mean(axis=0)
    return Difference(
        subset=subset,
        title=title,
        n=len(values),
        first=float(first),
        second=float(second),
        difference=float((values[:, 1] - values[:, 0]).mean()),
        low=float(low),
        high=float(high),
        better=int((values[:, 1] > values[:, 0]).sum()),
        worse=int((values[:, 1] < values[:, 0]).sum()),
    )


def _overall(parts: list[Difference], drawn: list[Floats]) -> Difference | None:
    """Each subset weighs the same, and is drawn anew on its own."""
    if len(parts) < 2:
        return None
    low, high = np.quantile(np.mean(drawn, axis=0), [0.025, 0.975])
    return Difference(
        subset="",
        title=f"mean of {len(parts)}",
        n=sum(part.n for part in parts),
        first=float(np.mean([part.first for part in parts])),
        second=float(np.mean([part.second for part in parts])),
        difference=float(np.mean([part.difference for part in parts])),
        low=float(low),
        high=float(high),
        better=sum(part.better for part in parts),
        worse=sum(part.worse for part in parts),
    )


def _notes(first: Run, second: Run) -> Iterator[str]:
    for subset in sorted({*first.items, *second.items}):
        one, other = first.items.get(subset, {}), second.items.get(subset, {})
        runs = Counter(
            (one.get(key) is not None) + (other.get(key) is not None) for key in {*one, *other}
        )
        if runs[1]:
            yield f"{subset}: {runs[1]} items are scored in one run only, and left out"
        if runs[0]:
            yield f"{subset}: {runs[0]} items are scored in neither run, and left out"
    for name in _MUST_AGREE:
        settings = first.settings.get(name), second.settings.get(name)
        if settings[0] != settings[1]:
            yield f"the runs differ in {name}: {settings[0]} and {settings[1]}"
    mixed = sorted(_MIXED & {first.kinds.get(subset, "") for subset in first.items})
    if mixed:
        yield f"{' and '.join(mixed)}: means over items, which the published figure is not quite"


def _summary(path: Path) -> dict[str, Any]:
    try:
        held = json.loads(path.read_text(encoding="utf-8"))
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        raise ComparisonError(f"{path}: no JSON; score the run again") from error
    except OSError as error:
        raise ComparisonError(
            f"{path}: {error.strerror}; name the --out folder of a finished run"
        ) from error
    scores = held.get("scores") if isinstance(held, dict) else None
    if not isinstance(scores, list) or not all(isinstance(one, dict) for one in scores):
        raise ComparisonError(f"{path}: not written by assistant evaluate")
    if "benchmark" not in held:
        raise ComparisonError(f"{path}: says no benchmark")
    return dict(held)


def _scores(path: Path) -> Iterator[tuple[str, float | None]]:
    seen: set[str] = set()
    try:
        with path.open(encoding="utf-8") as lines:
            for number, line in enumerate(lines, 1):
                key, score = _item(path, number, line)
                if key in seen:
                    raise ComparisonError(f"{path}:{number}: item {key} is there twice")
                seen.add(key)
                yield key, score
    except UnicodeDecodeError as error:
        raise ComparisonError(f"{path}: not text") from error
    except OSError as error:
        raise ComparisonError(
            f"{path}: {error.strerror}; name the --out folder of a finished run"
        ) from error


def _item(path: Path, number: int, line: str) -> tuple[str, float | None]:
    try:
        row = json.loads(line)
        key, score = row["item"], row["score"]
        if isinstance(key, str) and (score is None or math.isfinite(score)):
            return key, score
    except (json.JSONDecodeError, KeyError, TypeError):
        pass
    raise ComparisonError(f"{path}:{number}: not an item with a score")
