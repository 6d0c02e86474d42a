"""Stages `align` and `instruct`: DIFFA's two stages, at nano's shapes.

`align`: the semantic adapter learns by the ASR objective, the rest frozen. The prefix begins as
what the encoder spells, in the language model's own embeddings; the adapter learns to add what
spelling leaves out. `instruct`: both adapters learn to follow instructions. Trained through,
`instruct` also reads text between the sounds, so that the language model does not forget what it
never hears.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from tokenizers import Tokenizer
from torch import Tensor, nn
from torch.nn import functional as F

from engines.nano_model import Nano
from engines.training.batches import Mixture, SpeechBatches
from engines.training.diffusion import diffusion_loss, mask_responses
from engines.training.encoder import ctc
from engines.training.lm import lm_loss
from engines.training.loop import Batches
from engines.training.vocabulary import special_ids

DESCRIBE = {"male": "a man", "female": "a woman"}


class InstructionBatches(SpeechBatches):
    """Speech with instructions: transcribe it, answer it, say who speaks."""

    def __init__(
        self,
        mixture: Mixture,
        tokenizer: Tokenizer,
        *,
        answers: Mapping[str, str],
        tasks: Mapping[str, float],
        block_length: int,
    ) -> None:
        super().__init__(mixture, tokenizer)
        self.answers, self.block_length = answers, block_length
        self._tasks, self._shares = list(tasks), list(tasks.values())
        self._special = special_ids(tokenizer)

    def batch(self, step: int) -> dict[str, Any]:
        """The speech batch, with `masked` responses to one task for each clip."""
        rng = np.random.default_rng((self.mixture.seed, step))
        clips = self.draw(step, rng)
        batch = self.hear(clips, rng)
        clips *= self.mixture.hearings
        prompts, responses = [], []
        for (_, clip), noisy in zip(clips, batch["noisy"], strict=True):
            task = rng.choice(self._tasks, p=np.array(self._shares) / sum(self._shares))
            text = clip.text
            if task == "answer" and clip.text in self.answers:
                text = self.answers[clip.text]
            elif task == "describe" and clip.gender:
                pace = f", speaking {clip.pace}" if clip.pace in {"slow", "fast"} else ""
                text = f"{DESCRIBE[clip.gender]}{pace}{', in noise' if noisy else ''}"
            else:
                task = "transcribe"
            prompts.append([self._special[task]])
            responses.append(self.tokenizer.encode(text).ids)
        targets = [self.tokenizer.encode(clip.text).ids for _, clip in clips]
        batch["targets"] = torch.tensor([token for ids in targets for token in ids])
        batch["target_lengths"] = torch.tensor([len(ids) for ids in targets])
        batch["masked"] = mask_responses(
            prompts,
            responses,
            block_length=self.block_length,
            mask_id=self._special["mask"],
            eos_id=self._special["endoftext"],
            rng=rng,
        )
        return batch


@dataclass(frozen=True, slots=True)
class Interleaved:
    """Speech, and after every batch of it `texts` of text."""

    speech: Batches
    text: Batches
    texts: int

    def batch(self, step: int) -> dict[str, Any]:
        """Speech at every step that `texts + 1` divides."""
        return (self.text if step % (self.texts + 1) else self.speech).batch(step)


def freeze(model: nn.Module, trained: tuple[str, ...]) -> None:
    """Let only the parameters whose names begin with one of `trained` move."""
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(name.startswith(trained))


@dataclass(frozen=True, slots=True)
class Weights:
    """What counts how much beside the diffusion loss."""

    ctc: float = 0.0
    """Spelling, so that an encoder that trains along does not forget it."""


def stage_loss(
    block_length: int, weights: Weights
) -> Callable[[nn.Module, dict[str, Any]], dict[str, Tensor]]:
    """The diffusion loss over real speech, with its companions; over text, the loss of `lm`."""
    text_loss = lm_loss(block_length)

    def loss(model: nn.Module, batch: dict[str, Any]) -> dict[str, Tensor]:
        assert isinstance(model, Nano)  # noqa: S101 - narrows the type for mypy
        if "features" not in batch:
            return text_loss(model.lm, batch)
        states, lengths = model.speech.encoder(batch["features"], batch["lengths"])
        prefix, prefix_lengths = model.speech.adapt(states, lengths)
        value, restored = diffusion_loss(
            model.lm, prefix, prefix_lengths, batch["masked"], block_length
        )
        logits = model.speech.spelling(states[-1]).float()
        result = {"loss": value, "diffusion": value.detach(), "restored": restored}
        if weights.ctc:
            target = (batch["targets"], lengths, batch["target_lengths"], model.speech.blank)
            spelled = ctc(F.log_softmax(logits, -1), *target)
            result |= {"loss": result["loss"] + weights.ctc * spelled, "ctc": spelled.detach()}
        return result

    return loss
