"""`assistant bench`: how fast this machine decodes, and how quick the assistant is on it."""

import json
from pathlib import Path
from typing import Annotated, Any

import typer
from rich import box
from rich.console import Console
from rich.table import Table

from assistant.cli.options import ConfigOption, SetOption, settings_from
from assistant.errors import UserError
from engines.memory import NotEnoughMemoryError

DECODE_EXAMPLES = """Examples:

  assistant bench decode --shape 1b --rounds 1

  assistant bench decode --shape 8b --device cuda --k 3 --batch 1,4,16 --plot decode.svg"""

app = typer.Typer(help="Benchmarks.", no_args_is_help=True)


@app.callback()
def main() -> None:
    """Time parts of the assistant on this machine."""


@app.command(epilog=DECODE_EXAMPLES)
def decode(
    shape: Annotated[str, typer.Option(help="tiny, nano, 1b or 8b; random weights.")] = "nano",
    device: Annotated[str, typer.Option(help="cpu, cuda, or auto.")] = "auto",
    dtype: Annotated[str, typer.Option(help="float32 or bfloat16; else what is fastest.")] = "",
    tokens: Annotated[int, typer.Option(min=1, help="New tokens a response.")] = 64,
    k: Annotated[int, typer.Option(min=1, help="Tokens a pass of the fastest way.")] = 4,
    batch: Annotated[str, typer.Option(help="Responses at a time: 1, or several as 1,4,16.")] = "1",
    rounds: Annotated[int, typer.Option(min=1, help="Times each way is run.")] = 3,
    threads: Annotated[int, typer.Option(min=0, help="On the CPU; 0 for all cores.")] = 0,
    plot: Annotated[Path | None, typer.Option(help="Draw tokens/s against passes (SVG).")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Compare block diffusion with its reference and with left-to-right decoding."""
    try:
        import torch

        from engines.benchmark.decode import SHAPES, Plan, bench_decode
        from engines.benchmark.plot import draw
        from engines.precision import fastest
    except ImportError as error:
        raise UserError(f"the benchmark needs torch: install assistant[torch] ({error})") from error
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    _check_choice("shape", shape, [*SHAPES])
    _check_choice("device", device, ["cpu", "cuda"])
    _check_choice("dtype", dtype, ["", "float32", "bfloat16"])
    if device == "cuda" and not torch.cuda.is_available():
        raise UserError("device cuda was asked for, but torch finds none; use --device cpu")
    if plot and not plot.absolute().parent.is_dir():
        raise UserError(f"--plot {plot}: its folder is not there; make it first")
    if threads:
        torch.set_num_threads(threads)
    plan = Plan(
        shape=shape,
        device=device,
        dtype=getattr(torch, dtype) if dtype else fastest(device),
        new_tokens=tokens,
        k=k,
        batches=_batches(batch),
        rounds=rounds,
        warm_up=int(device == "cuda"),
    )
    console = Console(stderr=True)
    try:
        with console.status("") as status:
            report = bench_decode(plan, progress=status.update)
    except NotEnoughMemoryError as error:
        raise UserError(f"shape {shape}: {error}") from error
    if plot:
        plot.write_text(draw(report), encoding="utf-8")
    if as_json:
        typer.echo(json.dumps(report, indent=2))
    else:
        _show(report)


def _check_choice(name: str, value: str, known: list[str]) -> None:
    if value not in known:
        raise UserError(f"{name} {value!r} is unknown; use one of {', '.join(filter(None, known))}")


def _batches(text: str) -> tuple[int, ...]:
    try:
        sizes = tuple(int(part) for part in text.split(","))
    except ValueError:
        sizes = ()
    if not sizes or min(sizes) < 1:
        raise UserError(f"--batch {text}: write one number, or several as 1,4,16")
    return sizes


@app.command()
def turn(
    turns: Annotated[int, typer.Option(min=1, help="Requests that are timed.")] = 21,
    idle_s: Annotated[float, typer.Option(min=1, help="Seconds of silence listened to.")] = 5.0,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
    model: Annotated[Path | None, typer.Option(help="Checkpoint folder.")] = None,
    config: ConfigOption = None,
    assignments: SetOption = None,
) -> None:
    """Time start, silence, memory and turns of the whole assistant, beside their targets."""
    settings = settings_from(config, assignments, {"engine.model": model})
    from assistant.benchmark import bench_turn

    measures = list(bench_turn(settings, turns=turns, idle_s=idle_s))
    if as_json:
        rows = {
            each.name: {
                "value": round(each.value, 2),
                "unit": each.unit,
                "target": each.target,
                "met": each.met,
            }
            for each in measures
        }
        typer.echo(json.dumps(rows, indent=2))
        return
    table = Table("measure", "value", "target", "")
    for each in measures:
        target = "" if each.target is None else f"≤ {each.target:g} {each.unit}"
        verdict = "" if each.target is None else "met" if each.met else "[red]missed[/]"
        table.add_row(each.name, f"{each.value:.1f} {each.unit}", target, verdict)
    Console().print(table)


@app.command(epilog="Example: assistant bench match --sentences 1000 --templates 200")
def match(
    sentences: Annotated[int, typer.Option(min=1, help="Sentences of each kind.")] = 500,
    templates: Annotated[
        int, typer.Option(min=0, help="Make some up until there are as many; 0 for none.")
    ] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
    config: ConfigOption = None,
    assignments: SetOption = None,
) -> None:
    """Time how the sentences of the loaded plugins are matched, in milliseconds of a core."""
    settings = settings_from(config, assignments, {})
    from assistant.loading import load_plugins
    from assistant.matching import Matcher
    from assistant.matching_benchmark import MAX_MADE_UP, bench_match, crowd

    plugins, _ = load_plugins(settings.plugins)
    missing = templates - len(Matcher([bound for each in plugins for bound in each.handlers]))
    if missing > MAX_MADE_UP:
        raise UserError(f"--templates {templates}: at most {MAX_MADE_UP} can be made up")
    if missing > 0:
        plugins, _ = load_plugins(settings.plugins, [crowd(missing)], plugins)
    matcher = Matcher.of(plugins)
    rows = list(bench_match(matcher, sentences))
    if as_json:
        report = {
            each.kind: {"p50_ms": round(each.p50_ms, 3), "p99_ms": round(each.p99_ms, 3)}
            for each in rows
        }
        typer.echo(json.dumps({"templates": len(matcher), **report}, indent=2))
        return
    table = Table(f"{len(matcher)} templates", "sentences", "p50", "p99")
    for each in rows:
        table.add_row(each.kind, str(each.count), f"{each.p50_ms:.2f} ms", f"{each.p99_ms:.2f} ms")
    Console().print(table)


def _show(report: dict[str, Any]) -> None:
    """Print the report as a table."""
    console = Console()
    console.print(
        f"{report['shape']} on {report['device']} in {report['dtype']}: "
        f"{report['parameters']:,} parameters, {report['bytes_per_pass'] / 1e6:,.0f} MB a pass, "
        f"{report['bandwidth_gb_per_s']:.0f} GB/s",
        highlight=False,
    )
    # every figure has to be readable in a terminal of 80 columns, and where there is none
    table = Table(box=box.SIMPLE_HEAD, padding=0)
    table.add_column("mode", no_wrap=True)
    for heading, _, _ in _FIGURES:
        table.add_column(heading, justify="right")
    for row in report["rows"]:
        table.add_row(row["mode"], *(f"{row[name]:{form}}" for _, name, form in _FIGURES))
    console.print(table)


_FIGURES = [
    ("batch", "batch", "d"),
    ("passes", "passes", "d"),
    ("ms a\npass", "ms_per_pass", ",.1f"),
    ("median", "ms_median_pass", ",.1f"),
    ("tokens\na second", "tokens_per_s", ",.1f"),
    ("×\nreference", "vs_reference", ".1f"),
    ("× left\nto\nright", "vs_autoregressive", ".2f"),
    ("peak\nMB", "peak_mb", ",.0f"),
]
"""Heading, name in the report and format of what is shown of each way of decoding."""
