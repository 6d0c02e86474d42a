"""Parquet shards with an audio column, as the Hugging Face hub has them."""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from engines.evaluation.benchmarks import packed, paths
from engines.evaluation.benchmarks.items import BenchmarkError, Sound

BATCH_ROWS = 8
"""Rows in memory at once; one may hold minutes of sound."""


def check(path: Path, columns: tuple[str, ...]) -> int:
    """How many rows a shard has; raises `BenchmarkError` unless it has sound and `columns`."""
    with _opened(path) as file:
        schema = file.schema_arrow
        there = packed.names(schema.names)
        lacking = [name for name in columns if name not in there]
        if lacking:
            raise BenchmarkError(
                f"{path} has no column {', '.join(lacking)} (it has {', '.join(schema.names)}); "
                "is it another subset's?"
            )
        if not _sounds(schema) and not any(name in schema.names for name in paths.COLUMNS):
            raise BenchmarkError(f"{path} has no audio column; download the data with its audio")
        return int(file.metadata.num_rows)


def rows(
    path: Path, wanted: Callable[[int], bool], root: Path, *, sound: bool
) -> Iterator[tuple[int, Mapping[str, Any], Sound]]:
    """Place, columns and sound of each wanted row; row groups that nobody wants are not read."""
    with _opened(path) as file:
        names = file.schema_arrow.names
        sounds = _sounds(file.schema_arrow)
        columns = names if sound else [name for name in names if name not in sounds]
        try:
            for place, row in _wanted_rows(file, columns, wanted):
                kept = {name: value for name, value in row.items() if name not in sounds}
                heard = _sound(row, sounds, root) if sound else None
                yield place, _whole(path, place, kept), heard
        except OSError as error:
            raise BenchmarkError(
                f"{path} is damaged: {_first(error)}; download it again"
            ) from error


def _whole(path: Path, place: int, row: Mapping[str, Any]) -> Mapping[str, Any]:
    try:
        return packed.unpacked(row)
    except ValueError as error:
        raise BenchmarkError(f"{path}, row {place + 1}: {error}; download it again") from error


def _wanted_rows(
    file: Any, columns: list[str], wanted: Callable[[int], bool]
) -> Iterator[tuple[int, dict[str, Any]]]:
    first = 0
    for group in range(file.num_row_groups):
        count = file.metadata.row_group(group).num_rows
        if any(wanted(place) for place in range(first, first + count)):
            place = first
            for batch in file.iter_batches(BATCH_ROWS, row_groups=[group], columns=columns):
                for offset in range(batch.num_rows):
                    if wanted(place):
                        yield place, batch.slice(offset, 1).to_pylist()[0]
                    place += 1
        first += count


def _sounds(schema: Any) -> list[str]:
    """Columns that hold sound, the one called `audio` first."""
    import pyarrow as pa

    found = [
        field.name
        for field in schema
        if pa.types.is_struct(field.type)
        and {"bytes", "path"} <= {inner.name for inner in field.type}
    ]
    return sorted(found, key=lambda name: name != "audio")


def _sound(row: Mapping[str, Any], sounds: list[str], root: Path) -> Sound:
    for name in sounds:
        value = row.get(name)
        if value and value.get("bytes"):
            return bytes(value["bytes"])
        if value and value.get("path"):
            return paths.resolve(str(value["path"]), root)
    return paths.sound_of(row, root)


def _opened(path: Path) -> Any:
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError as error:
        raise BenchmarkError(
            f"reading {path.name} needs pyarrow: pip install 'assistant[evaluate]'"
        ) from error
    try:
        # a mapped file would stay in memory, page by page, until the run ends
        return pq.ParquetFile(path, memory_map=False, pre_buffer=False, buffer_size=1 << 20)
    except (pa.ArrowException, OSError) as error:
        raise BenchmarkError(f"{path} is no parquet file: {_first(error)}") from error


def _first(error: BaseException) -> str:
    return (str(error) or type(error).__name__).splitlines()[0].removesuffix(".")
