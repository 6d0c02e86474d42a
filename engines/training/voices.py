"""The voices that speak the training sentences: espeak-ng, flite and festival.

Some voices are held out whole: no model is ever trained on them, so that what is measured with
them says how a stranger is understood.
"""

import io
import random
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
import soxr
from numpy.typing import NDArray

SAMPLE_RATE_HZ = 16_000
TIMEOUT_S = 30.0

_ESPEAK_ACCENTS = {
    "en-us": 6, "en-gb": 3, "en-029": 1, "en-gb-scotland": 1,
    "en-gb-x-gbclan": 1, "en-gb-x-gbcwmd": 1, "en-us-nyc": 2,
}  # fmt: skip
_ESPEAK_MEN = (
    "m1 m2 m3 m4 m5 m6 m7 m8 Alex Andy Denis Diogo Gene Gene2 Henrique Hugo Jacky Lee Marco Mario "
    "Michael Mike Storm antonio ed edward edward2 iven iven2 john max michel miguel norbert pablo "
    "paul pedro quincy rob robert sandro steph2 victor klatt klatt2 klatt4 boris caleb"
).split()
_ESPEAK_WOMEN = (
    "f1 f2 f3 f4 f5 Alicia Annie anika aunty belinda steph steph3 shelby zac klatt3 grandma".split()
)
_FLITE = {"slt": "female", "awb": "male", "kal16": "male", "rms": "male"}
_FESTIVAL = {"kal_diphone": "male", "cmu_us_slt_arctic_hts": "female"}

HELD_OUT = frozenset({"flite/rms", "espeak-ng/Andrea", "espeak-ng/linda", "espeak-ng/adam",
                      "espeak-ng/benjamin", "espeak-ng/travis"})  # fmt: skip
"""Engine and voice names that are never trained on."""


class VoiceError(RuntimeError):
    """A speech engine is missing, or did not speak; the message names it and the remedy."""


@dataclass(frozen=True, slots=True)
class Voice:
    """One way of speaking."""

    engine: str
    name: str
    gender: str
    accent: str = "en-us"
    words_per_minute: int = 170
    pitch: int = 50
    """espeak-ng's scale, 0 to 99."""

    @property
    def key(self) -> str:
        """What a voice is held out by, and reported under."""
        return f"{self.engine}/{self.name}"


def engines() -> list[str]:
    """The speech engines this machine has; raises `VoiceError` when it has none."""
    found = [name for name in ("espeak-ng", "flite", "festival") if shutil.which(name)]
    if not found:
        raise VoiceError("no speech engine found: install espeak-ng, flite or festival")
    return found


def pick(rng: random.Random, available: list[str]) -> Voice:
    """A random voice that training may hear."""
    weights = {"espeak-ng": 60, "flite": 39, "festival": 1}
    engine = rng.choices(available, [weights[e] for e in available])[0]
    if engine == "flite":
        names = [name for name in _FLITE if f"flite/{name}" not in HELD_OUT]
        name = rng.choice(names)
        return Voice("flite", name, _FLITE[name], words_per_minute=rng.randint(135, 215))
    if engine == "festival":
        name = rng.choice(list(_FESTIVAL))
        return Voice("festival", name, _FESTIVAL[name])
    gender, names = rng.choice([("male", _ESPEAK_MEN), ("female", _ESPEAK_WOMEN)])
    accents = list(_ESPEAK_ACCENTS)
    return Voice(
        "espeak-ng",
        rng.choice(names),
        gender,
        rng.choices(accents, [_ESPEAK_ACCENTS[a] for a in accents])[0],
        rng.randint(125, 215),
        rng.randint(25, 75),
    )


def held_out_voices() -> list[Voice]:
    """The voices for measuring, one of each name."""
    women = {"Andrea", "linda"}
    return [Voice("flite", "rms", "male")] + [
        Voice("espeak-ng", name.partition("/")[2], "female" if name[10:] in women else "male")
        for name in sorted(HELD_OUT)
        if name.startswith("espeak-ng/")
    ]


def speak(voice: Voice, text: str) -> NDArray[np.int16]:
    """`text` in that voice: mono samples at 16 kHz, silence trimmed from both ends.

    Raises `VoiceError` when the engine is missing, fails or says nothing.
    """
    engine = {"espeak-ng": _espeak, "flite": _flite, "festival": _festival}[voice.engine]
    try:
        wav = engine(voice, text)
        samples, rate = soundfile.read(io.BytesIO(wav), dtype="float32", always_2d=True)
    except FileNotFoundError as error:
        raise VoiceError(f"{voice.engine} is not installed") from error
    except (subprocess.SubprocessError, soundfile.LibsndfileError) as error:
        raise VoiceError(f"{voice.key} could not say {text!r}: {error}") from error
    mono = samples.mean(axis=1)
    if rate != SAMPLE_RATE_HZ:
        mono = soxr.resample(mono, rate, SAMPLE_RATE_HZ)
    loud = np.flatnonzero(np.abs(mono) > 0.005)
    if len(loud) < SAMPLE_RATE_HZ // 20:
        raise VoiceError(f"{voice.key} said nothing for {text!r}")
    mono = mono[max(0, loud[0] - 800) : loud[-1] + 800]
    return (mono * (0.6 / np.abs(mono).max()) * 32767).astype(np.int16)


def _espeak(voice: Voice, text: str) -> bytes:
    options = ["-v", f"{voice.accent}+{voice.name}", "-s", str(voice.words_per_minute)]
    return _run(["espeak-ng", *options, "-p", str(voice.pitch), "--stdout", text])


def _flite(voice: Voice, text: str) -> bytes:
    stretch = 170 / voice.words_per_minute
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "speech.wav"
        options = ["--setf", f"duration_stretch={stretch:.3f}", "-voice", voice.name]
        _run(["flite", *options, "-t", text, "-o", str(out)])
        return out.read_bytes()


def _festival(voice: Voice, text: str) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "speech.wav"
        command = ["text2wave", "-eval", f"(voice_{voice.name})", "-o", str(out)]
        _run(command, stdin=text.encode())
        return out.read_bytes()


def _run(command: list[str], stdin: bytes = b"") -> bytes:
    return subprocess.run(
        command, input=stdin, capture_output=True, check=True, timeout=TIMEOUT_S
    ).stdout
