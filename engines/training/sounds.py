"""How words sound: their phonemes, as espeak-ng says them.

A piece of spelling is rare, a phoneme is in every sentence: what people's voices teach about one
word holds for all others. The encoder's middle state learns them; nothing needs them afterwards.
"""

import subprocess
from collections.abc import Iterable
from pathlib import Path

from engines.training.drafts import replace_text
from engines.training.voices import TIMEOUT_S, VoiceError

SOUNDS = "sounds.txt"
"""A run's file of words and their phonemes, a line for each."""
PHONEMES = (
    "n I t s k l r @ d m a z E p b 3 eI f i oU i: aI v 0 N u: V g S dZ w @L h 3: tS A@ j ; T O: "
    "aU o@ aa i@ A: O@ U e@ O OI i@3 D U@ Z aI3 aI@ ? x o"
).split()
"""Those of the voice en-us, in espeak-ng's own letters."""
SIZE = len(PHONEMES) + 1
"""What the head that tells them gives; number 0 is none of them."""
_VOICE = "en-us"
_CHUNK = 500
_UNHEARD = str.maketrans("", "", "',%=#2-_|")
"""Stress, pauses, and the kinds of one phoneme that a rule of espeak-ng tells apart."""

Sounds = dict[str, list[int]]
"""The numbers of the phonemes of each word."""


def sounds_of(text: str, sounds: Sounds) -> list[int]:
    """What is heard when `text`, in spoken form, is said."""
    return [number for word in text.split() for number in sounds.get(word, ())]


def learn(words: Iterable[str], path: Path) -> Sounds:
    """The sounds of the words in the file `path`, which is made, or added to until it has `words`.

    Raises `VoiceError` for words that it lacks where espeak-ng is not installed.
    """
    lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
    new = sorted(set(words) - {line.partition(" ")[0] for line in lines})
    if new:
        lines += [f"{word} {' '.join(said)}" for word, said in pronounce(new)]
        replace_text(path, "".join(f"{line}\n" for line in lines))
    numbers = {name: number for number, name in enumerate(PHONEMES, 1)}
    split = (line.split() for line in lines)
    return {word: [numbers[name] for name in said if name in numbers] for word, *said in split}


def pronounce(words: list[str]) -> list[tuple[str, list[str]]]:
    """Each word with its phonemes. Raises `VoiceError` without espeak-ng."""
    result = []
    for first in range(0, len(words), _CHUNK):
        chunk = words[first : first + _CHUNK]
        # a sentence of its own for each word, so that none is swallowed by its neighbour
        said = _espeak("".join(f"{word}.\n" for word in chunk)).splitlines()
        if len(said) != len(chunk):  # one of them is read as several, or as nothing
            said = [_espeak(f"{word}.") for word in chunk]
        result += [(word, _phonemes(line)) for word, line in zip(chunk, said, strict=True)]
    return result


def _phonemes(said: str) -> list[str]:
    return [heard for each in said.split() if (heard := each.translate(_UNHEARD)).strip(":")]


def _espeak(text: str) -> str:
    command = ["espeak-ng", "-v", _VOICE, "-q", "-x", "--sep= ", "--stdin"]
    try:
        done = subprocess.run(
            command, input=text.encode(), capture_output=True, check=True, timeout=TIMEOUT_S
        )
    except FileNotFoundError as error:
        raise VoiceError(
            "espeak-ng, which tells how words sound, is not installed; install it, or set "
            "spelling.sounds = false"
        ) from error
    except subprocess.SubprocessError as error:
        raise VoiceError(f"espeak-ng could not say how words sound: {error}") from error
    return done.stdout.decode("utf-8", "replace")
