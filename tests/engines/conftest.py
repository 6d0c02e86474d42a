"""A tiny random model, exported once."""

from pathlib import Path

import pytest
from tokenizers import Tokenizer, models, pre_tokenizers

from engines.checkpoints import AudioLimits, DecodingDefaults, Manifest
from engines.shapes import LLaDAConfig

SHAPE = LLaDAConfig(
    d_model=32,
    n_layers=2,
    n_heads=2,
    mlp_hidden_size=48,
    embedding_size=40,
    mask_token_id=1,
    eos_token_id=0,
    rope_theta=10_000.0,
    max_sequence_length=256,
)
WORDS = ["<|endoftext|>", "<|mask|>", "<|transcribe|>", "<|answer|>", *(f"w{i}" for i in range(32))]


@pytest.fixture(scope="session", autouse=True)
def one_thread():
    """Threads that wait for each other gain nothing on matrices this small."""
    torch = pytest.importorskip("torch")
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def tiny_lm():
    torch = pytest.importorskip("torch")
    from engines.llada import LLaDA

    torch.manual_seed(1)
    model = LLaDA(SHAPE).eval()
    model.init_weights(std=0.4)
    return model


@pytest.fixture(scope="session")
def tiny_folder(tmp_path_factory: pytest.TempPathFactory, tiny_lm) -> Path:
    """A checkpoint folder whose words are w0 to w31; four ids are left without a token."""
    import torch
    from torch import nn

    from engines.export import export_encoder, export_lm

    class Encoder(nn.Module):
        def __init__(self):
            super().__init__()
            self.project = nn.Conv1d(80, SHAPE.d_model, 8, stride=8)

        def forward(self, features, lengths):
            return self.project(features).transpose(1, 2), lengths // 8

    folder = tmp_path_factory.mktemp("tiny")
    torch.manual_seed(2)
    export_encoder(Encoder(), folder / "encoder.onnx")
    export_lm(tiny_lm, folder / "lm.onnx", forbidden=[1, 36, 37, 38, 39])
    tokenizer = Tokenizer(models.WordLevel({word: i for i, word in enumerate(WORDS)}, WORDS[0]))
    tokenizer.add_special_tokens(WORDS[:4])
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.save(str(folder / "tokenizer.json"))
    Manifest(
        name="tiny",
        licence="MIT",
        attention="block-causal",
        lm=SHAPE,
        prompts={"transcribe": "{audio}<|transcribe|>", "say": "w1 {audio} {text}"},
        stop=("<|endoftext|>",),
        audio=AudioLimits(longest_s=10.0),
        decoding=DecodingDefaults(block_length=4, max_new_tokens=12, threshold=0.3),
    ).write(folder / "model.toml")
    return folder
