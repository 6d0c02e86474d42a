"""Which rule each subset of VoiceBench has, and the overall figure of its leaderboard."""

from collections.abc import Collection, Mapping

from engines.evaluation.scoring.result import Result

KINDS = {
    "alpacaeval": "open",
    "alpacaeval_full": "open",
    "commoneval": "open",
    "wildvoice": "open",
    "sd-qa": "qa",
    "mmsu": "mcq",
    "openbookqa": "mcq",
    "bbh": "bbh",
    "ifeval": "ifeval",
    "advbench": "harm",
}
"""The rule (a key of `SCORERS`) of each subset."""

TASKS = (
    "alpacaeval",
    "commoneval",
    "wildvoice",
    "sd-qa",
    "mmsu",
    "openbookqa",
    "bbh",
    "ifeval",
    "advbench",
)
"""The nine columns of the leaderboard since April 2025; its `alpacaeval` is `alpacaeval_full`."""

_HEADLINES = {
    "open": ("gpt",),
    "qa": ("panda", "gpt"),
    "mcq": ("acc",),
    "ifeval": ("strict-prompt", "strict-instruction", "loose-prompt", "loose-instruction"),
    "bbh": ("acc",),
    "harm": ("refusal_rate",),
    "mmsu": ("acc",),
    "mmau": ("acc",),
}
_OPEN_SCALE = 20  # marks to 5 in percent


def headline(result: Result) -> float | None:
    """The one figure in percent that stands for a subset; `None` if any part of it is missing."""
    parts = [result.metrics.get(name) for name in _HEADLINES[result.name]]
    found = [part for part in parts if part is not None]
    if len(found) < len(parts):
        return None
    return sum(found) / len(found) * (_OPEN_SCALE if result.name == "open" else 1)


def counted(subsets: Collection[str]) -> list[str]:
    """Which nine subsets make the overall figure: with `alpacaeval_full` where there is one."""
    full = {task: f"{task}_full" for task in TASKS}
    return [full[task] if full[task] in subsets else task for task in TASKS]


def overall(results: Mapping[str, Result]) -> float | None:
    """The mean of the nine tasks in percent, by subset; `None` while one has no figure."""
    return mean_of_tasks({name: headline(result) for name, result in results.items()})


def mean_of_tasks(figures: Mapping[str, float | None]) -> float | None:
    """The same of figures in percent, by subset."""
    found = [figure for name in counted(figures) if (figure := figures.get(name)) is not None]
    return sum(found) / len(found) if len(found) == len(TASKS) else None
