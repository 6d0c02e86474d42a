"""Finds and reads the published data: parquet shards, JSON lines, or one JSON list.

Nothing is held but the rows being read: a shard is read a row group at a time, and a sound is
decoded by whoever listens to it.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from engines.evaluation.benchmarks import listed, parquet
from engines.evaluation.benchmarks.catalogue import REGIONS, Benchmark, Subset
from engines.evaluation.benchmarks.items import BenchmarkError, Item

_SHARD = re.compile(r"(?P<split>.+?)-(?P<number>\d{5})-of-(?P<count>\d{5})")
_SUFFIXES = (".parquet", ".jsonl", ".json")
_NOT_DATA = frozenset({"dataset_infos.json", "package.json"})

Wanted = Callable[[int], bool]
"""Whether the item at a place of its split is to be read."""


@dataclass(frozen=True, slots=True)
class Split:
    """One split of one subset, and the files it lies in."""

    subset: Subset
    name: str
    files: tuple[Path, ...]
    counts: tuple[int, ...]
    """Rows of each file."""
    root: Path
    """Folder that holds the sounds, where the rows only name them."""

    @property
    def total(self) -> int:
        """How many items there are."""
        return sum(self.counts)

    @property
    def key(self) -> str:
        """What the keys of its items begin with."""
        return f"{self.subset.name}/{self.name}"

    def read(self, wanted: Wanted, *, sound: bool = True) -> Iterator[Item]:
        """The wanted items in order, without their sounds if need be.

        Raises `BenchmarkError` for a damaged file and for a row that lacks a column.
        """
        first = 0
        for path, count in zip(self.files, self.counts, strict=True):
            inner = _shifted(wanted, first)
            if path.suffix == ".parquet":
                rows = parquet.rows(path, inner, self.root, sound=sound)
            else:
                rows = listed.rows(path, inner, self.root, self.subset.columns, sound=sound)
            for place, row, audio in rows:
                yield Item(self.subset.name, self.name, first + place, row, audio)
            first += count


def _shifted(wanted: Wanted, first: int) -> Wanted:
    return lambda place: wanted(first + place)


def find(benchmark: Benchmark, data: Path, subsets: tuple[str, ...] = ()) -> list[Split]:
    """The splits in a folder, or in one file, in the benchmark's own order.

    Raises `BenchmarkError` for a folder without data, a missing shard, a file without the columns
    its scorer reads, and a subset that was asked for and is not there.
    """
    if not data.exists():
        raise BenchmarkError(f"{data}: no such folder; give the one with the published data")
    asked = [benchmark.subset(name) for name in subsets]
    groups: dict[tuple[str, str], list[Path]] = {}
    for path in _files(data):
        if place := _place(benchmark, data, path):
            groups.setdefault(place, []).append(path)
    wanted = {each.name for each in asked}
    root = data if data.is_dir() else data.parent
    chosen = wanted or _chosen({subset for subset, _ in groups})
    splits = [
        _split(benchmark.subset(subset), name, paths, root)
        for (subset, name), paths in groups.items()
        if subset in chosen
    ]
    missing = wanted - {each.subset.name for each in splits}
    if missing or not splits:
        raise BenchmarkError(_nothing(benchmark, data, sorted(missing)))
    return sorted(splits, key=lambda split: _rank(benchmark, split))


def _chosen(there: set[str]) -> set[str]:
    """What is run unasked: not what another subset contains, nor what has no published scorer."""
    contained = {"alpacaeval"} if "alpacaeval_full" in there else set()
    return there - contained - {"mtbench"}


def _files(data: Path) -> list[Path]:
    if data.is_file():
        return [data]
    found = [
        path
        for path in sorted(data.rglob("*"))
        if path.suffix in _SUFFIXES and path.is_file() and path.name not in _NOT_DATA
    ]
    # a hub download keeps its bookkeeping in hidden folders
    found = [path for path in found if not any(p.startswith(".") for p in _below(data, path))]
    tables = [path for path in found if path.suffix == ".parquet"]
    lines = [path for path in found if path.suffix == ".jsonl"]
    return tables or lines or found


def _below(data: Path, path: Path) -> tuple[str, ...]:
    return path.relative_to(data).parts


def _place(benchmark: Benchmark, data: Path, path: Path) -> tuple[str, str] | None:
    """The subset and the split that a file belongs to."""
    match = _SHARD.fullmatch(path.stem)
    split = match["split"] if match else path.stem
    if len(benchmark.subsets) == 1:
        return benchmark.subsets[0].name, path.parent.name if split.isdecimal() else split
    known = {each.name for each in benchmark.subsets}
    folders = [*(_below(data, path)[:-1] if data.is_dir() else ()), *([] if match else [path.stem])]
    names = [*reversed(folders), path.parent.name, data.name]
    subset = next((name for name in names if name in known), None)
    if subset is None:
        return None
    return subset, "test" if split == subset else split


def _split(subset: Subset, name: str, paths: list[Path], root: Path) -> Split:
    shards = [_SHARD.fullmatch(path.stem) for path in paths]
    for match in shards:
        if match and int(match["count"]) < len(paths):
            folders = sorted({str(path.parent) for path in paths})
            raise BenchmarkError(
                f"{root} holds several sets of shards of {name} ({', '.join(folders[:3])}); give "
                "the folder of one benchmark"
            )
        if match and int(match["count"]) != len(paths):
            raise BenchmarkError(
                f"{paths[0].parent}: {len(paths)} of {int(match['count'])} shards of {name} are "
                "there; download the others"
            )
    counts = []
    for path in paths:
        reader = parquet if path.suffix == ".parquet" else listed
        counts.append(reader.check(path, subset.columns))
    return Split(subset, name, tuple(paths), tuple(counts), root)


def _rank(benchmark: Benchmark, split: Split) -> tuple[int, int, str]:
    order = [each.name for each in benchmark.subsets]
    region = REGIONS.index(split.name) if split.name in REGIONS else len(REGIONS)
    return order.index(split.subset.name), region, split.name


def _nothing(benchmark: Benchmark, data: Path, missing: list[str]) -> str:
    if missing:
        return f"{data}: no data of {', '.join(missing)}; download it, or leave the subset out"
    layouts = {
        "voicebench": "folders like alpacaeval_full/test-00000-of-00001.parquet",
        "mmsu": "question/mmsu.jsonl and its audio",
        "mmau": "a file like mmau-test-mini.json and its audio",
    }
    return f"{data} holds no {benchmark.title} data: it should have {layouts[benchmark.name]}"
