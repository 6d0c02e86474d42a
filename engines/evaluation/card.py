"""The model card: a template, filled with numbers that were measured and nothing else."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from string import Template
from typing import Any

MEASURED, CARD = "measured.json", "README.md"
_TEMPLATE = Path(__file__).with_name("card.md")
_NOT_YET = "Not measured yet."


class CardError(ValueError):
    """Measured numbers that cannot be read; the message names the file."""


def record_training(folder: Path, facts: Mapping[str, Any]) -> None:
    """Begin the numbers of newly shipped weights: those of older ones do not hold for them."""
    _write(folder, {"training": dict(facts)})


def record(folder: Path, kind: str, name: str, result: Mapping[str, Any]) -> None:
    """Add a result of `asr` or `commands` under `name` to the folder's measured numbers."""
    measured = read(folder)
    kept = {key: value for key, value in result.items() if key not in {"by", "wrong"}}
    kept["unreadable"] = len(result.get("unreadable", ()))
    measured.setdefault(kind, {})[name] = kept
    _write(folder, measured)


def read(folder: Path) -> dict[str, Any]:
    """The measured numbers of a checkpoint folder, empty where there are none."""
    path = folder / MEASURED
    if not path.is_file():
        return {}
    try:
        measured = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise CardError(f"{path} cannot be read: {error}; ship and measure again") from error
    if not isinstance(measured, dict):
        raise CardError(f"{path} is no table of numbers; ship and measure again")
    return measured


def render(measured: Mapping[str, Any]) -> str:
    """The card; the same numbers give the same text."""
    training = measured.get("training", {})
    return Template(_TEMPLATE.read_text(encoding="utf-8")).substitute(
        size=_size(training),
        asr=_asr(measured.get("asr", {})),
        commands=_accuracies(measured.get("commands", {}), "commands", "right"),
        questions=_accuracies(measured.get("questions", {}), "questions", "acceptable"),
        speed=_speed(measured.get("speed", {})),
        training=_training(training),
        **_whisper(training.get("whisper")),
    )


def write_card(folder: Path) -> Path:
    """Write the folder's card anew; returns its path."""
    path = folder / CARD
    path.write_text(render(read(folder)), encoding="utf-8")
    return path


def _whisper(shape: Mapping[str, Any] | None) -> dict[str, str]:
    """What the card says of the encoder that nano's began with, if it began with one."""
    if not shape:
        return {"encoder": "", "whisper": "", "notice": ""}
    return {
        "encoder": " that begins with Whisper's (arXiv 2212.04356; {encoder_layers} layers of "
        "{d_model})".format_map(shape),
        "whisper": "\n| Whisper, as published by OpenAI | the encoder's first weights | MIT |",
        "notice": " Those of Whisper's layers are OpenAI's, taught further; their notice is in\n"
        "`whisper.LICENSE`.",
    }


def _size(training: Mapping[str, Any]) -> str:
    if "parameters" not in training:
        return ""
    precision = training.get("precision", "fp32")
    return f" It has {training['parameters'] / 1e6:.1f} million parameters, stored as {precision}."


def _asr(results: Mapping[str, Any]) -> str:
    rows = [
        f"| {name} | {each['n']} | {_share(each, 'wer')} | {_share(each, 'cer')} |"
        for name, each in sorted(results.items())
    ]
    head = ["| recordings | clips | word errors | character errors |", "| --- | --- | --- | --- |"]
    return "\n".join([*head, *rows]) if rows else _NOT_YET


def _accuracies(results: Mapping[str, Any], what: str, right: str) -> str:
    rows = [
        f"| {name} | {each['n']} | {_share(each, 'accuracy')} |"
        for name, each in sorted(results.items())
    ]
    head = [f"| recordings | {what} | {right} |", "| --- | --- | --- |"]
    return "\n".join([*head, *rows]) if rows else _NOT_YET


def _share(result: Mapping[str, Any], key: str) -> str:
    low, high = result.get(f"{key}_interval", (None, None))
    brackets = "" if low is None else f" ({100 * low:.1f} to {100 * high:.1f})"
    return f"{100 * result[key]:.1f} %{brackets}"


def _speed(speed: Mapping[str, Any]) -> str:
    if not speed:
        return ""
    rows = [f"| {name} | {value:g} |" for name, value in sorted(speed.items())]
    return "\n".join(["\n\nSpeed, in milliseconds:", "", "| what | ms |", "| --- | --- |", *rows])


def _training(training: Mapping[str, Any]) -> str:
    if not training:
        return _NOT_YET
    speech = training.get("speech", {})
    rows = [f"| {n} | {each['clips']} | {each['hours']:g} |" for n, each in sorted(speech.items())]
    table = ["| speech | clips | hours |", "| --- | --- | --- |", *rows]
    steps = ", ".join(f"{stage} {count}" for stage, count in training.get("steps", {}).items())
    return "\n".join([*table, "", f"Steps of each stage: {steps}."])


def _write(folder: Path, measured: Mapping[str, Any]) -> None:
    text = json.dumps(measured, indent=2, ensure_ascii=False, sort_keys=True)
    half = folder / f"{MEASURED}.half"
    half.write_text(f"{text}\n", encoding="utf-8")
    os.replace(half, folder / MEASURED)
