"""Times ways to decode on random weights: what a cache and parallel commits are worth."""

import itertools
import resource
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor

from engines.backends import Context
from engines.backends.torch import TorchBackend
from engines.decoding import Request, decode
from engines.llada import LLaDA
from engines.schedule import CacheKind, Exactly, Schedule
from engines.shapes import LLaDAConfig

PREFIX = 250
"""Positions before the response: ten seconds of speech and a prompt."""
REFERENCE, AUTOREGRESSIVE = "reference", "autoregressive"


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
class Row:
    """One way to decode, timed."""

    mode: str
    passes: int
    ms_per_pass: float
    tokens_per_s: float
    """Of all responses of the batch together."""
    vs_reference: float
    vs_autoregressive: float
    peak_mb: float


def bench_decode(
    shape: str,
    *,
    device: str = "cpu",
    dtype: torch.dtype = torch.float32,
    new_tokens: int = 64,
    block_length: int = 32,
    k: int = 4,
    batch: int = 1,
    rounds: int = 3,
) -> dict[str, Any]:
    """Time all ways in turn, `rounds` times, and report the median of each.

    `new_tokens` are rounded up to whole blocks; `k` is the tokens a pass of the fastest way.
    Raises `KeyError` for an unknown shape.
    """
    config = SHAPES[shape]
    block_length = min(block_length, new_tokens)
    new_tokens = -(-new_tokens // block_length) * block_length
    model = _random_model(config, device, dtype)
    bench = _Bench(model, new_tokens, block_length, batch)
    ways: dict[str, Callable[[], int]] = {
        REFERENCE: bench.reference,
        "prefix": lambda: bench.cached("prefix", 1),
        "dual": lambda: bench.cached("dual", 1),
        f"dual-k{k}": lambda: bench.cached("dual", k),
        AUTOREGRESSIVE: bench.autoregressive,
    }
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    passes, peaks = {}, {}
    for _, (name, way) in itertools.product(range(rounds), ways.items()):
        _reset_peak(device)
        begin = _now(device)
        passes[name] = way()
        seconds[name].append(_now(device) - begin)
        peaks[name] = _peak_mb(device)
    took = {name: statistics.median(times) for name, times in seconds.items()}
    rows = [
        Row(
            mode=name,
            passes=passes[name],
            ms_per_pass=1000 * took[name] / passes[name],
            tokens_per_s=batch * new_tokens / took[name],
            vs_reference=took[REFERENCE] / took[name],
            vs_autoregressive=took[AUTOREGRESSIVE] / took[name],
            peak_mb=peaks[name],
        )
        for name in ways
    ]
    # the embedding is gathered, not read
    read = (config.parameters - config.d_model * config.embedding_size) * dtype.itemsize
    return {
        "shape": shape,
        "device": torch.cuda.get_device_name() if device == "cuda" else "cpu",
        "dtype": str(dtype).removeprefix("torch."),
        "batch": batch,
        "prefix_positions": PREFIX,
        "new_tokens": new_tokens,
        "parameters": config.parameters,
        "bytes_per_pass": read,
        "bandwidth_gb_per_s": _bandwidth(device),
        "rows": [asdict(row) for row in rows],
    }


class _Bench:
    """One model, one prefix, and each way to make `new_tokens` behind it."""

    def __init__(self, model: LLaDA, new_tokens: int, block_length: int, batch: int) -> None:
        self.model, self.new, self.block, self.batch = model, new_tokens, block_length, batch
        self.backend = TorchBackend(model, forbidden=[model.config.mask_token_id])
        weight = model.model.transformer.wte.weight
        self.prefix = torch.randn(PREFIX, model.config.d_model).to(weight) * weight.std()

    def cached(self, cache: CacheKind, k: int) -> int:
        """Decode as this project does; return the passes."""
        schedule = Schedule(self.new, self.block, Exactly(k), cache)
        requests = [Request(Context((), self.prefix), schedule)] * self.batch
        return max(event.passes for event in decode(self.backend, requests, batch=self.batch))

    @torch.inference_mode()
    def reference(self) -> int:
        """Recompute everything, weigh the whole vocabulary everywhere, commit one token."""
        model, mask = self.model, self.model.config.mask_token_id
        x = torch.full((self.batch, self.new), mask, device=self.prefix.device)
        for step in range(self.new):
            start = PREFIX + step // self.block * self.block
            embeddings = torch.cat([self.prefix.expand(self.batch, -1, -1), model.embed(x)], dim=1)
            logits = model.logits(model(embeddings))  # [B, PREFIX + new, V]
            logits[..., mask] = -torch.inf
            sure, tokens = logits.double().softmax(-1).max(-1)
            open_ = x[:, start - PREFIX : start - PREFIX + self.block] == mask
            at = sure[:, start : start + self.block].masked_fill(~open_, -1).argmax(-1)
            for row, column in enumerate(at.tolist()):
                x[row, start - PREFIX + column] = tokens[row, start + column]
        return self.new

    @torch.inference_mode()
    def autoregressive(self) -> int:
        """Decode left to right with a cache, a token a pass, as a causal model would."""
        model = self.model
        cache = _Growing(model.config, self.batch, PREFIX + self.new, self.prefix)
        causal = torch.ones(PREFIX, PREFIX, dtype=torch.bool, device=self.prefix.device).tril()
        hidden = model(self.prefix.expand(self.batch, -1, -1), mask=causal[None, None], cache=cache)
        for position in range(PREFIX, PREFIX + self.new):
            token = model.logits(hidden[:, -1:]).argmax(-1)  # [B, 1]
            cache.length = position
            positions = torch.full((1, 1), position, device=self.prefix.device)
            hidden = model(model.embed(token), positions=positions, cache=cache)
        return self.new


class _Growing:
    """A preallocated cache that is filled from the left."""

    def __init__(self, config: LLaDAConfig, batch: int, slots: int, like: Tensor) -> None:
        shape = (config.n_layers, batch, config.kv_heads, slots, config.head_dim)
        self.k, self.v = like.new_zeros(shape), like.new_zeros(shape)
        self.length = 0

    def update(self, layer: int, k: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
        end = self.length + k.shape[2]
        self.k[layer, :, :, self.length : end] = k
        self.v[layer, :, :, self.length : end] = v
        return self.k[layer, :, :, :end], self.v[layer, :, :, :end]


def _random_model(config: LLaDAConfig, device: str, dtype: torch.dtype) -> LLaDA:
    with torch.device("meta"):
        model = LLaDA(config).to(dtype)
    model = model.to_empty(device=device)
    torch.manual_seed(0)
    model.init_weights()
    return model.eval().requires_grad_(False)


def _now(device: str) -> float:
    if device == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter()


def _reset_peak(device: str) -> None:
    if device == "cuda":
        torch.cuda.reset_peak_memory_stats()


def _peak_mb(device: str) -> float:
    """Memory at its highest: of the GPU since the last reset, of the process since its start."""
    if device == "cuda":
        return torch.cuda.max_memory_allocated() / 1e6
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6


def _bandwidth(device: str) -> float:
    """Gigabytes a second that a sum over a large array reads."""
    size = 1_000_000_000 if device == "cuda" else 100_000_000
    array = torch.ones(size // 4, device=device)
    array.sum()
    begin = _now(device)
    for _ in range(4):
        array.sum()
    return 4 * size / (_now(device) - begin) / 1e9
