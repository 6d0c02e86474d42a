"""Speech recognisers of others, to stand beside our own engine.

Each is an optional package: `assistant[peers]` brings the first, the others where installed.
"""

import json
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

SAMPLE_RATE_HZ = 16_000
WHISPER, VOSK = "WHISPER_MODEL", "VOSK_MODEL"
"""Names of the environment's choice of a model."""

Wave = NDArray[np.float32]
"""Mono samples at 16 kHz in -1..1, [samples]."""


class PeerError(ValueError):
    """A recogniser that is unknown, not installed or without a model; the message helps."""


@dataclass(frozen=True, slots=True)
class Word:
    """A word as a recogniser heard it."""

    text: str
    """As the recogniser writes it; empty for a noise or a breath, which nothing is known of."""
    begin: int
    """First sample."""
    end: int
    """First sample after it."""
    probability: float


class Peer(Protocol):
    """Someone else's speech recogniser. Use it from one thread at a time."""

    name: str
    """What it is, with its version or model, for a report."""

    def transcribe(self, audio: Wave) -> str:
        """The words of a recording, empty where none were heard."""
        ...

    def words(self, audio: Wave) -> list[Word]:
        """The same, one by one and in order, silences left out."""
        ...


def open_peer(name: str) -> Peer:
    """Load a recogniser of `PEERS`; raises `PeerError`."""
    if name not in PEERS:
        raise PeerError(f"no recogniser {name!r}; use one of {', '.join(PEERS)}")
    opener, package, called = PEERS[name]
    try:
        return opener()
    except ImportError as error:
        raise PeerError(f"{name} is not installed: pip install {package} ({error})") from error
    except Exception as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0].rstrip(".")
        raise PeerError(
            f"{called()} cannot be loaded: {reason}{_REMEDIES.get(name, '')}"
        ) from error


def peer_name(name: str) -> str:
    """What `open_peer` would load, with its version or model; the name alone if it is not there."""
    try:
        return PEERS[name][2]()
    except (KeyError, PackageNotFoundError):
        return name


def _pocketsphinx() -> str:
    return f"pocketsphinx {version('pocketsphinx')}"


def _faster_whisper() -> str:
    return f"faster-whisper {os.environ.get(WHISPER, 'base.en')}"


def _vosk() -> str:
    return f"vosk {os.environ.get(VOSK) or 'small en-us'}"


class _PocketSphinx:
    """CMU PocketSphinx with the English model its package carries."""

    def __init__(self) -> None:
        from pocketsphinx import Decoder

        self.name = _pocketsphinx()
        self._decoder = Decoder(samprate=SAMPLE_RATE_HZ, loglevel="FATAL")

    def transcribe(self, audio: Wave) -> str:
        self._hear(audio)
        found = self._decoder.hyp()
        return str(found.hypstr) if found else ""

    def words(self, audio: Wave) -> list[Word]:
        self._hear(audio)
        return [
            Word(
                "" if segment.word.startswith(("<", "[", "+")) else segment.word.partition("(")[0],
                segment.start_frame * _SPHINX_FRAME,
                (segment.end_frame + 1) * _SPHINX_FRAME,
                float(segment.prob),
            )
            for segment in self._decoder.seg() or ()
            if segment.word not in _SPHINX_SILENCES
        ]

    def _hear(self, audio: Wave) -> None:
        self._decoder.start_utt()
        # whole, so that the loudness is levelled over all of it and no utterance colours the next
        self._decoder.process_raw(_pcm(audio), no_search=False, full_utt=True)
        self._decoder.end_utt()


_SPHINX_FRAME = 160
"""Samples of a frame of the recogniser."""
_SPHINX_SILENCES = frozenset({"<s>", "</s>", "<sil>", "(NULL)"})


class _FasterWhisper:
    """Whisper on CTranslate2; the environment's WHISPER_MODEL names a size or a folder."""

    def __init__(self) -> None:
        from faster_whisper import WhisperModel

        model = os.environ.get(WHISPER, "base.en")
        self.name = _faster_whisper()
        self._model = WhisperModel(model, compute_type="auto")

    def transcribe(self, audio: Wave) -> str:
        segments, _ = self._model.transcribe(audio, language="en")
        return " ".join(segment.text.strip() for segment in segments)

    def words(self, audio: Wave) -> list[Word]:
        segments, _ = self._model.transcribe(
            audio, language="en", word_timestamps=True, condition_on_previous_text=False
        )
        return [
            _timed(word.word.strip(), word.start, word.end, word.probability)
            for segment in segments
            for word in segment.words
        ]


class _Vosk:
    """Vosk; the environment's VOSK_MODEL names a model folder, else the small English one."""

    def __init__(self) -> None:
        import vosk

        class Model(vosk.Model):  # type: ignore[misc]
            def __del__(self) -> None:
                # the package's own complains of a model that could not be loaded
                if hasattr(self, "_handle"):
                    super().__del__()

        vosk.SetLogLevel(-1)
        folder = os.environ.get(VOSK)
        self.name = _vosk()
        self._vosk = vosk
        self._model = Model(folder) if folder else Model(lang="en-us")

    def transcribe(self, audio: Wave) -> str:
        return " ".join(str(part.get("text", "")) for part in self._hear(audio)).strip()

    def words(self, audio: Wave) -> list[Word]:
        return [
            _timed(word["word"], word["start"], word["end"], word["conf"])
            for part in self._hear(audio)
            for word in part.get("result", ())
        ]

    def _hear(self, audio: Wave) -> Iterator[dict[str, Any]]:
        recogniser = self._vosk.KaldiRecognizer(self._model, SAMPLE_RATE_HZ)
        recogniser.SetWords(True)
        if recogniser.AcceptWaveform(_pcm(audio)):
            yield json.loads(recogniser.Result())
        yield json.loads(recogniser.FinalResult())


def _timed(text: str, begin_s: float, end_s: float, probability: float) -> Word:
    begin, end = (round(time * SAMPLE_RATE_HZ) for time in (begin_s, end_s))
    return Word(text, begin, end, probability)


def _pcm(audio: Wave) -> bytes:
    """Sixteen-bit samples, as a recogniser written in C wants them."""
    return (np.clip(audio, -1, 1) * 32767).astype("<i2").tobytes()


PEERS: dict[str, tuple[Callable[[], Peer], str, Callable[[], str]]] = {
    "pocketsphinx": (_PocketSphinx, "'assistant[peers]'", _pocketsphinx),
    "faster-whisper": (_FasterWhisper, "faster-whisper", _faster_whisper),
    "vosk": (_Vosk, "vosk", _vosk),
}
"""Recognisers by name, what to install for each, and what each is called in full."""

_REMEDIES = {
    "faster-whisper": f"; {WHISPER} may name a folder with a model of CTranslate2",
    "vosk": f"; {VOSK} may name a folder with a model of alphacephei.com",
}
"""What helps where a model cannot be downloaded."""
