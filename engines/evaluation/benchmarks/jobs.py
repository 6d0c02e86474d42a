"""A benchmark run as it was asked for: what every process that takes part must know."""

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engines.checkpoints import Checkpoint
from engines.diffa import Engine
from engines.evaluation.benchmarks import cascade
from engines.evaluation.benchmarks.answering import Answerer, EngineAnswerer, how_asked
from engines.evaluation.benchmarks.catalogue import BENCHMARKS, Benchmark, Decoding
from engines.evaluation.benchmarks.chat import Chat
from engines.evaluation.benchmarks.data import Split, find
from engines.evaluation.benchmarks.modelhash import model_hash
from engines.evaluation.benchmarks.running import Part, work
from engines.evaluation.peers import open_peer, peer_name
from engines.opening import Device, placed
from engines.schedule import CacheKind

KEY = "OPENAI_API_KEY"
"""Name of the environment's key for judges and cascades."""


@dataclass(frozen=True, slots=True)
class Job:
    """Everything that decides the answers of a run, and how they are made."""

    benchmark_name: str
    data: Path
    model: str
    """A checkpoint folder, or `cascade:asr=NAME,llm=URL`."""
    out: Path
    subsets: tuple[str, ...] = ()
    limit: int | None = None
    """So many items of each split."""
    decoding: Decoding | None = None
    """None for the checkpoint's own way."""
    cache: CacheKind | None = None
    batch: int = 8
    threads: int = 2
    device: Device = "auto"

    @property
    def benchmark(self) -> Benchmark:
        """What is run."""
        return BENCHMARKS[self.benchmark_name]

    @property
    def name(self) -> str:
        """A short name of the model, for files."""
        if self.model.startswith(cascade.PREFIX):
            return f"cascade-{cascade.parse(self.model)['asr']}"
        return Path(self.model).resolve().name

    def splits(self) -> list[Split]:
        """The data; raises `BenchmarkError`."""
        return find(self.benchmark, self.data, self.subsets)

    def __call__(self, part: Part, tick: Callable[[int], None]) -> None:
        """Answer a part's items; raises `BenchmarkError`, `CheckpointError`, `OSError`."""
        work(self.splits(), self.answerer(), self.out, part=part, limit=self.limit, tick=tick)

    def answerer(self) -> Answerer:
        """Load what answers; raises `BenchmarkError`, `CheckpointError`, `PeerError`."""
        if self.model.startswith(cascade.PREFIX):
            told = cascade.parse(self.model)
            chat = Chat(told["llm"], told["model"], os.environ.get(KEY, ""))
            peer = open_peer(told["asr"])
            return cascade.CascadeAnswerer(
                peer, chat, self.benchmark, self.decoding, batch=self.batch
            )
        engine = Engine.load(Path(self.model), threads=self.threads, device=self.device)
        return EngineAnswerer(
            engine, self.benchmark, self.decoding, batch=self.batch, cache=self.cache
        )

    def described(self, splits: Sequence[Split]) -> Mapping[str, Any]:
        """What the answers depend on, wherever the files lie; the same again goes on with a run.

        Raises `BenchmarkError` and `CheckpointError`.
        """
        model: dict[str, Any]
        if self.model.startswith(cascade.PREFIX):
            recogniser = peer_name(cascade.parse(self.model)["asr"])
            model = {"model": self.model, "recogniser": recogniser}
            model |= cascade.described(self.decoding)
        else:
            checkpoint = Checkpoint.open(Path(self.model))
            model = {"model": self.name, "model_sha256": model_hash(checkpoint.folder)}
            model |= how_asked(checkpoint, self.benchmark, self.decoding, self.cache).described
            model |= {"batch": self.batch, "runs_on": " on ".join(placed(checkpoint, self.device))}
        items = {split.key: split.total for split in splits}
        return {"benchmark": self.benchmark_name, **model, "items": items, "limit": self.limit}
