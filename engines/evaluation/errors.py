"""Word and character error rates."""

from collections.abc import Iterable
from dataclasses import dataclass

from rapidfuzz.distance import Levenshtein


@dataclass(frozen=True, slots=True)
class ErrorRate:
    """Edits over reference length, summed over many sentences."""

    edits: int
    length: int

    @property
    def rate(self) -> float:
        """Edits per reference unit; 0 where there is no reference."""
        return self.edits / self.length if self.length else 0.0


def word_errors(pairs: Iterable[tuple[str, str]]) -> ErrorRate:
    """Of (reference, hypothesis) pairs, by words."""
    return _errors((reference.split(), hypothesis.split()) for reference, hypothesis in pairs)


def character_errors(pairs: Iterable[tuple[str, str]]) -> ErrorRate:
    """Of (reference, hypothesis) pairs, by characters, spaces left out."""
    bare = ((r.replace(" ", ""), h.replace(" ", "")) for r, h in pairs)
    return _errors((list(reference), list(hypothesis)) for reference, hypothesis in bare)


def _errors(pairs: Iterable[tuple[list[str], list[str]]]) -> ErrorRate:
    edits = length = 0
    for reference, hypothesis in pairs:
        edits += Levenshtein.distance(reference, hypothesis)
        length += len(reference)
    return ErrorRate(edits, length)
