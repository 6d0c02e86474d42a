"""One training run: steps, schedule, progress bar, checkpoints that survive a kill.

A batch is drawn from the seed and the step number alone, so a run that was killed goes on exactly
where its last checkpoint stood.
"""

import json
import math
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal, Protocol

import torch
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

Device = Literal["auto", "cpu", "cuda"]

HOPELESS = 50
"""So many steps in a row without a finite gradient, and none will come."""


class CheckpointMismatchError(ValueError):
    """A checkpoint that belongs to another model or another stage."""


class DivergedError(ValueError):
    """Losses that are no numbers any more; the message names the remedy."""


class DeviceError(RuntimeError):
    """A device that was asked for and is not there; the message names the remedy."""


@dataclass(frozen=True, slots=True)
class Schedule:
    """Warm-up, plateau, decay to nothing."""

    steps: int
    learning_rate: float
    warmup: int = 200
    decay: int = 500
    """Last steps, over which the rate falls linearly."""

    def rate(self, step: int) -> float:
        """Learning rate of step number `step`, counted from zero."""
        rise = min(1.0, (step + 1) / self.warmup)
        fall = min(1.0, (self.steps - step) / max(1, self.decay))
        return self.learning_rate * rise * max(fall, 0.01)


class Batches(Protocol):
    """Where batches come from."""

    def batch(self, step: int) -> dict[str, Any]:
        """The batch of one step, the same whenever it is asked for."""
        ...


class _Steps(Dataset[dict[str, Any]]):
    """The batches of some steps, for a loader that has several made at a time."""

    def __init__(self, batches: Batches, steps: range) -> None:
        self._batches, self._steps = batches, steps

    def __len__(self) -> int:
        return len(self._steps)

    def __getitem__(self, index: int) -> dict[str, Any]:
        return self._batches.batch(self._steps[index])


class Optimisers:
    """Muon for the hidden matrices, AdamW for embeddings, norms, biases and convolutions.

    Source: Jordan et al. 2024; the rates are matched to AdamW's as in arXiv 2502.16982.
    """

    def __init__(
        self,
        model: nn.Module,
        weight_decay: float = 0.01,
        shares: Mapping[str, float] = MappingProxyType({}),
    ) -> None:
        """Parameters whose names begin with a key of `shares` move at that share of the rate.

        Those were trained before, with AdamW, which is what they go on with.
        """
        moving = [(n, p) for n, p in model.named_parameters() if p.requires_grad]
        if not moving:
            raise ValueError("nothing to train: every parameter is frozen")
        new = [(n, p) for n, p in moving if not n.startswith(tuple(shares))]
        hidden = [p for n, p in new if p.ndim == 2 and not _is_edge(n)]
        rest = [p for n, p in new if p.ndim != 2 or _is_edge(n)]
        self.all: list[torch.optim.Optimizer] = []
        for prefix, share in shares.items():
            group = {"params": [p for n, p in moving if n.startswith(prefix)], "share": share}
            slow = torch.optim.AdamW([group], betas=(0.9, 0.98), weight_decay=weight_decay)
            self.all.append(slow)
        if rest:
            adam = torch.optim.AdamW(rest, betas=(0.9, 0.98), weight_decay=weight_decay)
            self.all.append(adam)
        if hidden:
            muon = torch.optim.Muon(
                hidden, weight_decay=weight_decay, adjust_lr_fn="match_rms_adamw"
            )
            self.all.append(muon)
        self.parameters = [p for _, p in moving]

    def step(self, rate: float, clip: float = 1.0) -> float:
        """Apply the gradients at learning rate `rate`; returns their norm before clipping.

        Gradients that are no numbers move nothing: they would spoil every weight for good.
        """
        norm = float(nn.utils.clip_grad_norm_(self.parameters, clip))
        for optimiser in self.all:
            for group in optimiser.param_groups:
                group["lr"] = rate * group.get("share", 1.0)
            if math.isfinite(norm):
                optimiser.step()
            optimiser.zero_grad(set_to_none=True)
        return norm


def _is_edge(name: str) -> bool:
    """Embeddings and output heads, whose rows are words and not directions."""
    return any(part in name for part in ("wte", "transformer.ff_out", "head", "queries", "prompts"))


def run(  # noqa: PLR0917 - what is trained, on what, how, and where to
    stage: str,
    model: nn.Module,
    batches: Batches,
    loss: Callable[[nn.Module, dict[str, Any]], dict[str, Tensor]],
    schedule: Schedule,
    folder: Path,
    *,
    save_every: int = 250,
    until_s: float | None = None,
    device: str = "cpu",
    workers: int = 1,
    shares: Mapping[str, float] = MappingProxyType({}),
) -> int:
    """Train `model` and leave `STAGE.pt` (weights, optimisers, step) and `STAGE.jsonl` in `folder`.

    `loss` gives named scalars; the one called `loss` is minimised. A folder with a checkpoint of
    the same stage is resumed. `until_s` ends the run early, with a checkpoint. So many `workers`
    make the batches, which are the same whatever their number. `shares` of the learning rate go to
    parameters by the beginning of their names. Returns how many steps had no finite gradient and
    moved nothing; raises `DivergedError` where too many in a row had none.
    """
    folder.mkdir(parents=True, exist_ok=True)
    optimisers = Optimisers(model.to(device), shares=shares)
    path = folder / f"{stage}.pt"
    first = _resume(path, stage, model, optimisers)
    loader = DataLoader(
        _Steps(batches, range(first, schedule.steps)),
        batch_size=None,
        num_workers=workers,
        prefetch_factor=6 if workers == 1 else 3,
        worker_init_fn=_one_thread,
    )
    started, seconds, step, lost = time.monotonic(), 0.0, first, _Lost()
    columns = (TextColumn("{task.description}"), BarColumn(), TimeRemainingColumn())
    with Progress(*columns) as bar, (folder / f"{stage}.jsonl").open("a") as log:
        task = bar.add_task(stage, total=schedule.steps, completed=first)
        model.train()
        for step, batch in enumerate(loader, first):
            rate = schedule.rate(step)
            torch.manual_seed(step)  # dropout is the same after a resume
            with torch.autocast(device, torch.bfloat16):
                scalars = loss(model, _there(batch, device) | {"step": step})
            scalars["loss"].backward()
            norm = optimisers.step(rate)
            if not lost.goes_on(norm):
                raise DivergedError(
                    f"{stage}: no finite gradient in {HOPELESS} steps; lower "
                    f"schedule.learning_rate in {folder / stage}.toml and run it again"
                )
            seconds += batch.get("seconds", 0.0)
            elapsed = time.monotonic() - started
            if step % 20 == 0:
                row = {name: round(float(value.detach()), 4) for name, value in scalars.items()}
                speed = round(seconds / elapsed, 1)
                row |= {"step": step, "rate": round(rate, 6), "norm": round(norm, 2)}
                row |= {"audio_s_per_s": speed, "s": round(elapsed)}
                row |= {"lost": lost.steps} if lost.steps else {}
                log.write(json.dumps(row) + "\n")
                log.flush()
                bar.update(task, completed=step + 1, description=_told(stage, row, rate))
            out_of_time = until_s is not None and elapsed > until_s
            if (step + 1) % save_every == 0 or step + 1 == schedule.steps or out_of_time:
                save(path, stage, model, optimisers, step + 1)
            if out_of_time:
                break
    return lost.steps


@dataclass(slots=True)
class _Lost:
    """Steps without a finite gradient."""

    steps: int = 0
    in_a_row: int = 0

    def goes_on(self, norm: float) -> bool:
        """Count a step with gradients of such a norm; whether there is hope of better ones."""
        self.in_a_row = 0 if math.isfinite(norm) else self.in_a_row + 1
        self.steps += self.in_a_row > 0
        return self.in_a_row < HOPELESS


def _told(stage: str, row: Mapping[str, Any], rate: float) -> str:
    speed = row["audio_s_per_s"] / 3600
    heard = f" {speed:.3g} h of audio/s" if speed else ""
    lost = f" ({row['lost']} steps without a finite gradient)" if "lost" in row else ""
    return f"{stage} loss {row['loss']:.3f} rate {rate:.1e}{heard}{lost}"


def _one_thread(_worker: int) -> None:
    torch.set_num_threads(1)


def _there(batch: Mapping[str, Any], device: str) -> dict[str, Any]:
    """The batch with all its tensors on `device`."""
    return {
        name: each.to(torch.device(device)) if hasattr(each, "to") else each
        for name, each in batch.items()
    }


def choose(device: Device) -> Literal["cpu", "cuda"]:
    """What trains, `auto` decided; raises `DeviceError` for CUDA that is not there."""
    if device == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    if device == "cuda" and not torch.cuda.is_available():
        raise DeviceError(
            "no GPU that this torch can use: give --device cpu, or install torch with CUDA"
        )
    return device


def save(path: Path, stage: str, model: nn.Module, optimisers: Optimisers, step: int) -> None:
    """Write a checkpoint in one move: a kill or a crash leaves the old one or the new one."""
    state = {
        "stage": stage,
        "step": step,
        "model": model.state_dict(),
        "optimisers": [o.state_dict() for o in optimisers.all],
    }
    half = path.with_suffix(".half")
    try:
        with half.open("wb") as file:
            torch.save(state, file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(half, path)
    finally:
        half.unlink(missing_ok=True)


def _resume(path: Path, stage: str, model: nn.Module, optimisers: Optimisers) -> int:
    if not path.exists():
        return 0
    state = torch.load(path, weights_only=True, map_location="cpu")
    if state["stage"] != stage:
        raise CheckpointMismatchError(f"{path} is a checkpoint of stage {state['stage']}")
    load_weights(model, state["model"], path)
    for optimiser, saved in zip(optimisers.all, state["optimisers"], strict=True):
        optimiser.load_state_dict(saved)
    return int(state["step"])


def load_weights(model: nn.Module, weights: Mapping[str, Tensor], path: Path) -> None:
    """Load weights that must fit exactly; the error names the first that does not."""
    try:
        model.load_state_dict(weights)
    except RuntimeError as error:
        first = str(error).splitlines()[1].strip()
        raise CheckpointMismatchError(f"{path} is of another shape: {first}") from error
