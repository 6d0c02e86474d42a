"""From trained weights to a checkpoint folder that the assistant runs."""

import os
import shutil
import tempfile
from pathlib import Path

from engines.checkpoints import AudioLimits, DecodingDefaults, Manifest
from engines.export import export_encoder, export_lm
from engines.nano_model import Nano
from engines.narrow import narrow
from engines.stock import Questions
from engines.words import WordModel

PROMPTS = {name: f"{{audio}}<|{name}|>" for name in ("transcribe", "answer", "describe")}
WHISPER_NOTICE = Path(__file__).parents[1] / "nano" / "whisper.LICENSE"
"""Goes wherever Whisper's weights go."""
LONGEST_S = 15.0
LEAST_SURETY = 0.97
"""Of what neither plugins nor the stock know, nano answers hardly anything right, and it is rarely
that sure: it says that it has no answer."""


def ship(
    model: Nano,
    tokenizer: Path,
    words: WordModel,
    stock: Questions,
    folder: Path,
    *,
    name: str,
    int8: bool,
) -> None:
    """Write graphs, `tokenizer.json`, `words.npz`, `stock.json` and `model.toml` into `folder`.

    The files are made beside it and moved in together; what else the folder holds stays.
    """
    config = model.config
    special = range(2, 16)  # prompts and spare tokens are read, never said
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent) as scratch:
        draft = Path(scratch)
        export_encoder(
            model.speech,
            draft / "encoder.onnx",
            mels=config.encoder.mels,
            spells=True,
            int8=int8,
        )
        forbidden = [config.lm.mask_token_id, *special]
        export_lm(model.lm, draft / "lm.onnx", forbidden=forbidden)
        if int8:  # position by position, so that no answer depends on what is answered beside it
            narrow(draft / "lm.onnx", draft / "lm.onnx")
        shutil.copy(tokenizer, draft / "tokenizer.json")
        if config.encoder.whisper is not None:
            shutil.copy(WHISPER_NOTICE, draft)
        words.write(draft / "words.npz")
        stock.write(draft / "stock.json")
        Manifest(
            name=name,
            licence="MIT",
            attention="block-causal",
            lm=config.lm,
            prompts=PROMPTS,
            stop=("<|endoftext|>",),
            audio=AudioLimits(mels=config.encoder.mels, longest_s=LONGEST_S, padded=False),
            decoding=DecodingDefaults(
                block_length=config.block_length,
                max_new_tokens=64,
                threshold=0.9,
                cache="exact",
                cautious_end=True,
                least_surety=LEAST_SURETY,
            ),
        ).write(draft / "model.toml")
        for file in draft.iterdir():
            os.replace(file, folder / file.name)
