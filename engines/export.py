"""Writes models as ONNX graphs, `encoder.onnx` and `lm.onnx`, for the onnxruntime backend."""

import copy
import shutil
import tempfile
import warnings
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from engines.llada import LLaDA, propose_tokens
from engines.quiet import quiet

LM_OUTPUTS = ("tokens", "log_probability", "k", "v")


class LanguageModelGraph(nn.Module):
    """One pass of the language model, from ids to proposals, without side effects."""

    def __init__(self, model: LLaDA, forbidden: Sequence[int] = ()) -> None:
        """Wrap `model`; the logits of `forbidden` tokens are lowered for good."""
        super().__init__()
        self.model = model
        bias = torch.zeros(model.config.embedding_size)
        bias[list(forbidden)] = -1e9
        self.bias = nn.Buffer(bias)

    def forward(  # noqa: PLR0917 - an exported graph takes its inputs in order
        self,
        ids: Tensor,
        prefix: Tensor,
        positions: Tensor,
        blocks: Tensor,
        past_k: Tensor,
        past_v: Tensor,
        past_blocks: Tensor,
        active: Tensor,
        targets: Tensor,
        noise: Tensor,
        twins: Tensor,
        guidance: Tensor,
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Run one pass of `ids` [B, L]: a token, or -1 - p for position p of `prefix` [B, P, d].

        A position sees those of `past_blocks` [B, S] and `blocks` [B, L] whose number is not
        above its own. `past_k`, `past_v` are [layers, B, H, S, D]. `active` [B, A] indexes
        into L; `targets` [B, A] and `noise` [B, A, V] are those of `propose_tokens`. `twins` [B]
        is the row with the masked prompt that a row is guided away from, by `guidance` [B]; its
        own, and 0, where it is not. Returns tokens [B, A], their log-probabilities, and k, v
        [layers, B, H, L, D].
        """
        size = prefix.shape[-1]
        at = (-1 - ids).clamp(min=0)[..., None].expand(-1, -1, size)
        embeddings = torch.where(
            ids[..., None] < 0, prefix.gather(1, at), self.model.embed(ids.clamp(min=0))
        )
        seen = torch.cat([past_blocks, blocks], dim=1)
        mask = seen[:, None, None, :] <= blocks[:, None, :, None]  # [B, 1, L, S + L]
        hidden, k, v = self.model.forward_cached(embeddings, past_k, past_v, positions, mask)
        wanted = hidden.gather(1, active[..., None].expand(-1, -1, size))
        # the head is linear, and a hidden state is shorter than its logits
        against = wanted.index_select(0, twins)
        wanted = against + (1 + guidance)[:, None, None] * (wanted - against)
        logits = self.model.logits(wanted) + self.bias
        tokens, log_probability = propose_tokens(logits, targets, noise)
        return tokens, log_probability, k, v


def export_lm(model: LLaDA, path: Path, *, forbidden: Sequence[int] = ()) -> None:
    """Write `lm.onnx`, in single precision; `engines.narrow` makes it smaller."""
    config = model.config
    batch, length, past, active, audio = 2, 6, 5, 3, 4
    shape = (config.n_layers, batch, config.kv_heads, past, config.head_dim)
    example = (
        torch.zeros(batch, length, dtype=torch.int64),
        torch.zeros(batch, audio, config.d_model),
        torch.arange(length).repeat(batch, 1),
        torch.zeros(batch, length, dtype=torch.int64),
        torch.zeros(shape),
        torch.zeros(shape),
        torch.zeros(batch, past, dtype=torch.int64),
        torch.zeros(batch, active, dtype=torch.int64),
        torch.full((batch, active), -1),
        torch.zeros(batch, active, config.embedding_size),
        torch.arange(batch),
        torch.zeros(batch),
    )
    plain, chosen, kept = {0: "B", 1: "L"}, {0: "B", 1: "A"}, {1: "B", 3: "S"}
    axes = {
        "ids": plain,
        "prefix": {0: "B", 1: "P"},
        "positions": plain,
        "blocks": plain,
        "past_k": kept,
        "past_v": kept,
        "past_blocks": {0: "B", 1: "S"},
        "active": chosen,
        "targets": chosen,
        "noise": chosen,
        "twins": {0: "B"},
        "guidance": {0: "B"},
    }
    graph = LanguageModelGraph(model, forbidden)
    _export(graph, example, path, inputs=tuple(axes), outputs=LM_OUTPUTS, axes=axes)


def export_encoder(
    encoder: nn.Module,
    path: Path,
    *,
    mels: int = 80,
    frames: int = 400,
    fixed: bool = False,
    spells: bool = False,
    int8: bool = False,
    half: bool = False,
) -> None:
    """Write `encoder.onnx`; with `half` it computes in float16, between float32 in and out.

    `encoder` takes features [B, mels, T] and lengths [B] and returns prefix embeddings [B, P, d]
    and their lengths [B]; one that `spells` also returns log-probabilities of pieces [B, S, V].
    With `fixed`, T is always `frames`.
    """
    example = (torch.zeros(2, mels, frames), torch.tensor([frames, frames // 2]))
    features = {0: "B"} if fixed else {0: "B", 2: "T"}
    axes = {"features": features, "lengths": {0: "B"}}
    outputs = ("prefix", "prefix_lengths", "spelling")[: 3 if spells else 2]
    if half:
        encoder = _Half(encoder)
    _export(encoder, example, path, inputs=tuple(axes), outputs=outputs, axes=axes, int8=int8)


class _Half(nn.Module):
    """A copy of an encoder in half the memory; what else it returns but lengths is float32."""

    def __init__(self, encoder: nn.Module) -> None:
        super().__init__()
        self.encoder = copy.deepcopy(encoder).half()

    def forward(self, features: Tensor, lengths: Tensor) -> tuple[Tensor, ...]:
        prefix, lengths, *spelling = self.encoder(features.half(), lengths)
        return prefix.float(), lengths, *(each.float() for each in spelling)


def _export(
    module: nn.Module,
    example: tuple[Tensor, ...],
    path: Path,
    *,
    inputs: Sequence[str],
    outputs: Sequence[str],
    axes: dict[str, dict[int, str]],
    int8: bool = False,
) -> None:
    """Trace, optimise, quantise if asked to, and put the file in place in one move."""
    named: dict[str, torch.export.Dim] = {}
    shapes = tuple(
        {axis: named.setdefault(name, torch.export.Dim(name)) for axis, name in axes[key].items()}
        for key in inputs
    )
    with (
        warnings.catch_warnings(),
        quiet("torch.onnx._internal.exporter._registration"),  # tells that torchvision is missing
        tempfile.TemporaryDirectory(dir=path.parent) as folder,
    ):
        draft = Path(folder) / path.name
        training = module.training
        try:
            # the exporter warns of its own deprecations and of every axis that inputs share
            warnings.simplefilter("ignore")
            torch.onnx.export(
                module.eval(),
                example,
                draft,
                input_names=list(inputs),
                output_names=list(outputs),
                dynamic_shapes=shapes,
                dynamo=True,
                external_data=False,
                verbose=False,
            )
        finally:
            module.train(training)
        _forget_traces(draft)
        if int8:
            draft = _quantise(draft)
        shutil.move(draft, path)


def _forget_traces(path: Path) -> None:
    """Drop what the exporter notes of each node: stack traces, with paths of this machine."""
    import onnx

    model = onnx.load(path)
    for nodes in (model.graph.node, *(function.node for function in model.functions)):
        for node in nodes:
            del node.metadata_props[:]
            node.doc_string = ""
    onnx.save(model, path)


def _quantise(path: Path) -> Path:
    from onnxruntime.quantization import QuantType, quantize_dynamic

    result = path.with_name("int8.onnx")
    with quiet("root"):  # advises to optimise the graph first, which the exporter has done
        quantize_dynamic(
            path, result, op_types_to_quantize=["MatMul", "Gemm"], weight_type=QuantType.QInt8
        )
    return result
