"""What `assistant evaluate voicebench|mmsu|mmau` does: answer, judge, score, report."""

import os
import shlex
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from assistant.cli.train import told
from assistant.errors import UserError

if TYPE_CHECKING:
    from engines.evaluation.benchmarks.catalogue import Benchmark, Subset
    from engines.evaluation.benchmarks.data import Split
    from engines.evaluation.benchmarks.finish import Outcome
    from engines.evaluation.benchmarks.jobs import Job
    from engines.evaluation.benchmarks.scores import Response
    from engines.evaluation.benchmarks.speed import Speed

KEY = "OPENAI_API_KEY"
_CACHES = ("none", "prefix", "dual", "exact")
_DEVICES = ("auto", "cpu", "cuda")


@dataclass(frozen=True, slots=True)
class Making:
    """How answers are made."""

    data: Path | None
    model: str
    subsets: tuple[str, ...]
    hub: bool
    limit: int | None
    batch: int
    steps: int | None
    block: int | None
    tokens: int | None
    own_decoding: bool
    cache: str | None
    shard: str
    workers: int
    ray: bool
    threads: int
    device: str


@dataclass(frozen=True, slots=True)
class Marking:
    """How answers are scored."""

    responses: tuple[Path, ...]
    seed: int
    strict: bool
    version: str
    as_json: bool
    judge_url: str | None = None
    judge_model: str = ""
    judge_cache: Path | None = None
    judge_prompts: Path | None = None
    judge_workers: int = 8


@dataclass(frozen=True, slots=True)
class Answered:
    """Responses to be scored, and how they came about."""

    groups: Iterator[tuple["Subset", list["Response"]]]
    splits: Sequence["Split"]
    record: Mapping[str, Any]
    speed: "Speed | None" = None


def evaluate(name: str, out: Path, making: Making, marking: Marking) -> None:
    """Run a benchmark, or score responses made elsewhere; raises `UserError`."""
    from engines.checkpoints import CheckpointError
    from engines.evaluation.benchmarks.catalogue import BENCHMARKS

    benchmark = BENCHMARKS[name]
    try:
        with told(out):
            answered = (
                _given(benchmark, making, marking)
                if marking.responses
                else _answered(benchmark, out, making)
            )
            if answered is None:
                return
            outcome = _score(answered, out, marking)
            _publish(benchmark, outcome, answered, out, marking)
    except CheckpointError as error:
        raise UserError(f"--model: {error}") from error
    if outcome.trouble:
        raise UserError(f"{outcome.trouble}; the votes so far are kept: run it again to go on")


def _answered(benchmark: "Benchmark", out: Path, making: Making) -> Answered | None:
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
            gpus = 0.0 if making.device == "cpu" else float(bool(spread.gpus()))
            parts = part.share(making.workers)
            journals = [each.journal(job.out) for each in parts]
            spread.on_ray(job, parts, tick, journals=journals, gpus=gpus)
        elif making.workers > 1:
            spread.on_processes(job, part.share(making.workers), tick)
        else:
            job(part, tick)


def _given(benchmark: "Benchmark", making: Making, marking: Marking) -> Answered:
    """Responses made elsewhere, compared with the data where that is at hand."""
    from engines.evaluation.benchmarks.data import find
    from engines.evaluation.benchmarks.given import read_responses
    from engines.evaluation.benchmarks.own import together

    subset = making.subsets[0] if len(making.subsets) == 1 else ""
    splits = [] if making.data is None else find(benchmark, making.data, making.subsets)
    read = [read_responses(benchmark, path, subset, splits) for path in marking.responses]
    record = {"benchmark": benchmark.name, "responses": [str(path) for path in marking.responses]}
    return Answered(iter(together(benchmark, read)), splits, record)


def _score(answered: Answered, out: Path, marking: Marking) -> "Outcome":
    from engines.evaluation.benchmarks.finish import Finisher, Rules

    judge = _judge(out, marking)
    rules = Rules(judge, marking.seed, marking.strict, marking.version)
    with _judge_bar() as tick:
        return Finisher(out, rules, tick).finish(answered.groups)


def _judge(out: Path, marking: Marking) -> Any:
    from engines.evaluation.benchmarks.chat import Chat
    from engines.evaluation.benchmarks.judge import PROMPTS, Judge

    if marking.judge_url is None:
        return None
    chat = Chat(marking.judge_url, marking.judge_model, os.environ.get(KEY, ""))
    cache = marking.judge_cache or out / "judge.jsonl"
    prompts = marking.judge_prompts or PROMPTS
    return Judge(chat, cache, workers=marking.judge_workers, prompts=prompts)


def _publish(
    benchmark: "Benchmark", outcome: "Outcome", answered: Answered, out: Path, marking: Marking
) -> None:
    from engines.evaluation.benchmarks.publish import MARKDOWN, PAGE, SCORES, publish

    record = {**answered.record, "seed": marking.seed, "strict": marking.strict}
    if marking.version:
        record["data_version"] = marking.version
    if marking.judge_url:
        record["judge"] = marking.judge_model
    publish(
        benchmark,
        outcome,
        out,
        record=record,
        command=shlex.join(["assistant", *sys.argv[1:]]),
        splits=answered.splits,
        speed=answered.speed,
    )
    if marking.as_json:
        typer.echo((out / SCORES).read_text(encoding="utf-8"))
        return
    _show(benchmark, outcome)
    typer.echo(f"{out / MARKDOWN} and {out / PAGE} written")


def _show(benchmark: "Benchmark", outcome: "Outcome") -> None:
    from rich.console import Console
    from rich.table import Table

    from engines.evaluation.benchmarks.scores import overall

    table = Table(benchmark.title, "items", "score", "")
    for score in outcome.scores:
        value = "–" if score.value is None else f"{score.value:.2f}"
        remarks = [score.reason] if score.reason else []
        remarks += [f"{score.failed} without an answer"] if score.failed else []
        remarks += [f"{score.guessed} of {score.n} guessed at random"] if score.guessed else []
        table.add_row(score.title, str(score.n), value, "; ".join(remarks))
    whole = overall(outcome.scores, benchmark)
    if len(benchmark.subsets) > 1 and whole is not None:
        table.add_row("Overall", "", f"{whole:.2f}", "")
    Console().print(table)


@contextmanager
def _bar(label: str, total: int, done: int) -> Iterator[Callable[[int], None]]:
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, TimeRemainingColumn(), console=Console(stderr=True)) as bar:
        task = bar.add_task(label, total=total, completed=done)
        yield lambda more: bar.advance(task, more)


@contextmanager
def _judge_bar() -> Iterator[Callable[["Subset", int, int], None]]:
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True) as bar:
        tasks: dict[str, Any] = {}

        def tick(subset: "Subset", more: int, total: int) -> None:
            if subset.name not in tasks:
                tasks[subset.name] = bar.add_task(f"judging {subset.title}", total=total)
            bar.advance(tasks[subset.name], more)

        yield tick
