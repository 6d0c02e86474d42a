"""The responses of a run of our own, and of several files, gathered by subset."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from engines.evaluation.benchmarks import listed
from engines.evaluation.benchmarks.catalogue import Benchmark, Subset
from engines.evaluation.benchmarks.data import Split
from engines.evaluation.benchmarks.items import BenchmarkError
from engines.evaluation.benchmarks.running import write_responses
from engines.evaluation.benchmarks.scores import Response


def grouped(
    splits: Sequence[Split],
    places: Mapping[str, Sequence[int]],
    answers: Mapping[str, Mapping[str, Any]],
    out: Path,
    name: str,
) -> Iterator[tuple[Subset, list[Response]]]:
    """Write the run's files of responses, and give those of one subset after the other."""
    for subset in dict.fromkeys(split.subset for split in splits):
        responses: list[Response] = []
        for split in splits:
            if split.subset == subset:
                path = write_responses(split, answers, out, name)
                rows = (row for _, row in listed.records(path))
                responses += [
                    Response(f"{split.key}/{place}", split.name, row)
                    for place, row in zip(places[split.key], rows, strict=True)
                ]
        yield subset, responses


def together(
    benchmark: Benchmark, read: Iterable[tuple[Subset, list[Response]]]
) -> list[tuple[Subset, list[Response]]]:
    """Gather files of the same subset; raises `BenchmarkError` for items answered in two files."""
    groups: dict[str, list[Response]] = {}
    for subset, responses in read:
        known = {response.key for response in groups.get(subset.name, ())}
        if twice := next((each.key for each in responses if each.key in known), None):
            raise BenchmarkError(f"two files answer {twice}; give one of them")
        groups.setdefault(subset.name, []).extend(responses)
    return [(each, groups[each.name]) for each in benchmark.subsets if each.name in groups]
