"""Stage `encoder`: the speech encoder learns to spell with CTC, as Whisper comes ready-made."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from engines.nano_encoder import NanoEncoder, NanoEncoderConfig


@dataclass(frozen=True, slots=True)
class Spelling:
    """What counts beside CTC of the last state."""

    middle_weight: float = 0.3
    """Share of the loss that CTC of the middle state has."""
    sounds: bool = False
    """Whether the middle state spells phonemes, and not the pieces of the last one."""
    guided_steps: int = 600
    """Steps in which the encoder is also told roughly which piece is said when; CTC alone says
    nothing but blanks for the first 15 to 20 hours of audio."""
    agreement: float = 0.0
    """Weight of how far two hearings of a clip are apart; the batches must hold every clip
    twice."""


class CtcEncoder(nn.Module):
    """The encoder with a spelling head, and one for its middle state while it learns.

    Source: Lee and Watanabe 2021 (arXiv 2102.03216) for the middle loss, Krishna et al. 2018 (arXiv
    1807.06234) for phonemes there.
    """

    def __init__(
        self, config: NanoEncoderConfig, vocabulary: int, blank: int, *, sounds: int = 0
    ) -> None:
        """With `sounds`, how many there are, the middle state tells them two for each frame."""
        super().__init__()
        self.encoder = NanoEncoder(config)
        self.middle_norm = nn.LayerNorm(config.d_model)
        self.head = nn.Linear(config.d_model, vocabulary)
        self.sound_head = nn.Linear(config.d_model, 2 * sounds) if sounds else None
        self.blank = blank

    def forward(self, features: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Log-probabilities [B, S, V] of the last and the middle state, and lengths [B].

        Those of the middle state are [B, 2 S, sounds] where it tells phonemes.
        """
        states, lengths = self.encoder(features, lengths)
        last = F.log_softmax(self.head(states[-1]).float(), -1)
        return last, self._middle(states[len(states) // 2]), lengths

    def _middle(self, state: Tensor) -> Tensor:
        state = self.middle_norm(state)
        if self.sound_head is None:
            return F.log_softmax(self.head(state).float(), -1)
        told = self.sound_head(state).float().unflatten(-1, (2, -1)).flatten(1, 2)
        return F.log_softmax(told, -1)


def ctc_loss(spelling: Spelling) -> Callable[[nn.Module, dict[str, Any]], dict[str, Tensor]]:
    """CTC over a batch, per target token: the loss function of this stage, for `loop.run`."""
    share = spelling.middle_weight

    def loss(model: nn.Module, batch: dict[str, Any]) -> dict[str, Tensor]:
        assert isinstance(model, CtcEncoder)  # noqa: S101 - narrows the type for mypy
        last, middle, lengths = model(batch["features"], batch["lengths"])
        target = (batch["targets"], lengths, batch["target_lengths"], model.blank)
        final = ctc(last, *target)
        if spelling.sounds:
            half = ctc(middle, batch["sounds"], 2 * lengths, batch["sound_lengths"], 0)
        else:
            half = ctc(middle, *target)
        value = (1 - share) * final + share * half
        guidance = 1 - (batch["step"] + 1) / max(1, spelling.guided_steps)
        if guidance > 0:
            spelled = last[:, : batch["guess"].shape[1]].transpose(1, 2)  # [B, V, S]
            value = value + guidance * F.nll_loss(spelled, batch["guess"], ignore_index=-100)
        result = {"ctc": final.detach(), "middle": half.detach()}
        if spelling.agreement:
            apart = disagreement(last, lengths) / batch["target_lengths"].sum()
            value = value + spelling.agreement * apart
            result["apart"] = apart.detach()
        return {"loss": value} | result

    return loss


def disagreement(log_probabilities: Tensor, lengths: Tensor) -> Tensor:
    """How far apart the two halves of a batch [B, S, V] are, summed over their frames.

    Each half learns from the other as it stands. Source: Yao et al. 2024 (arXiv 2410.05101).
    """
    first, second = log_probabilities.chunk(2)
    valid = torch.arange(first.shape[1], device=lengths.device) < lengths.chunk(2)[0][:, None]
    total = first.new_zeros(())
    for learner, teacher in ((first, second), (second, first)):
        apart = F.kl_div(learner, teacher.detach(), reduction="none", log_target=True).sum(-1)
        total = total + (apart * valid).sum()
    return total


def ctc(
    log_probabilities: Tensor, targets: Tensor, lengths: Tensor, target_lengths: Tensor, blank: int
) -> Tensor:
    """CTC per target token of [B, S, V]; the targets are concatenated."""
    loss = F.ctc_loss(
        log_probabilities.transpose(0, 1),
        targets,
        lengths,
        target_lengths,
        blank=blank,
        reduction="sum",
        zero_infinity=True,
    )
    return loss / target_lengths.sum()


@torch.no_grad()
def spell(model: CtcEncoder, features: Tensor, lengths: Tensor) -> list[list[int]]:
    """Greedy CTC: the likeliest piece of every frame, repeats and blanks dropped."""
    log_probabilities, _, lengths = model(features, lengths)
    best = log_probabilities.argmax(-1)
    result = []
    for row, length in zip(best, lengths, strict=True):
        pieces = torch.unique_consecutive(row[:length]).tolist()
        result.append([piece for piece in pieces if piece != model.blank])
    return result
