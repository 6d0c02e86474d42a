"""Makes a checkpoint folder of the three published ones: Whisper, DIFFA, LLaDA."""

import shutil
import tempfile
from pathlib import Path

import torch
from safetensors.torch import save_file
from tokenizers import Tokenizer

from engines.backends.onnx import session
from engines.checkpoints import (
    AUDIO,
    TEXT,
    AudioLimits,
    Checkpoint,
    CheckpointError,
    DecodingDefaults,
    Manifest,
)
from engines.export import export_encoder
from engines.features import HOP, SAMPLE_RATE_HZ
from engines.llada import LLaDA
from engines.lora import merge_lora
from engines.published import Diffa, check_llada, read_diffa, read_llada

LICENCE = "DIFFA: non-commercial use only; LLaDA and Whisper: MIT"
EXPORT_TOLERANCE = 1e-3
STOPS = ("<|eot_id|>", "<|endoftext|>")

ANSWER = (
    "\n### Instruction:\nNow, strictly follow my instructions: \n1. Do not repeat what you hear. "
    "\n2. Write an answer to response the question in the audio.\n\n### Response:\n"
)
"""The instruction that DIFFA was evaluated with, word for word."""


def chat(user: str) -> str:
    """Render DIFFA's dialogue in LLaDA's template; nothing is trimmed, and `<audio>` stays."""
    return (
        "<|startoftext|><|start_header_id|>system<|end_header_id|>\n\n"
        "You are a helpful voice assistant.<|eot_id|>"
        f"<|start_header_id|>user<|end_header_id|>\n\n{user}<|eot_id|>"
        "<|start_header_id|>assistant<|end_header_id|>\n\n"
    )


PROMPTS = {
    "transcribe": chat(f"This is the audio:{AUDIO} <audio>. Write down what is said, no more."),
    "answer": chat(f"This is the audio:{AUDIO} <audio>. {ANSWER}"),
    "instruct": chat(f"This is the audio:{AUDIO} <audio>. {TEXT}"),
    "text": chat(TEXT),
}


def convert(*, whisper: Path, diffa: Path, llada: Path, out: Path) -> Checkpoint:
    """Write the folder `out`, whole or not at all; raise `CheckpointError` for bad input."""
    if out.exists():
        raise CheckpointError(f"{out}: is there already; name a new folder")
    config = check_llada(llada)
    model = read_diffa(diffa, whisper)
    d_model = model.trainable_prompts.embedding_dim
    if d_model != config.d_model:
        raise CheckpointError(
            f"{diffa}: made for a model of {d_model}, {llada} is {config.d_model}"
        )
    shape = model.whisper_model.config
    frames = 2 * shape.max_source_positions
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=out.parent, prefix=f".{out.name}-") as name:
        folder = Path(name) / out.name
        folder.mkdir()
        tokenizer = _copy_tokenizer(llada, folder)
        Manifest(
            name=f"DIFFA with {llada.name}",
            licence=LICENCE,
            attention="bidirectional",
            lm=config,
            prompts=PROMPTS,
            stop=tuple(stop for stop in STOPS if tokenizer.token_to_id(stop) is not None),
            audio=AudioLimits(shape.num_mel_bins, frames * HOP / SAMPLE_RATE_HZ, padded=True),
            decoding=DecodingDefaults(cache="dual"),
        ).write(folder / "model.toml")
        export_encoder(
            model, folder / "encoder.onnx", mels=shape.num_mel_bins, frames=frames, fixed=True
        )
        _compare(model, folder / "encoder.onnx", frames)
        if model.lora:
            merged = read_llada(llada)
            merge_lora(merged, model.lora, diffa)
            _save(merged, folder)
        else:
            for path in sorted(llada.glob("*.safetensors*")):
                if path.name != "vectors.safetensors":
                    shutil.copy(path, folder)
        Checkpoint.open(folder)
        folder.rename(out)
    return Checkpoint.open(out)


def _copy_tokenizer(llada: Path, folder: Path) -> Tokenizer:
    try:
        shutil.copy(llada / "tokenizer.json", folder)
        return Tokenizer.from_file(str(folder / "tokenizer.json"))
    except Exception as error:  # tokenizers raises nothing narrower
        raise CheckpointError(f"{llada / 'tokenizer.json'}: {error}; download it again") from error


def _save(model: LLaDA, folder: Path) -> None:
    """Write the weights as one file, in the names they were published under."""
    save_file(model.state_dict(), folder / "model.safetensors")


@torch.no_grad()
def _compare(model: Diffa, graph: Path, frames: int) -> None:
    """Raise `CheckpointError` unless the graph hears what torch hears."""
    noise = torch.randn(1, model.whisper_model.config.num_mel_bins, frames)
    lengths = torch.tensor([frames])
    feeds = {"features": noise.numpy(), "lengths": lengths.numpy()}
    heard = torch.from_numpy(session(graph, torch.get_num_threads()).run(None, feeds)[0])
    worst = (heard - model(noise, lengths)[0]).abs().max().item()
    if worst > EXPORT_TOLERANCE:
        raise CheckpointError(f"{graph.name}: off by {worst:.1e} from torch; update onnx or torch")
