"""The responses that a benchmark command scores: made by a model, or elsewhere."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from assistant.cli.bars import counting_bar
from assistant.cli.benchmark_options import Making, Marking
from assistant.errors import UserError

if TYPE_CHECKING:
    from engines.evaluation.benchmarks.catalogue import Benchmark, Subset
    from engines.evaluation.benchmarks.data import Split
    from engines.evaluation.benchmarks.jobs import Job
    from engines.evaluation.benchmarks.scores import Response
    from engines.evaluation.benchmarks.speed import Speed

_CACHES = ("none", "prefix", "dual", "exact")
_DEVICES = ("auto", "cpu", "cuda")


@dataclass(frozen=True, slots=True)
class Answered:
    """Responses to be scored, and how they came about."""

    groups: Iterator[tuple["Subset", list["Response"]]]
    splits: Sequence["Split"]
    record: Mapping[str, Any]
    speed: "Speed | None" = None


def answered(benchmark: "Benchmark", out: Path, making: Making) -> Answered | None:
    """Answer what is left to answer; None while other shards have items left."""
    from engines.evaluation.benchmarks import running
    from engines.evaluation.benchmarks.speed import measure

    job = _job(benchmark, out, making)
    splits = job.splits()
    record = job.described(splits)
    with running.settled(out, record):
        _work(job, splits, making)
    answers = running.answered(out)
    places = {split.key: sorted(running.chosen(split, making.limit)) for split in splits}
    left = sum(f"{key}/{place}" not in answers for key in places for place in places[key])
    if left:
        total = sum(map(len, places.values()))
        typer.echo(
            f"{total - left} of {total} items are answered: the report is made by the shard that "
            "finishes last, or by the same command without --shard"
        )
        return None

    def groups() -> Iterator[tuple["Subset", list["Response"]]]:
        from engines.evaluation.benchmarks.own import grouped

        yield from grouped(splits, places, answers, out, job.name)

    return Answered(groups(), splits, record, measure(answers.values()))


def _job(benchmark: "Benchmark", out: Path, making: Making) -> "Job":
    from dataclasses import replace

    from engines.evaluation.benchmarks.cascade import PREFIX
    from engines.evaluation.benchmarks.catalogue import Decoding
    from engines.evaluation.benchmarks.hub import download
    from engines.evaluation.benchmarks.jobs import Job

    if making.data is None:
        raise UserError("give the published data with --data, or responses with --responses")
    for name, value, known in (
        ("cache", making.cache, _CACHES),
        ("device", making.device, _DEVICES),
    ):
        if value is not None and value not in known:
            raise UserError(f"--{name} {value}: use one of {', '.join(known)}")
    if making.hub:
        download(benchmark, making.data, making.subsets)
    decoding: Decoding | None = None
    asked = {"steps": making.steps, "block_length": making.block, "max_new_tokens": making.tokens}
    # DIFFA's few tokens would cut short what a server says
    unlimited = making.model.startswith(PREFIX) and making.tokens is None
    if not making.own_decoding and not unlimited:
        given = {key: value for key, value in asked.items() if value is not None}
        decoding = replace(benchmark.decoding, **given)
    elif making.own_decoding and any(asked.values()):
        raise UserError("--own-decoding leaves no room for --steps, --block and --tokens")
    return Job(
        benchmark_name=benchmark.name,
        data=making.data,
        model=making.model,
        out=out,
        subsets=making.subsets,
        limit=making.limit,
        decoding=decoding,
        cache=making.cache,  # type: ignore[arg-type]
        batch=making.batch,
        threads=making.threads,
        device=making.device,  # type: ignore[arg-type]
    )


def _work(job: "Job", splits: Sequence["Split"], making: Making) -> None:
    """Answer this machine's part, with a progress bar."""
    from engines.evaluation.benchmarks import running, spread

    part = running.Part.parse(making.shard)
    answers = running.answered(job.out)
    keys = [
        f"{split.key}/{place}"
        for split in splits
        for place in running.chosen(split, making.limit, part)
    ]
    done = sum(key in answers for key in keys)
    if done == len(keys):
        return
    with _bar(f"answering {job.benchmark.title}", len(keys), done) as tick:
        if making.ray:
            parts = part.share(making.workers)
            journals = [each.journal(job.out) for each in parts]
            spread.on_ray(job, parts, tick, journals=journals, gpu=making.device != "cpu")
        elif making.workers > 1:
            spread.on_processes(job, part.share(making.workers), tick)
        else:
            job(part, tick)


def given(benchmark: "Benchmark", making: Making, marking: Marking) -> Answered:
    """Responses made elsewhere, compared with the data where that is at hand."""
    from engines.evaluation.benchmarks.data import find
    from engines.evaluation.benchmarks.given import read_responses
    from engines.evaluation.benchmarks.own import together

    subset = making.subsets[0] if len(making.subsets) == 1 else ""
    splits = [] if making.data is None else find(benchmark, making.data, making.subsets)
    paths = marking.responses or []
    read = [read_responses(benchmark, path, subset, splits) for path in paths]
    record = {"benchmark": benchmark.name, "responses": [str(path) for path in paths]}
    return Answered(iter(together(benchmark, read)), splits, record)


@contextmanager
def _bar(label: str, total: int, done: int) -> Iterator[Callable[[int], None]]:
    with counting_bar(stderr=True) as bar:
        task = bar.add_task(label, total=total, completed=done)
        yield lambda more: bar.advance(task, more)
