"""Makes a checkpoint folder of the three published ones: Whisper, DIFFA, LLaDA."""

import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

import torch
from safetensors.torch import save_file
from tokenizers import Tokenizer

from engines.backends.onnx import session
from engines.checkpoints import (
    AudioLimits,
    Checkpoint,
    CheckpointError,
    DecodingDefaults,
    Manifest,
    read_tokenizer,
)
from engines.export import export_encoder
from engines.features import HOP, SAMPLE_RATE_HZ
from engines.llada import LLaDA
from engines.lora import merge_lora
from engines.memory import FreeBytes, check_memory, free_bytes, lm_bytes
from engines.prompts import END_OF_TURN, PROMPTS
from engines.published import Diffa, check_llada, read_diffa, read_llada
from engines.shapes import LLaDAConfig

LICENCE = "DIFFA: non-commercial use only; LLaDA and Whisper: MIT"
EXPORT_TOLERANCE, HALF_TOLERANCE = 1e-3, 5e-2
STOPS = (END_OF_TURN, "<|endoftext|>")


def convert(
    *,
    whisper: Path,
    diffa: Path,
    llada: Path,
    out: Path,
    half: bool = False,
    progress: Callable[[str], None] = lambda _: None,
    free: FreeBytes = free_bytes,
) -> Checkpoint:
    """Write the folder `out`, whole or not at all; with `half` the encoder is in float16, for CUDA.

    `progress` is told what begins. Raises `CheckpointError` for bad input, and for too little
    memory before anything is read.
    """
    if out.exists():
        raise CheckpointError(f"{out}: is there already; name a new folder")
    config = check_llada(llada)
    check_memory("the conversion", _needed(whisper, diffa), "cpu", free=free)
    progress(f"reading {whisper} and {diffa}")
    model = read_diffa(diffa, whisper)
    d_model = model.trainable_prompts.embedding_dim
    if d_model != config.d_model:
        raise CheckpointError(
            f"{diffa}: made for a model of {d_model}, {llada} is {config.d_model}"
        )
    if model.lora:
        merged = lm_bytes(config, "bfloat16")
        check_memory("merging the low-rank updates", merged, "cpu", free=free)
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=out.parent, prefix=f".{out.name}-") as name:
            folder = Path(name) / out.name
            folder.mkdir()
            _write(model, config, llada, folder, half=half, progress=progress)
            Checkpoint.open(folder)
            folder.rename(out)
    except OSError as error:
        raise CheckpointError(f"{out}: {error.strerror or error}; nothing was written") from error
    return Checkpoint.open(out)


def _needed(*folders: Path) -> int:
    """Bytes to read some models, export them and run the result beside them."""
    suffixes = (".safetensors", ".bin")
    files = [each for folder in folders if folder.is_dir() for each in folder.iterdir()]
    return 4 * sum(each.stat().st_size for each in files if each.suffix in suffixes)


def _write(
    model: Diffa,
    config: LLaDAConfig,
    llada: Path,
    folder: Path,
    *,
    half: bool,
    progress: Callable[[str], None],
) -> None:
    """Fill the folder."""
    shape = model.whisper_model.config
    frames = 2 * shape.max_source_positions
    tokenizer = _copy_tokenizer(llada, folder)
    manifest = Manifest(
        name=f"DIFFA with {llada.name}",
        licence=LICENCE,
        attention="bidirectional",
        lm=config,
        prompts=PROMPTS,
        stop=tuple(stop for stop in STOPS if tokenizer.token_to_id(stop) is not None),
        audio=AudioLimits(shape.num_mel_bins, frames * HOP / SAMPLE_RATE_HZ, padded=True),
        decoding=DecodingDefaults(cache="dual"),
    )
    manifest.write(folder / "model.toml")
    read_tokenizer(llada / "tokenizer.json", manifest)  # before the minutes that follow
    progress("exporting encoder and adapters as one graph")
    graph = folder / "encoder.onnx"
    export_encoder(model, graph, mels=shape.num_mel_bins, frames=frames, fixed=True, half=half)
    progress("comparing the graph with torch")
    _compare(model, graph, frames, HALF_TOLERANCE if half else EXPORT_TOLERANCE)
    if model.lora:
        progress("merging the low-rank updates into the language model")
        merged = read_llada(llada)
        merge_lora(merged, model.lora, llada)
        _save(merged, folder)
        return
    for path in sorted(llada.glob("*.safetensors*")):
        if path.name != "vectors.safetensors":
            progress(f"taking over {path.name}")
            _take_over(path, folder / path.name)
    if not any(folder.glob("*.safetensors")):  # published as .bin
        _save(read_llada(llada), folder)


def _take_over(path: Path, target: Path) -> None:
    """Link a file that is never changed, or copy it where links cannot be."""
    try:
        os.link(path.resolve(), target)
    except OSError:
        shutil.copy(path, target)


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
def _compare(model: Diffa, graph: Path, frames: int, tolerance: float) -> None:
    """Raise `CheckpointError` unless the graph hears what torch hears."""
    noise = torch.randn(1, model.whisper_model.config.num_mel_bins, frames)
    lengths = torch.tensor([frames])
    feeds = {"features": noise.numpy(), "lengths": lengths.numpy()}
    heard = torch.from_numpy(session(graph, torch.get_num_threads()).run(None, feeds)[0])
    worst = (heard - model(noise, lengths)[0]).abs().max().item()
    if not worst <= tolerance:  # nor is it a number
        raise CheckpointError(f"{graph.name}: off by {worst:.1e} from torch; update onnx or torch")
