"""`assistant evaluate voicebench|mmsu|mmau|compare`: published benchmarks, run and scored."""

from functools import partial

import typer

from assistant.cli import compare
from assistant.cli.benchmark_options import command
from assistant.cli.benchmark_run import evaluate

_JUDGE = (
    "judge_url", "judge_model", "judge_cache", "judge_prompts", "judge_workers", "judge_per_minute",
)  # fmt: skip
_OF_ONE_PART = ("subset", "seed", *_JUDGE)

COMMANDS = {
    "voicebench": command(
        partial(evaluate, "voicebench"),
        "VoiceBench: nine tasks of a spoken assistant, and their overall.",
        without=("data_version",),
    ),
    "mmsu": command(
        partial(evaluate, "mmsu"),
        "MMSU: 5,000 multiple-choice questions about speech, in 47 tasks.",
        without=("data_version", *_OF_ONE_PART),
    ),
    "mmau": command(
        partial(evaluate, "mmau"),
        "MMAU: questions about sounds, music and speech.",
        without=_OF_ONE_PART,
    ),
}
EPILOGS = {
    "voicebench": "Example: assistant evaluate voicebench --data voicebench --hub "
    "--model models/diffa --out runs/diffa --judge-url https://api.openai.com/v1",
    "mmsu": "Example: assistant evaluate mmsu --data MMSU --model models/diffa --out runs/mmsu",
    "mmau": "Example: assistant evaluate mmau --data mmau-test-mini --out runs/mmau "
    "--data-version MMAU-v05.15.25",
}


def register(app: typer.Typer) -> None:
    """Add the commands to `assistant evaluate`."""
    for name, run in COMMANDS.items():
        app.command(name, epilog=EPILOGS[name])(run)
    app.command(epilog=compare.EPILOG)(compare.compare)
