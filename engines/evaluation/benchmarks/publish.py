"""Writes a run's reports, and beside them the recordings that went worst."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import soundfile

from engines.evaluation.benchmarks import markdown, page
from engines.evaluation.benchmarks.catalogue import Benchmark
from engines.evaluation.benchmarks.data import Split
from engines.evaluation.benchmarks.finish import Bad, Outcome
from engines.evaluation.benchmarks.journal import write_whole
from engines.evaluation.benchmarks.report import BadItem, build, summary
from engines.evaluation.benchmarks.sound import SAMPLE_RATE_HZ, SoundError, decode
from engines.evaluation.benchmarks.speed import Speed

MARKDOWN, PAGE, SCORES, WORST = "report.md", "report.html", "scores.json", "worst"
_ASKED = ("prompt", "question", "transcript")
_WANTED = ("reference", "answer_gt", "answer")


def publish(
    benchmark: Benchmark,
    outcome: Outcome,
    out: Path,
    *,
    record: Mapping[str, Any],
    command: str,
    splits: Sequence[Split] = (),
    speed: Speed | None = None,
) -> None:
    """Write `report.md`, `report.html`, `scores.json` and `worst/`; raises `OSError`."""
    recordings = _recordings(outcome.worst, splits, out / WORST)
    report = build(
        benchmark,
        outcome,
        _facts(record),
        command,
        speed=speed,
        worst=[_bad_item(bad, recordings.get(bad.response.key, "")) for bad in outcome.worst],
        failures=outcome.failures,
    )
    write_whole(out / MARKDOWN, [markdown.render(report)])
    write_whole(out / PAGE, [page.render(report)])
    figures = summary(benchmark, outcome, record, speed)
    write_whole(out / SCORES, [json.dumps(figures, indent=2, ensure_ascii=False), "\n"])


def _facts(record: Mapping[str, Any]) -> dict[str, str]:
    """What a reader must know of how the answers were made."""
    shown = {name: value for name, value in record.items() if name not in {"benchmark", "items"}}
    if not shown.pop("question_told", True):
        shown["question"] = "not told: the model takes no text, and heard the recording alone"
    return {
        name.replace("_", " "): str(value).strip()
        for name, value in shown.items()
        if value is not None and value is not False and value != ""
    }


def _recordings(worst: Sequence[Bad], splits: Sequence[Split], folder: Path) -> dict[str, str]:
    """Save the sounds of items; paths from the report, by the items' keys."""
    wanted = {bad.response.key for bad in worst}
    saved: dict[str, str] = {}
    for split in splits:
        places = {int(key.split("/")[2]) for key in wanted if key.startswith(f"{split.key}/")}
        for item in split.read(places.__contains__) if places else ():
            try:
                wave = decode(item.sound)
            except SoundError:
                continue
            name = f"{item.key.replace('/', '-')}.wav"
            folder.mkdir(parents=True, exist_ok=True)
            soundfile.write(folder / name, wave, SAMPLE_RATE_HZ)
            saved[item.key] = f"{folder.name}/{name}"
    return saved


def _bad_item(bad: Bad, audio: str) -> BadItem:
    row = bad.response.row
    return BadItem(
        key=bad.response.key,
        title=bad.title,
        asked=_first(row, _ASKED),
        answered=str(row.get("response", "")),
        wanted=_first(row, _WANTED),
        score=str(row["error"]) if bad.response.failed else f"score {bad.score:g}",
        audio=audio,
    )


def _first(row: Mapping[str, Any], names: Sequence[str]) -> str:
    return next((str(row[name]) for name in names if row.get(name)), "")
