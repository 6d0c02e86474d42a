"""`assistant evaluate voicebench|mmsu|mmau|compare`: published benchmarks, run and scored."""

from pathlib import Path
from typing import Annotated

import typer

from assistant.cli import compare
from assistant.cli.benchmark_run import KEY, Making, Marking, evaluate

NANO = str(Path(__file__).parents[2] / "engines" / "nano")

DataOption = Annotated[
    Path | None,
    typer.Option("--data", help="Folder with the published data (parquet or JSON lines)."),
]
OutOption = Annotated[Path, typer.Option("--out", help="The run's folder; the same one resumes.")]
ModelOption = Annotated[
    str,
    typer.Option("--model", help="Checkpoint folder, or cascade:asr=pocketsphinx,llm=URL."),
]
HubOption = Annotated[
    bool, typer.Option("--hub", help="Download what --data lacks from the Hugging Face hub.")
]
ResponsesOption = Annotated[
    list[Path] | None,
    typer.Option("--responses", help="Score these responses instead (JSON lines); repeatable."),
]
LimitOption = Annotated[
    int | None, typer.Option("--limit", min=1, help="So many items of each split, evenly spread.")
]
BatchOption = Annotated[int, typer.Option("--batch", min=1, help="Answers denoised together.")]
StepsOption = Annotated[
    int | None, typer.Option("--steps", min=1, help="Passes a response; DIFFA's unless given.")
]
BlockOption = Annotated[
    int | None, typer.Option("--block", min=1, help="Tokens a block; DIFFA's unless given.")
]
TokensOption = Annotated[
    int | None, typer.Option("--tokens", min=1, help="Tokens a response; DIFFA's unless given.")
]
OwnOption = Annotated[
    bool, typer.Option("--own-decoding", help="Decode as the checkpoint says, not as DIFFA was.")
]
CacheOption = Annotated[
    str | None, typer.Option("--cache", help="none (as published), prefix or dual; nano: exact.")
]
ShardOption = Annotated[
    str, typer.Option("--shard", help="i/n: only this part, for one machine of several.")
]
WorkersOption = Annotated[
    int, typer.Option("--workers", min=1, help="Processes, each with a model (and a GPU).")
]
RayOption = Annotated[bool, typer.Option("--ray", help="Run the workers on a Ray cluster.")]
ThreadsOption = Annotated[int, typer.Option("--threads", min=1, help="CPU threads of a model.")]
DeviceOption = Annotated[str, typer.Option("--device", help="auto, cpu or cuda.")]
SeedOption = Annotated[int, typer.Option("--seed", help="Of the guesses that rules make.")]
StrictOption = Annotated[
    bool, typer.Option("--strict", help="Mend the official rules' known defects, and say so.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print the scores as JSON.")]
JudgeUrlOption = Annotated[
    str | None, typer.Option("--judge-url", help=f"OpenAI-compatible judge; key in ${KEY}.")
]
JudgeModelOption = Annotated[
    str, typer.Option("--judge-model", help="The judge; VoiceBench's own is gpt-4o-mini.")
]
JudgeCacheOption = Annotated[
    Path | None, typer.Option("--judge-cache", help="File of votes; judge.jsonl in --out.")
]
JudgePromptsOption = Annotated[
    Path | None, typer.Option("--judge-prompts", help="Other wording (TOML); see the manual.")
]
JudgeWorkersOption = Annotated[
    int, typer.Option("--judge-workers", min=1, help="Questions put to the judge at a time.")
]
SubsetOption = Annotated[
    list[str] | None,
    typer.Option("--subset", help="Only this one, as in --subset sd-qa; repeatable."),
]
VersionOption = Annotated[
    str, typer.Option("--data-version", help="Which questions, as in MMAU-v05.15.25.")
]


def voicebench(
    out: OutOption,
    data: DataOption = None,
    model: ModelOption = NANO,
    subset: SubsetOption = None,
    responses: ResponsesOption = None,
    hub: HubOption = False,
    limit: LimitOption = None,
    judge_url: JudgeUrlOption = None,
    judge_model: JudgeModelOption = "gpt-4o-mini",
    judge_cache: JudgeCacheOption = None,
    judge_prompts: JudgePromptsOption = None,
    judge_workers: JudgeWorkersOption = 8,
    batch: BatchOption = 8,
    steps: StepsOption = None,
    block: BlockOption = None,
    tokens: TokensOption = None,
    own_decoding: OwnOption = False,
    cache: CacheOption = None,
    shard: ShardOption = "1/1",
    workers: WorkersOption = 1,
    ray: RayOption = False,
    threads: ThreadsOption = 2,
    device: DeviceOption = "auto",
    seed: SeedOption = 0,
    strict: StrictOption = False,
    as_json: JsonOption = False,
) -> None:
    """VoiceBench: nine tasks of a spoken assistant, and their overall."""
    making = Making(
        data, model, tuple(subset or ()), hub, limit, batch, steps, block, tokens, own_decoding,
        cache, shard, workers, ray, threads, device,
    )  # fmt: skip
    marking = Marking(
        tuple(responses or ()), seed, strict, "", as_json, judge_url, judge_model, judge_cache,
        judge_prompts, judge_workers,
    )  # fmt: skip
    evaluate("voicebench", out, making, marking)


def mmsu(
    out: OutOption,
    data: DataOption = None,
    model: ModelOption = NANO,
    responses: ResponsesOption = None,
    hub: HubOption = False,
    limit: LimitOption = None,
    batch: BatchOption = 8,
    steps: StepsOption = None,
    block: BlockOption = None,
    tokens: TokensOption = None,
    own_decoding: OwnOption = False,
    cache: CacheOption = None,
    shard: ShardOption = "1/1",
    workers: WorkersOption = 1,
    ray: RayOption = False,
    threads: ThreadsOption = 2,
    device: DeviceOption = "auto",
    strict: StrictOption = False,
    as_json: JsonOption = False,
) -> None:
    """MMSU: 5,000 multiple-choice questions about speech, in 47 tasks."""
    making = Making(
        data, model, (), hub, limit, batch, steps, block, tokens, own_decoding, cache, shard,
        workers, ray, threads, device,
    )  # fmt: skip
    evaluate("mmsu", out, making, Marking(tuple(responses or ()), 0, strict, "", as_json))


def mmau(
    out: OutOption,
    data: DataOption = None,
    model: ModelOption = NANO,
    responses: ResponsesOption = None,
    limit: LimitOption = None,
    data_version: VersionOption = "",
    batch: BatchOption = 8,
    steps: StepsOption = None,
    block: BlockOption = None,
    tokens: TokensOption = None,
    own_decoding: OwnOption = False,
    cache: CacheOption = None,
    shard: ShardOption = "1/1",
    workers: WorkersOption = 1,
    ray: RayOption = False,
    threads: ThreadsOption = 2,
    device: DeviceOption = "auto",
    strict: StrictOption = False,
    as_json: JsonOption = False,
) -> None:
    """MMAU: questions about sounds, music and speech."""
    making = Making(
        data, model, (), False, limit, batch, steps, block, tokens, own_decoding, cache, shard,
        workers, ray, threads, device,
    )  # fmt: skip
    evaluate("mmau", out, making, Marking(tuple(responses or ()), 0, strict, data_version, as_json))


EPILOGS = {
    "voicebench": "Example: assistant evaluate voicebench --data voicebench --hub "
    "--model models/diffa --out runs/diffa --judge-url https://api.openai.com/v1",
    "mmsu": "Example: assistant evaluate mmsu --data MMSU --model models/diffa --out runs/mmsu",
    "mmau": "Example: assistant evaluate mmau --data mmau-test-mini --out runs/mmau "
    "--data-version MMAU-v05.15.25",
}


def register(app: typer.Typer) -> None:
    """Add the commands to `assistant evaluate`."""
    for command in (voicebench, mmsu, mmau):
        app.command(epilog=EPILOGS[command.__name__])(command)
    app.command(epilog=compare.EPILOG)(compare.compare)
