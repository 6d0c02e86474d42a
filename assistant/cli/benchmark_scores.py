"""From the responses of a benchmark to its report: judged, scored, published and shown."""

import os
import shlex
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from assistant.cli.benchmark_answers import Answered
from assistant.cli.benchmark_options import KEY, Marking

if TYPE_CHECKING:
    from engines.evaluation.benchmarks.catalogue import Benchmark, Subset
    from engines.evaluation.benchmarks.finish import Outcome


def score(answered: Answered, out: Path, marking: Marking) -> "Outcome":
    """Score the responses, asking a judge where one was given."""
    from engines.evaluation.benchmarks.finish import Finisher, Rules

    judge = _judge(out, marking)
    rules = Rules(judge, marking.seed, marking.strict, marking.data_version)
    with _judge_bar() as tick:
        return Finisher(out, rules, tick).finish(answered.groups)


def _judge(out: Path, marking: Marking) -> Any:
    from engines.evaluation.benchmarks.chat import Chat
    from engines.evaluation.benchmarks.judge import PROMPTS, Judge

    if marking.judge_url is None:
        return None
    key = os.environ.get(KEY, "")
    rate = marking.judge_per_minute
    chat = Chat(marking.judge_url, marking.judge_model, key, per_minute=rate)
    cache = marking.judge_cache or out / "judge.jsonl"
    prompts = marking.judge_prompts or PROMPTS
    return Judge(chat, cache, workers=marking.judge_workers, prompts=prompts)


def publish_scores(
    benchmark: "Benchmark", outcome: "Outcome", answered: Answered, out: Path, marking: Marking
) -> None:
    """Write the report, and print the figures."""
    from engines.evaluation.benchmarks.publish import MARKDOWN, PAGE, SCORES, publish

    record = {**answered.record, "seed": marking.seed, "strict": marking.strict}
    if marking.data_version:
        record["data_version"] = marking.data_version
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
