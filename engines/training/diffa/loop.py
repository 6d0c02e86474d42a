"""Steps of a stage over one or several processes, with checkpoints that survive a kill."""

import json
import math
import time
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from engines.published import Diffa
from engines.training.diffa.batches import MicroBatch, MicroBatches
from engines.training.diffa.model import Loss
from engines.training.diffa.pairs import PairsError
from engines.training.diffa.processes import PATIENCE, Team
from engines.training.diffa.states import Place, write_adapters

LOG_EVERY = 20
HOPELESS = 50
"""So many steps in a row without a finite gradient, and none will come."""


class DivergedError(ValueError):
    """Gradients that are no numbers any more."""


@dataclass(frozen=True, slots=True)
class Rate:
    """Learning rate, and what goes with it."""

    learning_rate: float
    warmup: int
    decay: str
    """`linear` or `cosine`: how the rate falls to nothing after the warm-up."""
    weight_decay: float = 0.05
    clip: float = 1.0
    """Largest norm of the gradients."""

    def __post_init__(self) -> None:
        if self.decay not in ("linear", "cosine"):
            raise ValueError(f"decay is linear or cosine, not {self.decay!r}")

    def at(self, step: int, steps: int) -> float:
        """Learning rate of step number `step` of `steps`, counted from zero."""
        warmup = min(self.warmup, steps)
        if step < warmup:
            return self.learning_rate * (step + 1) / warmup
        done = (step - warmup) / max(1, steps - warmup)
        left = 1 - done if self.decay == "linear" else (1 + math.cos(math.pi * done)) / 2
        return self.learning_rate * left


@dataclass(frozen=True, slots=True)
class Plan:
    """How long, how large, how often."""

    steps: int
    micros: int
    """Micro-batches of one step, over all processes."""
    rate: Rate
    save_every: int
    workers: int
    bfloat16: bool
    until_s: float | None = None
    """Stop with a checkpoint after so long."""


@dataclass(slots=True)
class Outcome:
    """What a person should know afterwards."""

    step: int = 0
    unheard: int = 0
    """Pairs that gave their place to others since this start, over all processes."""
    examples: list[str] = field(default_factory=list)
    """Some of this process's, with the reason."""
    lost: int = 0
    """Steps without a finite gradient."""


@dataclass(frozen=True, slots=True)
class _Own(Dataset["MicroBatch | str"]):
    """The micro-batches that fall to one process, in order."""

    batches: MicroBatches
    team: Team

    def __getitem__(self, number: int) -> MicroBatch | str:
        try:
            return self.batches.draw(number * self.team.size + self.team.rank)
        except PairsError as error:
            return str(error)  # a worker's exception would come out with its whole traceback


class Trainer:
    """One stage: what moves, by which loss, on what."""

    def __init__(  # noqa: PLR0917 - what is trained, how, on what and with whom
        self,
        diffa: Diffa,
        trained: dict[str, nn.Parameter],
        loss: Loss,
        batches: MicroBatches,
        plan: Plan,
        team: Team,
    ) -> None:
        self.diffa, self.trained, self.loss = diffa, trained, loss
        self.batches, self.plan, self.team = batches, plan, team
        self._moving = list(trained.values())
        self.optimiser = _adam(self._moving, plan.rate.weight_decay)
        self.outcome = Outcome()

    def run(self, place: Place, adapters: Path) -> Outcome:
        """Train on from the state at `place`; leave it, the adapters and the log there.

        Raises `PairsError` where nothing is heard any more and `DivergedError` where gradients
        stay infinite.
        """
        first = place.resume(self.trained, self.optimiser)
        self.outcome.step = first
        self.diffa.train()
        log_path = place.path.with_suffix(".jsonl")
        log = log_path.open("a", encoding="utf-8") if self.team.leads else nullcontext()
        columns = (TextColumn("{task.description}"), BarColumn(), TimeRemainingColumn())
        with Progress(*columns, disable=not self.team.leads) as bar, log as file:
            task = bar.add_task(place.stage, total=self.plan.steps, completed=first)
            for row, stop in self._steps(first):
                step = self.outcome.step = row["step"] + 1
                if file and (row["step"] % LOG_EVERY == 0):
                    file.write(json.dumps(row) + "\n")
                    file.flush()
                bar.update(task, completed=step, description=_told(place.stage, row))
                if stop or step == self.plan.steps or step % self.plan.save_every == 0:
                    if self.team.leads:
                        # the state last: a kill between the two is mended by going on
                        write_adapters(self.diffa, adapters)
                        place.save(self.trained, self.optimiser, step)
                    self.team.wait()
                if stop:
                    break
        return self.outcome

    def _steps(self, first: int) -> Iterator[tuple[dict[str, Any], bool]]:
        """Take all steps from `first`; gives a row of the log, and whether time is up."""
        each, plan = self.plan.micros // self.team.size, self.plan
        loader = iter(self._loader(first, each))
        started, heard_s, failed = time.monotonic(), 0.0, 0
        for step in range(first, plan.steps):
            numbers = torch.zeros(4, device=self.team.device)  # loss, seconds, unheard, time is up
            for _ in range(each):
                numbers += self._learn(next(loader))
            elapsed_s = time.monotonic() - started
            if self.team.leads and plan.until_s is not None and elapsed_s > plan.until_s:
                numbers[3] = 1
            loss, seconds, unheard, stop = self.team.add_up(self._moving, numbers).tolist()
            rate = plan.rate.at(step, plan.steps)
            norm = self._move(rate)
            failed = 0 if math.isfinite(norm) else failed + 1
            self.outcome.lost += failed > 0
            if failed == HOPELESS:
                raise DivergedError(
                    f"no finite gradient in {HOPELESS} steps; lower schedule.learning_rate"
                )
            self.outcome.unheard += round(unheard)
            heard_s += seconds
            row = {"step": step, "loss": round(loss, 4), "rate": rate, "norm": round(norm, 3)}
            row |= {"audio_s_per_s": round(heard_s / elapsed_s, 1), "s": round(elapsed_s)}
            yield row | {"unheard": self.outcome.unheard}, stop > 0

    def _learn(self, batch: MicroBatch | str) -> Tensor:
        """Add the gradients of a micro-batch; returns its part of the step's numbers."""
        if isinstance(batch, str):
            raise PairsError(batch)
        self.outcome.examples += batch.unheard[: 3 - len(self.outcome.examples)]
        device = self.team.device
        with torch.autocast(device.type, torch.bfloat16, enabled=self.plan.bfloat16):
            loss = self.loss(batch.to(device)) / self.plan.micros
        loss.backward()
        counted = torch.tensor([batch.seconds, len(batch.unheard), 0.0], device=device)
        return torch.cat([loss.detach()[None], counted])

    def _move(self, rate: float) -> float:
        """Apply the gradients, unless they are no numbers; returns their norm before clipping."""
        norm = float(nn.utils.clip_grad_norm_(self._moving, self.plan.rate.clip))
        for group in self.optimiser.param_groups:
            group["lr"] = rate
        if math.isfinite(norm):
            self.optimiser.step()
        self.optimiser.zero_grad(set_to_none=True)
        return norm

    def _loader(self, first: int, each: int) -> DataLoader[MicroBatch | str]:
        workers = self.plan.workers
        return DataLoader(
            _Own(self.batches, self.team),
            batch_size=None,
            sampler=range(first * each, self.plan.steps * each),
            num_workers=workers,
            prefetch_factor=4 if workers else None,
            timeout=PATIENCE.total_seconds() if workers else 0,
        )


def _adam(moving: list[nn.Parameter], weight_decay: float) -> torch.optim.AdamW:
    """AdamW; norms and biases do not decay."""
    groups: list[dict[str, Any]] = [
        {"params": [each for each in moving if each.ndim > 1], "weight_decay": weight_decay},
        {"params": [each for each in moving if each.ndim == 1], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=0.0)


def _told(stage: str, row: dict[str, Any]) -> str:
    hours = row["audio_s_per_s"] / 3600
    text = f"{stage} loss {row['loss']:.3f} rate {row['rate']:.1e} {hours:.3g} h of audio/s"
    return f"{text} ({row['unheard']} unheard)" if row["unheard"] else text
