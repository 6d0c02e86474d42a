"""Which model a run was made with, to the bit."""

import hashlib
from pathlib import Path


def model_hash(folder: Path) -> str:
    """SHA-256 over the names and contents of what a checkpoint folder computes with."""
    whole = hashlib.sha256()
    wanted = {".toml", ".onnx", ".data", ".safetensors"}
    for path in sorted(folder.iterdir()):
        if path.suffix in wanted or path.name == "tokenizer.json":
            with path.open("rb") as file:
                whole.update(
                    f"{path.name} {hashlib.file_digest(file, 'sha256').hexdigest()}\n".encode()
                )
    return whole.hexdigest()
