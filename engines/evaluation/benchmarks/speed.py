"""How quick a run was, and how busy its engine."""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True, slots=True)
class Speed:
    """Times of all answers of a run, over every process and every restart."""

    items: int
    failed: int
    cut: int
    """Recordings longer than the model takes."""
    audio_s: float
    wall_s: float
    """Time of the processes that answered, added up."""
    busy: float
    """Share of it that the engine was encoding or denoising, or a cascade at work."""
    denoising: float | None
    """Share of it that was spent denoising: little where sounds take longer to be encoded."""
    filled: float | None
    """Share of the batch that was in use while it denoised."""
    latency_p50_s: float
    latency_p95_s: float
    """From an item's encoding to its last token, in a batch with others."""
    first_p50_s: float
    first_p95_s: float
    """To its first finished block."""
    passes_per_token: float | None
    tokens_per_s: float | None
    real_time_factor: float | None
    """Seconds of work for a second of recording."""

    def summary(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


def measure(answers: Iterable[Mapping[str, Any]]) -> Speed:
    """Add up the lines of a run's journals."""
    rows = list(answers)
    good = [row for row in rows if not row["error"]]
    audio_s = sum(row["audio_s"] for row in good)
    wall_s = sum(row.get("wall_s", 0.0) for row in rows)
    busy_s = sum(row.get("busy_s", 0.0) for row in rows)
    timed = [row for row in rows if "denoising_s" in row]
    denoising_s = sum(row["denoising_s"] for row in timed)
    filled_s = sum(row["filled_s"] for row in timed)
    tokens = sum(row["tokens"] for row in good)
    passes = sum(row["passes"] for row in good)
    took = [row["took_s"] for row in good] or [0.0]
    first = [row["first_s"] for row in good] or [0.0]
    return Speed(
        items=len(rows),
        failed=len(rows) - len(good),
        cut=sum(row["cut"] for row in good),
        audio_s=audio_s,
        wall_s=wall_s,
        busy=busy_s / wall_s if wall_s else 0.0,
        denoising=denoising_s / wall_s if timed and wall_s else None,
        filled=filled_s / denoising_s if denoising_s else None,
        latency_p50_s=float(np.quantile(took, 0.5)),
        latency_p95_s=float(np.quantile(took, 0.95)),
        first_p50_s=float(np.quantile(first, 0.5)),
        first_p95_s=float(np.quantile(first, 0.95)),
        passes_per_token=passes / tokens if tokens else None,
        tokens_per_s=tokens / wall_s if tokens and wall_s else None,
        real_time_factor=wall_s / audio_s if audio_s else None,
    )
