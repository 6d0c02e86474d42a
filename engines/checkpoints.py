"""Our checkpoint folder: `model.toml`, `tokenizer.json`, `encoder.onnx`, and the language model.

The language model is `lm.onnx` (CPU) or `*.safetensors` with the published names (torch), or both.
"""

import dataclasses
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Self, get_args

from tokenizers import Tokenizer

from engines.shapes import LLaDAConfig

FORMAT = 1
LONGEST_S, MOST_MELS = 600.0, 512
CacheName = Literal["none", "prefix", "dual", "exact"]
AUDIO = "{audio}"
"""Where a prompt's text has the prefix."""
TEXT = "{text}"
"""Where a prompt's text has the caller's own words."""


class CheckpointError(Exception):
    """A folder that cannot be used: one line that names the file and what to do."""


@dataclass(frozen=True, slots=True)
class AudioLimits:
    """What the encoder takes."""

    mels: int = 80
    longest_s: float = 30.0
    """Longer audio is cut."""
    padded: bool = False
    """Every clip is padded to the longest, as Whisper wants it."""


@dataclass(frozen=True, slots=True)
class DecodingDefaults:
    """How responses are decoded unless a request says otherwise."""

    block_length: int = 32
    max_new_tokens: int = 64
    threshold: float = 0.9
    cache: CacheName = "exact"
    cautious_end: bool = False
    """See `engines.schedule.Schedule`."""
    least_surety: float = 0.0
    """Mean probability of an answer's tokens below which it is better not given."""


@dataclass(frozen=True, slots=True)
class Manifest:
    """What `model.toml` says."""

    name: str
    licence: str
    attention: Literal["bidirectional", "block-causal"]
    lm: LLaDAConfig
    prompts: Mapping[str, str]
    """Text of each prompt by name; see `AUDIO` and `TEXT`."""
    stop: tuple[str, ...]
    """Tokens that end a response; the first also fills what is left of a block."""
    audio: AudioLimits = field(default_factory=AudioLimits)
    decoding: DecodingDefaults = field(default_factory=DecodingDefaults)

    @classmethod
    def read(cls, path: Path) -> Self:
        """Parse a `model.toml`; raise `CheckpointError` that names what is wrong with it."""
        try:
            table = tomllib.loads(path.read_text("utf-8"))
        except OSError as error:
            raise CheckpointError(
                f"{path}: {error.strerror}; point at a folder with a model.toml"
            ) from error
        except ValueError as error:
            raise CheckpointError(f"{path}: {error}; convert the model again") from error
        if table.pop("format", None) != FORMAT:
            raise CheckpointError(f"{path}: not of format {FORMAT}; convert the model again")
        try:
            manifest: Self = _build(cls, table, "")
        except (TypeError, ValueError) as error:
            raise CheckpointError(f"{path}: {error}; convert the model again") from error
        for wrong in manifest.problems():
            raise CheckpointError(f"{path}: {wrong}; convert the model again")
        return manifest

    def problems(self) -> Iterator[str]:
        """Say what is out of bounds."""
        if self.attention not in ("bidirectional", "block-causal"):
            yield "attention is neither bidirectional nor block-causal"
        for name, text in self.prompts.items():
            if not isinstance(text, str):
                yield f"prompts.{name} is no text"
        if not 0 < self.audio.longest_s <= LONGEST_S or not 1 <= self.audio.mels <= MOST_MELS:
            yield "audio is out of bounds"
        if self.decoding.cache not in get_args(CacheName):
            yield f"decoding.cache is none of {', '.join(get_args(CacheName))}"
        if min(self.decoding.block_length, self.decoding.max_new_tokens) < 1:
            yield "decoding.block_length and max_new_tokens must be at least 1"
        if not 0 < self.decoding.threshold <= 1:
            yield "decoding.threshold must be above 0 and at most 1"

    def write(self, path: Path) -> None:
        """Write the `model.toml`."""
        lines = [f"format = {FORMAT}", *_toml(dataclasses.asdict(self), "")]
        path.write_text("\n".join(lines) + "\n", "utf-8")


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A folder that holds what it should."""

    folder: Path
    manifest: Manifest
    tokenizer: Tokenizer
    stop_ids: tuple[int, ...]

    @classmethod
    def open(cls, folder: Path) -> Self:
        """Check a folder without reading its weights; raise `CheckpointError` for any other."""
        if not folder.is_dir():
            raise CheckpointError(f"{folder}: no such folder; give one with a model.toml")
        manifest = Manifest.read(folder / "model.toml")
        tokenizer = read_tokenizer(folder / "tokenizer.json", manifest)
        checkpoint = cls(folder, manifest, tokenizer, _stop_ids(folder, manifest, tokenizer))
        if not checkpoint.encoder.is_file():
            raise CheckpointError(f"{checkpoint.encoder}: missing; convert the model again")
        if not checkpoint.lm_graph.is_file() and not checkpoint.lm_weights:
            raise CheckpointError(f"{folder}: neither lm.onnx nor *.safetensors; convert again")
        return checkpoint

    @property
    def encoder(self) -> Path:
        """The graph of encoder and adapters."""
        return self.folder / "encoder.onnx"

    @property
    def words(self) -> Path:
        """The words that what the encoder spells is read in; see `engines.words`."""
        return self.folder / "words.npz"

    @property
    def stock(self) -> Path:
        """The questions that the model knows by heart; see `engines.stock`."""
        return self.folder / "stock.json"

    @property
    def lm_graph(self) -> Path:
        """The graph of the language model, if there is one."""
        return self.folder / "lm.onnx"

    @property
    def lm_weights(self) -> list[Path]:
        """The weights of the language model, if there are any."""
        return sorted(self.folder.glob("*.safetensors"))

    @property
    def forbidden(self) -> list[int]:
        """Ids never to decode: the mask, and rows of the embedding that name no token."""
        rows = range(self.tokenizer.get_vocab_size(), self.manifest.lm.embedding_size)
        return [self.manifest.lm.mask_token_id, *rows]


def read_tokenizer(path: Path, manifest: Manifest) -> Tokenizer:
    """Read a `tokenizer.json`; raise `CheckpointError` for one that does not fit the model."""
    if not path.is_file():
        raise CheckpointError(f"{path}: missing; convert the model again")
    try:
        tokenizer = Tokenizer.from_file(str(path))
    except Exception as error:  # tokenizers raises nothing narrower
        raise CheckpointError(f"{path}: {error}; convert the model again") from error
    size, rows = tokenizer.get_vocab_size(), manifest.lm.embedding_size
    if not manifest.lm.mask_token_id < size <= rows:
        raise CheckpointError(
            f"{path}: {size} tokens do not fit an embedding of {rows} rows with mask "
            f"{manifest.lm.mask_token_id}; it belongs to another model"
        )
    return tokenizer


def _stop_ids(folder: Path, manifest: Manifest, tokenizer: Tokenizer) -> tuple[int, ...]:
    ids = []
    for token in manifest.stop:
        number = tokenizer.token_to_id(token)
        if number is None:
            raise CheckpointError(f"{folder / 'model.toml'}: stop token {token!r} is not a token")
        ids.append(number)
    if not ids:
        raise CheckpointError(f"{folder / 'model.toml'}: no stop token; name at least one")
    return tuple(ids)


def _build(kind: Any, table: Mapping[str, Any], where: str) -> Any:
    """Fill a dataclass from a table; raise `ValueError` for keys and types that do not fit."""
    values = {}
    fields = {each.name: each for each in dataclasses.fields(kind)}
    for key, value in table.items():
        if key not in fields:
            raise ValueError(f"unknown key {where}{key}")
        wanted = fields[key].type
        if dataclasses.is_dataclass(wanted):
            if not isinstance(value, dict):
                raise ValueError(f"{where}{key} must be a table")
            values[key] = _build(wanted, value, f"{where}{key}.")
        elif key == "stop":
            values[key] = tuple(map(str, value))
        else:
            simple = wanted if isinstance(wanted, type) else dict if key == "prompts" else str
            fits = float | int if simple is float else simple
            if not isinstance(value, fits) or (simple is int and isinstance(value, bool)):
                raise ValueError(f"{where}{key} must be of type {simple.__name__}, not {value!r}")
            values[key] = value
    return kind(**values)


def _toml(table: Mapping[str, Any], name: str) -> list[str]:
    """Render a table: its values, then its sub-tables."""
    import json

    lines = [f"\n[{name}]"] if name else []
    for key, value in table.items():
        if not isinstance(value, Mapping):
            # JSON's strings, numbers, lists and booleans are TOML's too
            lines.append(f"{key} = {json.dumps(value, ensure_ascii=False)}")
    for key, value in table.items():
        if isinstance(value, Mapping):
            lines += _toml(value, f"{name}.{key}".lstrip("."))
    return lines
