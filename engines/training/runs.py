"""What a run's folder holds: checkpoints, tokenizer, texts and speech."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

import torch
from tokenizers import Tokenizer
from torch import nn

from engines.nano_model import Nano
from engines.training.augment import Augmentation
from engines.training.batches import Mixture
from engines.training.corpus import Corpus, CorpusError, hours
from engines.training.lm import Pair
from engines.training.preparation import HUMAN, LABELLED, PAIRS, SPEECH, TOKENIZER, WORDS
from engines.training.saving import CheckpointMismatchError
from engines.training.text import read_jsonl

Stage = Literal["encoder", "lm", "align", "instruct"]
STAGES: tuple[Stage, ...] = ("encoder", "lm", "align", "instruct")


class RunError(ValueError):
    """A run's folder that lacks something; the message names it and the command that makes it."""


@dataclass(frozen=True, slots=True)
class Sound:
    """Which recordings a stage hears; see `batches.Mixture`."""

    shares: dict[str, float]
    """Of the batches, by corpus folder in the run."""
    batch_s: float = 64.0
    hearings: int = 1
    short_until: int = 0
    short_s: float = 2.0
    longest_s: float = 11.0
    augmentation: Augmentation = field(default_factory=Augmentation)


def read_state(path: Path) -> dict[str, Any]:
    """A checkpoint as the loop saved it; raises `CheckpointMismatchError` for anything else."""
    try:
        state = torch.load(path, weights_only=True, map_location="cpu")
        _ = state["stage"], state["step"], state["model"], state["optimisers"]
    except Exception as error:  # a damaged file breaks in every way there is
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        hint = "remove it to begin the stage again"
        raise CheckpointMismatchError(f"{path} is no checkpoint ({reason}); {hint}") from error
    return dict(state)


def read_left(path: Path, stage: str) -> dict[str, Any]:
    """The checkpoint that a stage left; raises `RunError` where it has not run yet."""
    if not path.is_file():
        raise RunError(f"{path} is missing; run first: assistant train {stage} {path.parent}")
    state = read_state(path)
    if state["stage"] != stage:
        raise CheckpointMismatchError(f"{path} is a checkpoint of stage {state['stage']}")
    return state


def read_weights(path: Path, stage: str) -> dict[str, torch.Tensor]:
    """The weights that a stage left; raises as `read_left`."""
    return dict(read_left(path, stage)["model"])


def check_resumable(path: Path, model: nn.Module) -> None:
    """Refuse a checkpoint whose optimisers moved other parameters than would move now."""
    if not path.is_file():
        return
    groups = [group for o in read_state(path)["optimisers"] for group in o["param_groups"]]
    moved = sum(len(group["params"]) for group in groups)
    if moved != sum(parameter.requires_grad for parameter in model.parameters()):
        raise CheckpointMismatchError(
            f"{path} is of another shape, or was trained with other parts frozen: go on with the "
            "same --unfreeze and configuration, or remove it to begin again"
        )


def under(prefix: str, weights: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The weights whose names begin with `prefix`, named without it."""
    return {k.removeprefix(prefix): v for k, v in weights.items() if k.startswith(prefix)}


def read_tokenizer(run: Path) -> Tokenizer:
    """The run's tokenizer; raises `RunError`."""
    path = run / TOKENIZER
    if not path.is_file():
        raise RunError(f"{path} is missing; run first: assistant train speech --out {run}")
    return Tokenizer.from_file(str(path))


def read_pairs(run: Path) -> list[Pair]:
    """What the language model reads; raises `RunError`."""
    path = run / PAIRS
    try:
        pairs = [_pair(row["text"], row["answer"], row["weight"]) for row in read_jsonl(path)]
    except (OSError, ValueError, LookupError, TypeError) as error:
        hint = f"run first: assistant train speech --out {run}"
        raise RunError(f"{path} cannot be read ({error}); {hint}") from error
    if not pairs:
        raise RunError(f"{path} is empty; run first: assistant train speech --out {run}")
    return pairs


def _pair(text: str, answer: str, weight: float) -> Pair:
    if not isinstance(text, str) or not isinstance(answer, str):
        raise TypeError(f"text and answer must be words, not {text!r} and {answer!r}")
    if not isinstance(weight, int | float) or not 0 < weight < math.inf:
        raise ValueError(f"weight must be a number above 0, not {weight!r}")
    return Pair(text, answer, weight)


def mixture(run: Path, sound: Sound, seed: int, notes: list[str]) -> Mixture:
    """The corpora that the run has; of others a note is left. Raises `CorpusError` for none."""
    corpora, weights = [], []
    for name, corpus in _corpora(run, sound.shares, notes):
        longest = sound.longest_s * 16_000
        if not any(clip.samples <= longest for clip in corpus):
            notes.append(f"{run / name} has no clip of {sound.longest_s:g} s or less: not heard")
            continue
        corpora.append(corpus)
        weights.append(sound.shares[name])
    if not corpora:
        hint = f"run first: assistant train speech --out {run}"
        raise CorpusError(f"{run} holds no speech to learn from; {hint}")
    return Mixture(
        corpora,
        weights,
        batch_s=sound.batch_s,
        hearings=sound.hearings,
        short_until=sound.short_until,
        short_s=sound.short_s,
        longest_s=sound.longest_s,
        seed=seed,
        augmentation=sound.augmentation,
    )


def _corpora(
    run: Path, names: Mapping[str, float], notes: list[str]
) -> Iterator[tuple[str, Corpus]]:
    for name in names:
        try:
            yield name, Corpus(run / name)
        except CorpusError as error:
            notes.append(f"not heard: {error}")


def facts(run: Path, model: Nano) -> dict[str, Any]:
    """What a model card says about how a model was made, counted from the run's own files."""
    whisper = model.config.encoder.whisper
    folders = [run / HUMAN, run / LABELLED, run / WORDS, *sorted((run / SPEECH).glob("*"))]
    corpora = {str(f.relative_to(run)): Corpus(f) for f in folders if (f / "clips.jsonl").is_file()}
    stages = [stage for stage in STAGES if (run / f"{stage}.pt").is_file()]
    return {
        "parameters": sum(parameter.numel() for parameter in model.parameters()),
        "whisper": asdict(whisper) if whisper else None,
        "steps": {stage: read_state(run / f"{stage}.pt")["step"] for stage in stages},
        "speech": {
            name: {"clips": len(corpus.clips), "hours": round(hours(corpus), 2)}
            for name, corpus in corpora.items()
        },
    }
