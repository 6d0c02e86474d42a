"""Runs golden vectors of the published reference code through this project's own."""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from engines.backends import Backend, Context, RequestError
from engines.backends.torch import TorchBackend
from engines.checkpoints import CheckpointError
from engines.decoding import Request, decode
from engines.features import HOP, log_mel
from engines.files import read_tensors
from engines.llada import LLaDA
from engines.lora import merge_lora
from engines.published import Diffa, read_diffa, read_llada
from engines.schedule import Factor, Rule, Schedule, Steps, Threshold

LOGITS_TOLERANCE = 1e-4
STATES_TOLERANCE = 1e-3
CACHES = ("none", "prefix", "dual")
LONGEST = 2**16
"""Positions of a case; the reference itself refuses none that are over the model's context."""


@dataclass(frozen=True, slots=True)
class Check:
    """One vector's outcome."""

    name: str
    passed: bool
    detail: str


def verify(
    folder: Path, llada: Path | None = None, run: Callable[[LLaDA], Backend] = TorchBackend
) -> Iterator[Check]:
    """Check a folder laid out as `llada-tiny` or `diffa-tiny`, one vector at a time.

    A DIFFA folder's language model is `llada`, or else the folder beside it that has one; `run`
    is the backend that decodes with it. Raises `CheckpointError` for a folder that is neither, or
    that cannot be read.
    """
    if not folder.is_dir():
        raise CheckpointError(f"{folder}: no such folder; give one with golden vectors")
    if (folder / "diffa").is_dir():
        return _diffa(folder, llada or _beside(folder.resolve()), run)
    if (folder / "config.json").is_file():
        return _llada(folder, run)
    raise CheckpointError(f"{folder}: neither config.json nor diffa/; give golden vectors")


def _beside(folder: Path) -> Path:
    """Find the language model that a DIFFA folder was made with: `llada-tiny` of `diffa-tiny`."""
    named = folder.with_name(folder.name.replace("diffa", "llada"))
    found = sorted(each.parent for each in folder.parent.glob("*/config.json"))
    if named not in found and len(found) != 1:
        raise CheckpointError(f"{named}: no language model for {folder.name}; name it with --llada")
    return named if named in found else found[0]


def _language_model(folder: Path) -> LLaDA:
    model = read_llada(folder)
    model.config = replace(model.config, max_sequence_length=LONGEST)
    return model


def _llada(folder: Path, run: Callable[[LLaDA], Backend]) -> Iterator[Check]:
    model = _language_model(folder)
    backend = run(model)
    vectors, cases = _read(folder, named="name")
    with torch.inference_mode():
        logits = model.logits(model(model.embed(vectors["forward.input_ids"])))
    yield _close("forward.logits", logits, vectors["forward.logits"], LOGITS_TOLERANCE)
    for case in cases:
        name = str(case["name"])
        cache = name.split(".", maxsplit=1)[0]
        yield _generate(name, backend, case, vectors, cache=cache)


def _diffa(folder: Path, llada: Path, run: Callable[[LLaDA], Backend]) -> Iterator[Check]:
    model = read_diffa(folder / "diffa", folder / "whisper")
    lm = _language_model(llada)
    if model.lora:
        merge_lora(lm, model.lora, folder)
    backend = run(lm)
    vectors, cases = _read(folder, named="case")
    yield from _listen(model, vectors)
    for case in cases:
        prefix = vectors["stage2.speech_embeds"][0]
        yield _generate(
            f"generate.{case['case']}", backend, case, vectors, cache="none", prefix=prefix
        )


@torch.inference_mode()
def _listen(model: Diffa, vectors: Mapping[str, Tensor]) -> Iterator[Check]:
    """Check everything before the language model, each stage on the reference's own input."""
    wanted = vectors["input_features"]
    audio = vectors["audio"].numpy()
    longest = wanted.shape[-1] * HOP
    padded = np.pad(audio[:longest], (0, max(0, longest - len(audio))))
    features = torch.from_numpy(log_mel(padded, wanted.shape[1]))[None]
    yield _close("input_features", features, wanted, STATES_TOLERANCE)
    real = torch.arange(wanted.shape[-1])[None] < -(-len(audio) // HOP)
    yield _equal("attention_mask", real.long(), vectors["attention_mask"])
    lengths = vectors["attention_mask"].sum(-1)
    counted = model.whisper_model.output_lengths(lengths)
    yield _equal("whisper.output_lengths", counted, vectors["whisper.output_lengths"])
    last, states = model.whisper_model(wanted, range(model.whisper_model.config.encoder_layers))
    name = "whisper.last_hidden_state"
    yield _close(name, last[:, : vectors[name].shape[1]], vectors[name], STATES_TOLERANCE)
    for tap in model.taps:
        name = f"whisper.hidden_states.{tap}"
        if name in vectors:
            every = -(-states[tap].shape[1] // vectors[name].shape[1])
            yield _close(name, states[tap][:, ::every], vectors[name], STATES_TOLERANCE)
    acoustic, semantic, lengths = model.parts(wanted, lengths)
    semantic = semantic[:, : int(lengths.max())]
    yield _close("acoustic", acoustic, vectors["acoustic"], STATES_TOLERANCE)
    yield _close("semantic", semantic, vectors["semantic"], STATES_TOLERANCE)
    prompts = model.trainable_prompts.weight.expand(len(semantic), -1, -1)
    for stage, first in (("stage1", prompts), ("stage2", acoustic)):
        name = f"{stage}.speech_embeds"
        yield _close(name, torch.cat([first, semantic], dim=1), vectors[name], STATES_TOLERANCE)


def _generate(
    name: str,
    backend: Backend,
    case: Mapping[str, Any],
    vectors: Mapping[str, Tensor],
    *,
    cache: str,
    prefix: Tensor | None = None,
) -> Check:
    """Decode one case and compare every token, and the passes where the case counts them."""
    if cache not in CACHES:
        raise CheckpointError(f"case {name}: cache {cache!r} is none of {', '.join(CACHES)}")
    prompts = vectors[f"{name}.prompt"].tolist()
    wanted = vectors[f"{name}.output"].tolist()
    blocks = case["gen_length"] // case["block_length"]
    schedule = Schedule(
        max_new_tokens=case["gen_length"],
        block_length=case["block_length"],
        rule=_rule(case, blocks),
        cache=cache,  # type: ignore[arg-type]
        cfg_scale=case.get("cfg_scale") or 0.0,
    )
    at = case.get("audio_position", 0)
    requests = [Request(Context(tuple(prompt), prefix, at), schedule) for prompt in prompts]
    made = [list(prompt) for prompt in prompts]
    passes = np.zeros((len(prompts), blocks), dtype=int)
    try:
        for event in decode(backend, requests, batch=len(requests)):
            made[event.handle] += event.tokens
            passes[event.handle, event.block :] = event.passes
    except RequestError as error:
        raise CheckpointError(f"case {name}: {error}") from error
    # the reference's rows wait for each other at the end of every block
    spent = int(np.diff(passes, axis=1, prepend=0).max(axis=0).sum())
    total, pairs = sum(map(len, wanted)), list(zip(made, wanted, strict=True))
    wrong = sum(abs(len(ours) - len(theirs)) for ours, theirs in pairs)
    wrong += sum(x != y for ours, theirs in pairs for x, y in zip(ours, theirs, strict=False))
    expected = case.get("nfe", spent)
    detail = f"{wrong} of {total} tokens differ, {spent} passes, {expected} expected"
    return Check(name, passed=wrong == 0 and spent == expected, detail=detail)


def _rule(case: Mapping[str, Any], blocks: int) -> Rule:
    if case.get("threshold") is not None:
        return Threshold(case["threshold"])
    if case.get("factor") is not None:
        return Factor(case["factor"])
    return Steps(max(1, case["steps"] // blocks))


def _read(folder: Path, *, named: str) -> tuple["_Vectors", list[dict[str, Any]]]:
    path = folder / "cases.json"
    try:
        cases = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{path}: {error}; copy the folder again") from error
    if not isinstance(cases, list):
        raise CheckpointError(f"{path}: not a list of cases; copy the folder again")
    for case in cases:
        if wrong := _wrong_with(case, named):
            raise CheckpointError(f"{path}: {wrong} of {case}; copy the folder again")
    return _Vectors(folder / "vectors.safetensors"), cases


def _wrong_with(case: Any, named: str) -> str:
    """What makes a case none, if anything does."""
    if not isinstance(case, dict) or not isinstance(case.get(named), str | int):
        return f"{named} is no name"
    by_steps = case.get("threshold") is None and case.get("factor") is None
    for key in ("gen_length", "block_length", *(["steps"] if by_steps else [])):
        if type(case.get(key)) is not int or case[key] < 1:
            return f"{key} is no number above 0"
    if case["gen_length"] % case["block_length"]:
        return "gen_length is no multiple of block_length"
    numbers = (case.get(key) or 0 for key in ("threshold", "factor", "cfg_scale", "audio_position"))
    return "" if all(isinstance(each, int | float) for each in numbers) else "a number is none"


class _Vectors(dict[str, Tensor]):
    """A file of vectors; one that is not there is named."""

    def __init__(self, path: Path) -> None:
        super().__init__(read_tensors(path))
        self.path = path

    def __missing__(self, name: str) -> Tensor:
        raise CheckpointError(f"{self.path}: no vector {name}; copy the folder again")


def _close(name: str, ours: Tensor, theirs: Tensor, tolerance: float) -> Check:
    if ours.shape != theirs.shape:
        return Check(name, False, f"shape {list(ours.shape)}, not {list(theirs.shape)}")
    worst = (ours - theirs).abs().max().item()
    return Check(name, worst <= tolerance, f"off by {worst:.1e} at most, {tolerance:.0e} allowed")


def _equal(name: str, ours: Tensor, theirs: Tensor) -> Check:
    same = torch.equal(ours, theirs)
    return Check(name, same, "equal" if same else f"{ours.tolist()}, not {theirs.tolist()}")
