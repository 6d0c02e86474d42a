"""Downloads the three published models from Hugging Face."""

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from engines.checkpoints import CheckpointError
from engines.memory import size_of

Download = Callable[[str, list[str]], str]
"""Fetches the files of a repository that match the patterns; returns the folder."""


@dataclass(frozen=True, slots=True)
class Published:
    """A model where it is published."""

    repository: str
    files: tuple[str, ...]
    size: int
    """Bytes of those files, roughly."""


WHISPER = Published("openai/whisper-small", ("config.json", "model.safetensors"), 970_000_000)
DIFFA = Published("zhoujiaming777/DIFFA", ("config.json", "pytorch_model.bin"), 150_000_000)
LLADA = Published(
    "GSAI-ML/LLaDA-8B-Instruct",
    ("config.json", "tokenizer.json", "*.safetensors", "model.safetensors.index.json"),
    16_100_000_000,
)


def fetch(published: Published, source: str | None, download: Download | None = None) -> Path:
    """Return a folder with a model: `source` if it is one, or else a repository that was fetched.

    `source` may name another repository than the published one. What was downloaded before is not
    downloaded again. Raises `CheckpointError` for what cannot be reached.
    """
    if source and Path(source).is_dir():
        return Path(source)
    repository = source or published.repository
    if repository.count("/") != 1 or repository.startswith((".", "/")):
        raise CheckpointError(f"{repository}: neither a folder nor a repository OWNER/NAME")
    if download is None:
        download = _from_hub(published.size)
    try:
        return Path(download(repository, list(published.files)))
    except CheckpointError:
        raise
    except Exception as error:  # the client's own, httpx's and the system's share no base
        lines = str(error).splitlines() or [type(error).__name__]
        raise CheckpointError(
            f"{repository} cannot be downloaded from Hugging Face: {lines[0]}; is there a network? "
            "Or name a folder that holds it"
        ) from error


def _from_hub(size: int) -> Download:
    """Use the hub's own client, which shows its progress and goes on where it was broken off."""
    try:
        from huggingface_hub import constants, snapshot_download
    except ImportError as error:
        raise CheckpointError(
            f"downloading needs huggingface_hub: install assistant[hub] ({error})"
        ) from error

    def download(repository: str, files: list[str]) -> str:
        cache = Path(constants.HF_HUB_CACHE)
        there = next(each for each in [cache, *cache.parents] if each.is_dir())
        kept = cache / f"models--{repository.replace('/', '--')}"
        if not kept.is_dir() and shutil.disk_usage(there).free < size:
            raise CheckpointError(
                f"{repository} takes {size_of(size)}, and {there} has "
                f"{size_of(shutil.disk_usage(there).free)} free; set HF_HOME to a larger disk"
            )
        return str(snapshot_download(repository, allow_patterns=files))

    return download
