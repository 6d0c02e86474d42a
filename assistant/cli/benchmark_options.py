"""What the benchmark commands take: how answers are made, and how they are marked.

The fields are the options, and a command is made of them, so that each is written down once.
"""

import inspect
from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Annotated, Any

import typer

KEY = "OPENAI_API_KEY"
NANO = str(Path(__file__).parents[2] / "engines" / "nano")

_OUT = Annotated[Path, typer.Option("--out", help="The run's folder; the same one resumes.")]


@dataclass(frozen=True, slots=True, kw_only=True)
class Making:
    """How answers are made."""

    data: Annotated[
        Path | None,
        typer.Option("--data", help="Folder with the published data (parquet or JSON lines)."),
    ] = None
    model: Annotated[
        str, typer.Option("--model", help="Checkpoint folder, or cascade:asr=pocketsphinx,llm=URL.")
    ] = NANO
    subset: Annotated[
        list[str] | None,
        typer.Option("--subset", help="Only this one, as in --subset sd-qa; repeatable."),
    ] = None
    hub: Annotated[
        bool, typer.Option("--hub", help="Download what --data lacks from the Hugging Face hub.")
    ] = False
    limit: Annotated[
        int | None,
        typer.Option("--limit", min=1, help="So many items of each split, evenly spread."),
    ] = None
    batch: Annotated[int, typer.Option("--batch", min=1, help="Answers denoised together.")] = 8
    steps: Annotated[
        int | None,
        typer.Option("--steps", min=1, help="Passes a response; DIFFA's unless given."),
    ] = None
    block: Annotated[
        int | None, typer.Option("--block", min=1, help="Tokens a block; DIFFA's unless given.")
    ] = None
    tokens: Annotated[
        int | None,
        typer.Option("--tokens", min=1, help="Tokens a response; DIFFA's unless given."),
    ] = None
    own_decoding: Annotated[
        bool,
        typer.Option("--own-decoding", help="Decode as the checkpoint says, not as DIFFA was."),
    ] = False
    cache: Annotated[
        str | None,
        typer.Option("--cache", help="none (as published), prefix or dual; nano: exact."),
    ] = None
    shard: Annotated[
        str, typer.Option("--shard", help="i/n: only this part, for one machine of several.")
    ] = "1/1"
    workers: Annotated[
        int, typer.Option("--workers", min=1, help="Processes, each with a model (and a GPU).")
    ] = 1
    ray: Annotated[bool, typer.Option("--ray", help="Run the workers on a Ray cluster.")] = False
    threads: Annotated[int, typer.Option("--threads", min=1, help="CPU threads of a model.")] = 2
    device: Annotated[str, typer.Option("--device", help="auto, cpu or cuda.")] = "auto"

    @property
    def subsets(self) -> tuple[str, ...]:
        """Those that were asked for; none means all."""
        return tuple(self.subset or ())


@dataclass(frozen=True, slots=True, kw_only=True)
class Marking:
    """How answers are scored."""

    responses: Annotated[
        list[Path] | None,
        typer.Option("--responses", help="Score these responses instead (JSON lines); repeatable."),
    ] = None
    data_version: Annotated[
        str, typer.Option("--data-version", help="Which questions, as in MMAU-v05.15.25.")
    ] = ""
    judge_url: Annotated[
        str | None, typer.Option("--judge-url", help=f"OpenAI-compatible judge; key in ${KEY}.")
    ] = None
    judge_model: Annotated[
        str, typer.Option("--judge-model", help="The judge; VoiceBench's own is gpt-4o-mini.")
    ] = "gpt-4o-mini"
    judge_cache: Annotated[
        Path | None, typer.Option("--judge-cache", help="File of votes; judge.jsonl in --out.")
    ] = None
    judge_prompts: Annotated[
        Path | None,
        typer.Option("--judge-prompts", help="Other wording (TOML); see the manual."),
    ] = None
    judge_workers: Annotated[
        int, typer.Option("--judge-workers", min=1, help="Questions put to the judge at a time.")
    ] = 8
    judge_per_minute: Annotated[
        float | None,
        typer.Option("--judge-per-minute", min=0.1, help="Questions to the judge in a minute."),
    ] = None
    seed: Annotated[int, typer.Option("--seed", help="Of the guesses that rules make.")] = 0
    strict: Annotated[
        bool, typer.Option("--strict", help="Mend the official rules' known defects, and say so.")
    ] = False
    as_json: Annotated[bool, typer.Option("--json", help="Print the scores as JSON.")] = False


def command(
    run: Callable[[Path, Making, Marking], None], summary: str, without: tuple[str, ...] = ()
) -> Callable[..., None]:
    """A command that calls `run` with what it was given; the options `without` are not offered."""

    def given(out: Path, **values: Any) -> None:
        run(out, *(_filled(group, values) for group in (Making, Marking)))

    asked: Any = given
    asked.__doc__ = summary
    asked.__signature__ = inspect.Signature(list(_parameters(without)))
    return given


def _filled(group: type, values: dict[str, Any]) -> Any:
    names = {field.name for field in fields(group)}
    return group(**{name: value for name, value in values.items() if name in names})


def _parameters(without: tuple[str, ...]) -> Iterator[inspect.Parameter]:
    kind = inspect.Parameter.KEYWORD_ONLY
    yield inspect.Parameter("out", kind, annotation=_OUT)
    for group in (Making, Marking):
        for field in fields(group):
            if field.name not in without:
                own = {"default": field.default, "annotation": field.type}
                yield inspect.Parameter(field.name, kind, **own)
