"""The golden models with a tokenizer of words, and pairs of hums about which something is said."""

import json
import shutil
from pathlib import Path

import numpy as np
import soundfile
import torch
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer, models, pre_tokenizers

from engines.llada import LLaDA
from engines.published import Diffa, check_llada, read_diffa, read_llada
from engines.training.diffa.batches import Limits, MicroBatches
from engines.training.diffa.pairs import read_pairs
from engines.training.diffa.recipe import Options, Sources
from tests.training.conftest import hum

STAGES = ("align", "instruct")

GOLDEN = Path(__file__).parents[1] / "golden"
GOLDEN_WHISPER = GOLDEN / "diffa-tiny" / "whisper"
GOLDEN_ADAPTERS = GOLDEN / "diffa-tiny" / "diffa"
END, MASK = 696, 697
SPECIAL = "<|startoftext|> <|start_header_id|> <|end_header_id|> <|eot_id|>".split()
SAID = "system user assistant You are a helpful voice assistant This is the audio < > . : ,".split()
WORDS = "turn on the light stop a man woman speaks what who Write down said no more".split()

CONFIG = """
seed = 1
epochs = {epochs}
batch = 4
micro_batch = 2
save_every = 2
precision = "float32"
workers = 0
[schedule]
learning_rate = {rate}
warmup = 2
decay = "cosine"
"""


def write_llada(folder: Path) -> Path:
    """The golden language model, and a tokenizer that knows the words of these tests."""
    shutil.copytree(GOLDEN / "llada-tiny", folder)
    known = dict.fromkeys([*SPECIAL, *SAID, *WORDS])
    words = {f"t{i}": i for i in range(len(known), 704) if i not in (END, MASK)}
    words |= {"<|endoftext|>": END, "<|mdm_mask|>": MASK}
    words |= {word: number for number, word in enumerate(known)}
    tokenizer = Tokenizer(models.WordLevel(words, "t100"))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Punctuation()]
    )
    tokenizer.add_special_tokens([*SPECIAL, "<|endoftext|>", "<|mdm_mask|>"])
    tokenizer.save(str(folder / "tokenizer.json"))
    return folder


def write_whisper(folder: Path, seconds: int = 1) -> Path:
    """The golden encoder with a window of `seconds`: thirty times the speed, the same numbers."""
    shutil.copytree(GOLDEN_WHISPER, folder)
    config = json.loads((folder / "config.json").read_text())
    config["max_source_positions"] = frames = 50 * seconds
    (folder / "config.json").write_text(json.dumps(config))
    tensors = load_file(folder / "model.safetensors")
    name = next(name for name in tensors if name.endswith("encoder.embed_positions.weight"))
    tensors[name] = tensors[name][:frames].clone()
    save_file(tensors, folder / "model.safetensors")
    return folder


def write_adapters(folder: Path) -> Path:
    """The golden adapters without their own copy of the encoder, whose window is another."""
    shutil.copytree(GOLDEN_ADAPTERS, folder)
    path = folder / "pytorch_model.bin"
    tensors = torch.load(path, weights_only=True)
    torch.save({n: t for n, t in tensors.items() if not n.startswith("whisper_model.")}, path)
    return folder


def write_pairs(folder: Path, count: int = 6, **changes) -> Path:
    """Two pairs for each of `count` hums."""
    folder.mkdir(exist_ok=True)
    rng = np.random.default_rng(2)
    rows = []
    for number in range(count):
        seconds = rng.uniform(0.3, 0.9)
        soundfile.write(folder / f"{number}.wav", hum(rng, seconds), 16_000)
        text = " ".join(rng.choice(WORDS[:5], 3))
        for asked, target in (("what", text), ("who", "a man")):
            row = {"audio_id": f"{number}", "audio_filepath": f"{number}.wav"}
            row |= {"transcription": text, "input": asked, "target": target, "dataset": "hums"}
            rows.append(row | {"duration": seconds, "seed_transcript": ""} | changes)
    path = folder / "pairs.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def write_config(path: Path, epochs: float = 1.0, rate: float = 1e-3) -> Path:
    path.write_text(CONFIG.format(epochs=epochs, rate=rate))
    return path


def write_place(folder: Path) -> Path:
    """All of it: models, pairs and numbers to train with."""
    write_llada(folder / "llada")
    write_whisper(folder / "whisper")
    write_adapters(folder / "adapters")
    write_pairs(folder / "data")
    write_config(folder / "few.toml")
    return folder


def sources(place: Path, **changes) -> Sources:
    names = {"whisper": "whisper", "llada": "llada", "pairs": "data/pairs.jsonl"}
    return Sources(**{key: place / name for key, name in names.items()} | changes)


def options(place: Path, **changes) -> Options:
    return Options(**{"config": place / "few.toml", "threads": 1, "device": "cpu"} | changes)


def batches(place: Path, stage, size: int = 2) -> MicroBatches:
    pairs = read_pairs(place / "data" / "pairs.jsonl", stage, 1.0).kept
    tokenizer = Tokenizer.from_file(str(place / "llada" / "tokenizer.json"))
    lm = check_llada(place / "llada")
    return MicroBatches(pairs, tokenizer, lm, Limits(80, 100, 76), size=size, seed=1)


def models_of(place: Path) -> tuple[Diffa, LLaDA]:
    return read_diffa(place / "adapters", place / "whisper"), read_llada(place / "llada")


def assert_equal(left, right) -> None:
    assert left.keys() == right.keys()
    for name, tensor in left.items():
        assert torch.equal(tensor, right[name]), name
