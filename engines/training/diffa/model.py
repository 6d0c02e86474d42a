"""The models of both stages: what is read, what is frozen, and the loss."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.rnn import pad_sequence
from torch.utils.checkpoint import checkpoint

from engines.adapters import AcousticAdapter, SemanticAdapter
from engines.checkpoints import CheckpointError
from engines.llada import LLaDA
from engines.published import TAPS, Diffa, read_diffa, read_whisper
from engines.training.diffa.batches import MicroBatch
from engines.training.diffa.pairs import Stage

PROMPTS = 20
"""Embeddings that stand before the semantic ones in stage `align`."""

TRAINED = {
    "align": ("semantic_connector.", "trainable_prompts."),
    "instruct": ("semantic_connector.", "acoustic_connector."),
}
"""Beginnings of the names of the parameters that move."""

Loss = Callable[[MicroBatch], Tensor]


def whisper_name(layers: int) -> str:
    """What a published encoder of so many layers is called; raises `CheckpointError`."""
    for name, taps in TAPS.items():
        if taps[-1] == layers - 1:
            return name
    raise CheckpointError(f"an encoder of {layers} layers; known are {', '.join(TAPS)}")


def new_diffa(whisper: Path, d_model: int) -> Diffa:
    """Untrained adapters of the published shapes between Whisper and a model of `d_model`.

    Raises `CheckpointError` where `whisper` is no published encoder.
    """
    encoder = read_whisper(whisper)
    shape = encoder.config
    try:
        taps = TAPS[whisper_name(shape.encoder_layers)]
    except CheckpointError as error:
        raise CheckpointError(f"{whisper}: {error}") from error
    acoustic = AcousticAdapter(
        shape.d_model, d_model, taps=len(taps), heads=shape.encoder_attention_heads
    )
    prompts = torch.randn(PROMPTS, d_model)
    return Diffa(encoder, SemanticAdapter(shape.d_model, d_model), acoustic, taps, prompts)


def open_diffa(folder: Path, whisper: Path, d_model: int) -> Diffa:
    """Adapters to go on with; raises `CheckpointError` for those of another model."""
    model = read_diffa(folder, whisper)
    made_for = model.trainable_prompts.embedding_dim
    if made_for != d_model:
        raise CheckpointError(f"{folder}: made for a model of {made_for}, this one is {d_model}")
    if model.lora:
        raise CheckpointError(
            f"{folder}: holds low-rank updates; stages of DIFFA-2 are not trained"
        )
    return model


def freeze(diffa: Diffa, lm: LLaDA, stage: Stage) -> dict[str, nn.Parameter]:
    """Hold everything but the stage's own part; returns that, by name."""
    lm.requires_grad_(requires_grad=False)
    for name, parameter in diffa.named_parameters():
        parameter.requires_grad_(name.startswith(TRAINED[stage]))
    return {name: each for name, each in diffa.named_parameters() if each.requires_grad}


def recompute(lm: LLaDA) -> None:
    """Keep no layer's inner states for the way back: less memory, a third more time."""
    for block in lm.blocks:
        layer = partial(checkpoint, block.forward, use_reentrant=False)
        block.forward = layer  # type: ignore[method-assign]


def stage_loss(diffa: Diffa, lm: LLaDA, stage: Stage) -> Loss:
    """LLaDA's loss (arXiv 2502.09992, section 2.3) over the responses of a micro-batch.

    Cross-entropy of the masked tokens, each over its clip's mask ratio, by all tokens that are no
    prompt. Prompt and prefix are never masked, end padding may be.
    """

    def loss(batch: MicroBatch) -> Tensor:
        prefix, lengths = hear(diffa, batch, stage)
        row, column = (batch.targets >= 0).nonzero(as_tuple=True)
        device = prefix.device
        hidden = _read(lm, batch, prefix, lengths)
        place = (column + lengths[row]).to(device)
        logits = lm.logits(hidden[row.to(device), place]).float()
        errors = F.cross_entropy(logits, batch.targets[row, column].to(device), reduction="none")
        return (errors * batch.weights[row].to(device)).sum() / batch.responses

    return loss


def hear(diffa: Diffa, batch: MicroBatch, stage: Stage) -> tuple[Tensor, Tensor]:
    """The prefix [B, P, d] of each clip and its length [B] (on the CPU); padding is behind it."""
    frames = diffa.whisper_model.output_lengths(batch.lengths)
    with torch.no_grad():
        states, tapped = diffa.whisper_model(batch.features, diffa.taps)
    # no embedding of a real frame sees what is cut
    semantic = diffa.semantic_connector(states[:, : int(frames.max())])
    if stage == "align":
        first = diffa.trainable_prompts.weight.expand(len(states), -1, -1)
    else:
        first = diffa.acoustic_connector(tapped)
    lengths = diffa.semantic_connector.output_lengths(frames) + first.shape[1]
    return torch.cat([first, semantic], dim=1), lengths


def _read(lm: LLaDA, batch: MicroBatch, prefix: Tensor, lengths: Tensor) -> Tensor:
    """Hidden states [B, S, d] with each prefix put into its prompt; what is behind is padding."""
    words = lm.embed(batch.ids)  # [B, L, d]
    prefix = prefix.to(words.dtype)
    rows = [
        torch.cat([text[:head], sound[:length], text[head:]])
        for text, sound, head, length in zip(
            words, prefix, batch.heads.tolist(), lengths.tolist(), strict=True
        )
    ]
    padded = pad_sequence(rows, batch_first=True)
    ends = lengths + batch.ids.shape[1]
    mask = None
    if len(set(ends.tolist())) > 1:
        real = torch.arange(padded.shape[1])[None] < ends[:, None]
        mask = real[:, None, None, :].to(padded.device)  # [B, 1, 1, S]
    return lm(padded, mask=mask)
