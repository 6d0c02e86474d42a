"""Stages `align` and `instruct` from published checkpoints to trained adapters.

A run's folder holds `diffa-STAGE.toml`, `.pt` and `.jsonl` of each stage, its numbers, state and
log, and the folder `diffa-STAGE` with the adapters as DIFFA's were published.
"""

from dataclasses import dataclass
from pathlib import Path

import torch
from tokenizers import Tokenizer

from engines.checkpoints import CheckpointError
from engines.features import HOP, SAMPLE_RATE_HZ
from engines.llada import LLaDA
from engines.memory import NotEnoughMemoryError, check_memory
from engines.published import Diffa, check_llada, load_llada
from engines.shapes import LLaDAConfig
from engines.training import configs
from engines.training.diffa.batches import Limits, MicroBatches
from engines.training.diffa.loop import Outcome, Plan, Rate, Trainer
from engines.training.diffa.model import (
    PROMPTS,
    freeze,
    new_diffa,
    open_diffa,
    recompute,
    stage_loss,
)
from engines.training.diffa.pairs import Pairs, Stage, read_pairs
from engines.training.diffa.processes import (
    ProcessesError,
    Team,
    parameters_held,
    shard,
    team,
)
from engines.training.diffa.states import Place
from engines.training.loop import Device
from engines.training.runs import RunError


@dataclass(frozen=True, slots=True)
class DiffaStage:
    """`diffa-align.toml` and `diffa-instruct.toml`."""

    seed: int
    epochs: float
    batch: int
    """Clips of one step, over all processes."""
    micro_batch: int
    """Clips that one process computes at a time."""
    save_every: int
    """Steps between two checkpoints."""
    schedule: Rate
    precision: str = "bfloat16"
    """`bfloat16` or `float32`: what the language model is kept in and all is computed in."""
    recompute: bool = False
    """Compute the language model's layers twice, for want of memory."""
    workers: int = 4
    """Processes that read sound, for each process that trains."""

    def __post_init__(self) -> None:
        if min(self.batch, self.micro_batch, self.save_every, self.epochs) <= 0:
            raise ValueError("epochs, batch, micro_batch and save_every are above 0")
        if self.batch % self.micro_batch:
            raise ValueError(f"batch {self.batch} is no multiple of micro_batch")
        if self.precision not in ("bfloat16", "float32"):
            raise ValueError(f"precision is bfloat16 or float32, not {self.precision!r}")


@dataclass(frozen=True, slots=True)
class Sources:
    """What a stage is made from."""

    whisper: Path
    llada: Path
    pairs: Path
    diffa: Path | None = None
    """Adapters to begin with; none: the stage before, or untrained ones."""


@dataclass(frozen=True, slots=True)
class Options:
    """What a person chooses for one start of a stage."""

    config: Path | None = None
    steps: int | None = None
    hours: float | None = None
    """Stop with a checkpoint after so long, whatever is left."""
    threads: int | None = None
    device: Device = "auto"
    shard: bool = False
    """Keep a part of the language model in each process, not all of it."""


def train(stage: Stage, run: Path, sources: Sources, options: Options) -> list[str]:
    """Run one stage, or go on with it; returns what a person should know about the data.

    Raises `CheckpointError`, or a `ValueError` of this package, with one line that names what is
    wrong.
    """
    if options.threads:
        torch.set_num_threads(options.threads)
    with team(options.device) as members:
        name = f"diffa-{stage}"
        path = configs.path_of(name, run, options.config)
        config = configs.read(DiffaStage, path)
        micros = config.batch // config.micro_batch
        if micros % members.size:
            raise ProcessesError(
                f"{path}: a step has {micros} micro-batches, which {members.size} processes cannot "
                "share evenly; change micro_batch or the number of processes"
            )
        diffa, shape = _adapters(stage, run, sources, config.seed)
        window = diffa.whisper_model.config
        longest_s = 2 * window.max_source_positions * HOP / SAMPLE_RATE_HZ
        pairs = read_pairs(sources.pairs, stage, longest_s)
        members.check_same(pairs.fingerprint, "pairs")
        batches = _batches(pairs, diffa, shape, sources.llada, config)
        lm = _language_model(sources.llada, shape, config, options, members)
        diffa.to(members.device)
        trained = freeze(diffa, lm, stage)
        steps = -(-round(config.epochs * len(pairs.kept)) // config.batch)
        plan = Plan(
            steps=options.steps or max(1, steps),
            micros=micros,
            rate=config.schedule,
            save_every=config.save_every,
            workers=config.workers,
            bfloat16=config.precision == "bfloat16",
            until_s=None if options.hours is None else options.hours * 3600,
        )
        if members.leads:
            run.mkdir(parents=True, exist_ok=True)
            configs.keep(path, name, run)
        trainer = Trainer(diffa, trained, stage_loss(diffa, lm, stage), batches, plan, members)
        place = Place(run / f"{name}.pt", name, pairs.fingerprint)
        outcome = trainer.run(place, run / name)
        return _notes(sources, pairs, outcome) if members.leads else []


def _adapters(stage: Stage, run: Path, sources: Sources, seed: int) -> tuple[Diffa, LLaDAConfig]:
    """The adapters a stage begins with, and the shape of the language model they speak to."""
    shape = check_llada(sources.llada)
    torch.manual_seed(seed)
    before = sources.diffa
    if before is None and stage == "instruct":
        before = run / "diffa-align"
        if not before.is_dir():
            raise RunError(
                f"{before} is missing; run first: assistant train diffa align {run}, "
                "or name adapters with --diffa"
            )
    if before is None:
        return new_diffa(sources.whisper, shape.d_model), shape
    return open_diffa(before, sources.whisper, shape.d_model), shape


def _batches(
    pairs: Pairs, diffa: Diffa, shape: LLaDAConfig, llada: Path, config: DiffaStage
) -> MicroBatches:
    path = llada / "tokenizer.json"
    try:
        tokenizer = Tokenizer.from_file(str(path))
    except Exception as error:  # tokenizers raises nothing narrower
        raise CheckpointError(f"{path}: {error}; download it again") from error
    if tokenizer.get_vocab_size() > shape.embedding_size:
        raise CheckpointError(f"{path}: more tokens than the model has; it belongs to another")
    window, queries = diffa.whisper_model.config, diffa.acoustic_connector.layer_weights.shape[0]
    semantic = window.max_source_positions // diffa.semantic_connector.stride
    return MicroBatches(
        pairs.kept,
        tokenizer,
        shape,
        Limits(
            mels=window.num_mel_bins,
            frames=2 * window.max_source_positions,
            prefix=max(queries, PROMPTS) + semantic,
        ),
        size=config.micro_batch,
        seed=config.seed,
    )


def _language_model(
    folder: Path, shape: LLaDAConfig, config: DiffaStage, options: Options, members: Team
) -> LLaDA:
    dtype = torch.bfloat16 if config.precision == "bfloat16" else torch.float32
    held = parameters_held(shape, members) if options.shard else shape.parameters
    try:
        check_memory(f"{folder}", held * dtype.itemsize, members.device.type)
    except NotEnoughMemoryError as error:
        raise CheckpointError(f"{error}, or more GPUs and --shard") from error
    sharded = options.shard and members.size > 1
    # a sharded model is read where it costs nothing, and goes to the devices layer by layer
    where = "cpu" if sharded else str(members.device)
    lm = load_llada(shape, folder, device=where, dtype=dtype)
    lm.requires_grad_(requires_grad=False)
    if config.recompute:
        recompute(lm)
    if sharded:
        shard(lm, members)
    return lm


def _notes(sources: Sources, pairs: Pairs, outcome: Outcome) -> list[str]:
    notes = [f"{sources.pairs}: left out {n} lines {why}" for why, n in pairs.dropped.items()]
    if outcome.unheard:
        some = "; ".join(outcome.examples)
        notes.append(f"{outcome.unheard} times a pair could not be heard, as {some}")
    if outcome.lost:
        notes.append(f"{outcome.lost} steps had no finite gradient and moved nothing")
    return notes
