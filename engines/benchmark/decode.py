"""Times ways to decode on random weights: what a cache and parallel commits are worth."""

import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch

from engines.backends import rounded_up
from engines.benchmark.meters import bandwidth_gb_per_s, device_name, now, peak_mb, reset_peak
from engines.benchmark.ways import AUTOREGRESSIVE, PREFIX, REFERENCE, Way, Ways
from engines.llada import LLaDA
from engines.memory import FreeBytes, NotEnoughMemoryError, check_memory, free_bytes, lm_bytes
from engines.shapes import LLaDAConfig


def _shape(d_model: int, layers: int, heads: int, mlp: int, vocabulary: int) -> LLaDAConfig:
    return LLaDAConfig(
        d_model=d_model,
        n_layers=layers,
        n_heads=heads,
        mlp_hidden_size=mlp,
        embedding_size=vocabulary,
        mask_token_id=vocabulary - 1,
        eos_token_id=vocabulary - 2,
    )


SHAPES = {
    "tiny": _shape(64, 3, 4, 160, 704),
    "nano": _shape(256, 6, 4, 704, 1024),
    "1b": _shape(2048, 16, 16, 8192, 32_768),
    "8b": _shape(4096, 32, 32, 12_288, 126_464),
}


@dataclass(frozen=True, slots=True)
class Plan:
    """What is timed."""

    shape: str
    device: str = "cpu"
    dtype: torch.dtype = torch.float32
    new_tokens: int = 64
    """Rounded up to whole blocks."""
    block_length: int = 32
    k: int = 4
    """Tokens a pass of the fastest way."""
    batches: tuple[int, ...] = (1,)
    """Responses at a time, one set of rows for each."""
    rounds: int = 3
    """Times each way is run; the medians are reported."""
    warm_up: int = 0
    """Rounds before those, which are not counted: a GPU compiles and records in its first."""


@dataclass(frozen=True, slots=True)
class Row:
    """One way to decode, timed."""

    mode: str
    batch: int
    passes: int
    ms_per_pass: float
    ms_median_pass: float
    """Without the passes that fill a cache, where those are few."""
    tokens_per_s: float
    """Of all responses of the batch together."""
    vs_reference: float
    vs_autoregressive: float
    peak_mb: float
    """Memory at its highest in any of its passes: the model, and what the other ways keep, too."""


@dataclass(slots=True)
class _Lap:
    """One run of one way."""

    passes_s: list[float]
    peak_mb: float = 0.0

    @property
    def seconds(self) -> float:
        return sum(self.passes_s)


def bench_decode(
    plan: Plan,
    progress: Callable[[str], None] = lambda _: None,
    free: FreeBytes = free_bytes,
) -> dict[str, Any]:
    """Time all ways, pass by pass in turn, and report the median of each.

    Raises `KeyError` for an unknown shape and `NotEnoughMemoryError` for what does not fit.
    `progress` is told what begins.
    """
    config = SHAPES[plan.shape]
    block_length = min(plan.block_length, plan.new_tokens)
    new_tokens = rounded_up(plan.new_tokens, block_length)
    needed = lm_bytes(config, "float32" if plan.dtype == torch.float32 else "bfloat16")
    check_memory("this shape", needed, plan.device, free=free)
    progress(f"making {config.parameters:,} random weights")
    model = random_model(config, plan.device, plan.dtype)
    rows: list[Row] = []
    for batch in plan.batches:
        try:
            ways = Ways(model, new_tokens, block_length, batch).all(plan.k)
            for _ in range(plan.warm_up):
                progress(f"batch {batch}, warming up")
                race(ways, plan.device)
            laps: dict[str, list[_Lap]] = {name: [] for name in ways}
            for number in range(plan.rounds):
                progress(f"batch {batch}, round {number + 1} of {plan.rounds}")
                for name, lap in race(ways, plan.device).items():
                    laps[name].append(lap)
        except torch.OutOfMemoryError as error:
            raise NotEnoughMemoryError(
                f"batch {batch} found no memory on {plan.device}; time fewer responses at a time"
            ) from error
        rows += _rows(laps, batch, new_tokens)
    # the embedding is gathered, not read
    read = (config.parameters - config.d_model * config.embedding_size) * plan.dtype.itemsize
    return {
        "shape": plan.shape,
        "device": device_name(plan.device),
        "threads": torch.get_num_threads(),
        "dtype": str(plan.dtype).removeprefix("torch."),
        "prefix_positions": PREFIX,
        "new_tokens": new_tokens,
        "block_length": block_length,
        "parameters": config.parameters,
        "bytes_per_pass": read,
        "bandwidth_gb_per_s": bandwidth_gb_per_s(plan.device),
        "rows": [asdict(row) for row in rows],
    }


def race(ways: Mapping[str, Way], device: str) -> dict[str, _Lap]:
    """Run all ways to their end, each pass timed; the one that is least far goes next.

    What else the machine does meanwhile then slows all of them alike.
    """
    laps = {name: _Lap([]) for name in ways}
    running = {name: (way.run(), way.passes) for name, way in ways.items()}
    while running:
        name = min(running, key=lambda each: len(laps[each].passes_s) / running[each][1])
        reset_peak(device)
        begin = now(device)
        if next(running[name][0], _DONE) is _DONE:
            del running[name]
            continue
        laps[name].passes_s.append(now(device) - begin)
        laps[name].peak_mb = max(laps[name].peak_mb, peak_mb(device))
    return laps


_DONE = object()


def _rows(laps: Mapping[str, Sequence[_Lap]], batch: int, new_tokens: int) -> list[Row]:
    took = {name: statistics.median(lap.seconds for lap in each) for name, each in laps.items()}
    rows = []
    for name, each in laps.items():
        passes = [seconds for lap in each for seconds in lap.passes_s]
        count = len(each[0].passes_s)
        rows.append(
            Row(
                mode=name,
                batch=batch,
                passes=count,
                ms_per_pass=1000 * took[name] / count,
                ms_median_pass=1000 * statistics.median(passes),
                tokens_per_s=batch * new_tokens / took[name],
                vs_reference=took[REFERENCE] / took[name],
                vs_autoregressive=took[AUTOREGRESSIVE] / took[name],
                peak_mb=max(lap.peak_mb for lap in each),
            )
        )
    return rows


def random_model(config: LLaDAConfig, device: str, dtype: torch.dtype) -> LLaDA:
    """Make a model of a shape without reading one."""
    with torch.device("meta"):
        model = LLaDA(config).to(dtype)
    model = model.to_empty(device=device)
    torch.manual_seed(0)
    model.init_weights()
    return model.eval().requires_grad_(requires_grad=False)
