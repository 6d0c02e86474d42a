"""One training run: steps, schedule, progress bar, checkpoints that survive a kill.

A batch is drawn from the seed and the step number alone, so a run that was killed goes on exactly
where its last checkpoint stood.
"""

import json
import math
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal, Protocol, Self, TextIO

import torch
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from engines.training.optimisers import Optimisers
from engines.training.saving import resume, save

Device = Literal["auto", "cpu", "cuda"]

LOG_EVERY = 20
"""Steps between two lines of the log."""
HOPELESS = 50
"""So many steps in a row without a finite gradient, and none will come."""


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
    first = resume(path, stage, model, optimisers)
    loader = DataLoader(
        _Steps(batches, range(first, schedule.steps)),
        batch_size=None,
        num_workers=workers,
        prefetch_factor=6 if workers == 1 else 3,
        worker_init_fn=_one_thread,
    )
    lost = _Lost()
    model.train()
    with _Journal.of(stage, folder, range(first, schedule.steps)) as journal:
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
            journal.heard_s += batch.get("seconds", 0.0)
            if step % LOG_EVERY == 0:
                journal.note(step, scalars, rate=rate, norm=norm, lost=lost.steps)
            out_of_time = until_s is not None and journal.elapsed_s > until_s
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


class _Journal:
    """How training goes: a bar for whoever looks on, a line of JSON for the curves."""

    def __init__(self, stage: str, log: TextIO, bar: Progress, steps: range) -> None:
        self.heard_s = 0.0
        """Audio heard so far."""
        self._stage, self._log, self._bar = stage, log, bar
        self._task = bar.add_task(stage, total=steps.stop, completed=steps.start)
        self._started = time.monotonic()

    @classmethod
    @contextmanager
    def of(cls, stage: str, folder: Path, steps: range) -> Iterator[Self]:
        """A journal of so many steps, in `STAGE.jsonl`, behind what it holds already."""
        columns = (TextColumn("{task.description}"), BarColumn(), TimeRemainingColumn())
        with Progress(*columns) as bar, (folder / f"{stage}.jsonl").open("a") as log:
            yield cls(stage, log, bar, steps)

    @property
    def elapsed_s(self) -> float:
        return time.monotonic() - self._started

    def note(
        self, step: int, scalars: Mapping[str, Tensor], *, rate: float, norm: float, lost: int
    ) -> None:
        elapsed_s = self.elapsed_s
        row = {name: round(float(value.detach()), 4) for name, value in scalars.items()}
        row |= {"step": step, "rate": round(rate, 6), "norm": round(norm, 2)}
        row |= {"audio_s_per_s": round(self.heard_s / elapsed_s, 1), "s": round(elapsed_s)}
        row |= {"lost": lost} if lost else {}
        self._log.write(json.dumps(row) + "\n")
        self._log.flush()
        described = _described(self._stage, row, rate)
        self._bar.update(self._task, completed=step + 1, description=described)


def _described(stage: str, row: Mapping[str, Any], rate: float) -> str:
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
