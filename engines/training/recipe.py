"""The stages that learn, each from its numbers to its checkpoint in the run's folder.

A run's folder holds what `preparation` made, then `STAGE.toml`, `STAGE.pt` and `STAGE.jsonl` of
each stage: the numbers it was begun with, the checkpoint and the log.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer
from torch import nn

from engines.llada import LLaDA
from engines.nano_encoder import NanoEncoderConfig
from engines.nano_model import Nano, NanoConfig
from engines.shapes import LLaDAConfig
from engines.training import configs, loop
from engines.training.batches import SpeechBatches
from engines.training.encoder import CtcEncoder, Spelling, ctc_loss
from engines.training.lm import TextBatches, lm_loss
from engines.training.loop import Device, choose
from engines.training.pretrained import LEARNED, Pretrained, give, hold
from engines.training.runs import (
    RunError,
    Sound,
    Stage,
    check_resumable,
    mixture,
    read_left,
    read_pairs,
    read_tokenizer,
    read_weights,
    under,
)
from engines.training.saving import load_weights
from engines.training.sounds import SIZE, SOUNDS, learn
from engines.training.stages import (
    InstructionBatches,
    Interleaved,
    Weights,
    freeze,
    stage_loss,
)
from engines.training.vocabulary import special_ids


@dataclass(frozen=True, slots=True)
class EncoderStage:
    """`encoder.toml`."""

    seed: int
    save_every: int
    schedule: loop.Schedule
    sound: Sound
    shape: NanoEncoderConfig
    spelling: Spelling = field(default_factory=Spelling)
    pretrained: Pretrained = field(default_factory=Pretrained)
    """What becomes of Whisper's layers, where the shape has some."""


@dataclass(frozen=True, slots=True)
class LmStage:
    """`lm.toml`."""

    seed: int
    save_every: int
    batch_size: int
    block_length: int
    acoustic: int
    """Places of the prefix that the acoustic adapter fills."""
    slots: int
    """Places of the prefix for the pieces that were said."""
    schedule: loop.Schedule
    shape: LLaDAConfig


@dataclass(frozen=True, slots=True)
class Adapters:
    """Shape of the acoustic adapter."""

    taps: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class AdapterStage:
    """`align.toml` and `instruct.toml`."""

    seed: int
    save_every: int
    trained: tuple[str, ...]
    """Beginnings of the names of the parameters that move."""
    unfrozen: tuple[str, ...]
    """The same when the stage trains through."""
    tasks: dict[str, float]
    schedule: loop.Schedule
    sound: Sound
    weights: Weights
    adapters: Adapters
    reads: int = 0
    """Trained through, read so many batches of the `lm` stage's text after each batch of sound."""


@dataclass(frozen=True, slots=True)
class Options:
    """What a person chooses for one start of a stage."""

    config: Path | None = None
    steps: int | None = None
    hours: float | None = None
    """Stop with a checkpoint after so long, whatever is left."""
    threads: int = 2
    device: Device = "auto"
    workers: int | None = None
    """Processes that make batches; by default one, and with a GPU as many as there are cores."""
    unfreeze: bool = False
    whisper: str | None = None
    """Folder or repository of the Whisper that the stage `encoder` begins with."""


def train(stage: Stage, run: Path, options: Options) -> list[str]:
    """Run one stage, or go on with it; returns what a person should know about the data.

    Raises `RunError`, `ConfigError`, `CorpusError`, `CheckpointMismatchError` or `DivergedError`.
    """
    if not run.is_dir():
        raise RunError(f"{run}: no such folder; begin with: assistant train speech --out {run}")
    torch.set_num_threads(options.threads)
    device = choose(options.device)
    path = configs.path_of(stage, run, options.config)
    notes: list[str] = []
    work = {"encoder": _encoder, "lm": _lm}.get(stage, _adapters)
    config, model, batches, loss, shares = work(stage, run, path, options, notes)
    schedule = config.schedule
    if options.steps is not None:
        schedule = replace(schedule, steps=options.steps)
    check_resumable(run / f"{stage}.pt", model)
    configs.keep(path, stage, run)
    until_s = None if options.hours is None else options.hours * 3600
    lost = loop.run(
        stage,
        model,
        batches,
        loss,
        schedule,
        run,
        save_every=config.save_every,
        until_s=until_s,
        device=device,
        workers=options.workers or (1 if device == "cpu" else os.cpu_count() or 1),
        shares=shares,
    )
    if lost:
        notes.append(f"{stage}: {lost} steps had no finite gradient and taught nothing")
    return notes


_Work = tuple[Any, nn.Module, loop.Batches, Any, Mapping[str, float]]


def _encoder(_stage: Stage, run: Path, path: Path, options: Options, notes: list[str]) -> _Work:
    config = configs.read(EncoderStage, path)
    if config.spelling.agreement and config.sound.hearings != 2:
        raise configs.ConfigError(
            f"{path}: agreement is between two hearings of a clip: set sound.hearings = 2"
        )
    tokenizer = read_tokenizer(run)
    torch.manual_seed(config.seed)
    heard = mixture(run, config.sound, config.seed, notes)
    blank = special_ids(tokenizer)["mask"]
    model = _speller(config, tokenizer.get_vocab_size(), blank)
    if config.shape.whisper is not None and not (run / "encoder.pt").is_file():
        give(model, options.whisper)
    sounds = learn(heard.words(), run / SOUNDS) if config.spelling.sounds else None
    batches = SpeechBatches(heard, tokenizer, sounds)
    return config, model, batches, ctc_loss(config.spelling), _shares(config)


def _speller(config: EncoderStage, vocabulary: int, blank: int) -> CtcEncoder:
    sounds = SIZE if config.spelling.sounds else 0
    model = CtcEncoder(config.shape, vocabulary, blank, sounds=sounds)
    if config.shape.whisper is not None:
        hold(model, config.pretrained.frozen_layers)
    return model


def _shares(config: EncoderStage) -> Mapping[str, float]:
    """Shares of the learning rate, by the beginnings of parameters' names."""
    return {} if config.shape.whisper is None else {LEARNED: config.pretrained.rate_share}


def _lm(_stage: Stage, run: Path, path: Path, _: Options, _notes: list[str]) -> _Work:
    config = configs.read(LmStage, path)
    tokenizer = read_tokenizer(run)
    if config.shape.embedding_size != tokenizer.get_vocab_size():
        raise configs.ConfigError(
            f"{path}: shape.embedding_size is {config.shape.embedding_size}, but the run's "
            f"tokenizer has {tokenizer.get_vocab_size()} pieces; make them equal"
        )
    torch.manual_seed(config.seed)
    model = LLaDA(config.shape)
    model.init_weights(0.04)
    batches = _text(run, config, tokenizer, seed=config.seed)
    return config, model, batches, lm_loss(config.block_length), {}


def _text(run: Path, config: LmStage, tokenizer: Tokenizer, *, seed: int) -> TextBatches:
    return TextBatches(
        read_pairs(run),
        tokenizer,
        size=config.batch_size,
        block_length=config.block_length,
        acoustic=config.acoustic,
        slots=config.slots,
        seed=seed,
    )


def _adapters(stage: Stage, run: Path, path: Path, options: Options, notes: list[str]) -> _Work:
    config = configs.read(AdapterStage, path)
    tokenizer = read_tokenizer(run)
    torch.manual_seed(config.seed)
    model = Nano(_shape(run, config.adapters))
    _begin(stage, run, model)
    freeze(model, config.unfrozen if options.unfreeze else config.trained)
    block_length = model.config.block_length
    batches: loop.Batches = InstructionBatches(
        mixture(run, config.sound, config.seed, notes),
        tokenizer,
        answers={pair.text: pair.answer for pair in read_pairs(run) if pair.answer},
        tasks=config.tasks,
        block_length=block_length,
    )
    if config.reads and options.unfreeze:
        text = configs.read(LmStage, configs.path_of("lm", run))
        reading = _text(run, text, tokenizer, seed=config.seed)
        batches = Interleaved(batches, reading, config.reads)
    return config, model, batches, stage_loss(block_length, config.weights), {}


def fresh(run: Path) -> Nano:
    """An untrained model of the run's shapes."""
    return Nano(_shape(run, configs.read(AdapterStage, configs.path_of("align", run)).adapters))


def fresh_speller(run: Path) -> tuple[CtcEncoder, Mapping[str, float]]:
    """An untrained encoder of the run's shapes, and the shares of the rate its parts move at."""
    config = configs.read(EncoderStage, configs.path_of("encoder", run))
    lm = configs.read(LmStage, configs.path_of("lm", run)).shape
    return _speller(config, lm.embedding_size, lm.mask_token_id), _shares(config)


def _shape(run: Path, adapters: Adapters) -> NanoConfig:
    """The shapes that the run's stages were begun with."""
    encoder = configs.read(EncoderStage, configs.path_of("encoder", run))
    lm = configs.read(LmStage, configs.path_of("lm", run))
    return NanoConfig(
        encoder.shape, lm.shape, adapters.taps, lm.acoustic, lm.slots, lm.block_length
    )


def _begin(stage: Stage, run: Path, model: Nano) -> None:
    """Give `model` the weights of the stages before."""
    if stage == "align":
        _speller_and_lm(run, model)
        table = model.lm.model.transformer.wte.weight.detach()
        # the adapter begins silent, so that the prefix is what the encoder spells
        nn.init.zeros_(model.speech.semantic_connector.layernorm.weight)
        model.speech.pieces.weight.data.copy_(table)
        model.speech.empty.data.copy_(table[model.config.lm.eos_token_id])
        return
    path = run / "align.pt"
    left = read_left(path, "align")
    load_weights(model, left["model"], path)
    if left["step"] == 0:  # adopted: what was taught since is in its own stages
        _speller_and_lm(run, model)


def _speller_and_lm(run: Path, model: Nano) -> None:
    """Give `model` what the stages `encoder` and `lm` left."""
    path = run / "encoder.pt"
    speller = read_weights(path, "encoder")
    load_weights(model.speech.encoder, under("encoder.", speller), path)
    load_weights(model.speech.spelling, under("head.", speller), path)
    path = run / "lm.pt"
    load_weights(model.lm, read_weights(path, "lm"), path)


def assemble(run: Path) -> tuple[Nano, Stage]:
    """The model as the last stage of the run left it, and that stage's name."""
    stage: Stage = "instruct" if (run / "instruct.pt").is_file() else "align"
    path = run / f"{stage}.pt"
    weights = read_weights(path, stage)
    adapters = configs.read(AdapterStage, configs.path_of(stage, run)).adapters
    model = Nano(_shape(run, adapters))
    load_weights(model, weights, path)
    return model.eval(), stage
