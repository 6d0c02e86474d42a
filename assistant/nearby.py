"""Sentences near a mis-heard transcript, found over all wordings of all templates."""

import itertools
import random
import re
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from rapidfuzz import fuzz, process
from rapidfuzz.distance import Levenshtein

from assistant import spoken
from assistant.guesses import Guesses, alike, free_text
from assistant.slots import SlotType
from assistant.templates import Picks, Template, open_slots

MAX_SKELETONS = 6000
"""Wordings kept over all templates; a template with more gives a random part of its own."""
_MIN_RATIO = 55.0
_MAX_WORDS = 32
_SHORTLIST = 24
_CLIMBS = 4
_FILLS = 4
_MAX_COMBINATIONS = 32
_SAME_WORD_RATIO = 60.0
_FILLER = frozenset(
    (
        *("a", "an", "and", "at", "for", "in", "is", "it", "me", "my", "now", "of", "please"),
        *("so", "some", "the", "to", "uh", "um"),
    )
)


class Near(NamedTuple):
    """A sentence of a template and how near it is to the transcript, 0 to 100."""

    ratio: float
    sentence: str
    owner: int
    """Index of the template, in the order in which they were given."""


class _Skeleton(NamedTuple):
    text: str
    owner: int
    picks: Picks


class Nearby:
    """An index over the wordings of `templates`, made once."""

    def __init__(self, templates: Sequence[Template], seed: int = 0) -> None:
        self._templates = templates
        share = max(16, MAX_SKELETONS // max(1, len(templates)))
        rng = random.Random(seed)  # noqa: S311 - a fair choice, not a secret
        self._skeletons: list[_Skeleton] = []
        self._guesses: list[Guesses] = []
        for owner, template in enumerate(templates):
            found = template.skeletons(share, rng)
            texts = sorted(found, key=lambda text: bool(free_text(text, template)))
            self._skeletons += [_Skeleton(text, owner, found[text]) for text in texts]
            self._guesses.append(Guesses(template, texts))

    def near(self, text: str, limit: int) -> list[Near]:
        """Return up to `limit` sentences near `text` (`spoken.normalise` form), nearest first.

        The nearest known wordings are improved choice by choice, then their slots are filled with
        every combination of likely values.
        """
        if not 0 < len(text.split()) <= _MAX_WORDS:
            return []
        heard = _Heard(text)
        owners: dict[str, int] = {}
        for skeleton in self._wordings(heard):
            for sentence in heard.fill_all(skeleton.text, self._templates[skeleton.owner]):
                owners.setdefault(sentence, skeleton.owner)
        best = process.extract(text, list(owners), scorer=fuzz.ratio, limit=2 * limit)
        found: dict[str, Near] = {}
        for sentence, _, _ in best:
            tidy = spoken.tidy(sentence)
            near = Near(fuzz.ratio(text, tidy), tidy, owners[sentence])
            if near.ratio >= _MIN_RATIO:
                found.setdefault(tidy, near)
        return sorted(found.values(), reverse=True)[:limit]

    def _wordings(self, heard: "_Heard") -> list[_Skeleton]:
        """Shortlist the nearest skeletons, after climbing from the best of each template."""
        guesses: list[str] = []
        for each in self._guesses:
            guesses += each.fill(heard.words, heard.likeliest)
        ranked = process.extract(
            heard.text, guesses, scorer=fuzz.ratio, limit=_SHORTLIST, score_cutoff=_MIN_RATIO - 15
        )
        tried = {self._skeletons[index]: ratio for _, ratio, index in ranked}
        tops = {each.owner: each for each in reversed(tried)}
        for top in list(reversed(tops.values()))[:_CLIMBS]:
            self._climb(top, heard, tried)
        return sorted(tried, key=tried.__getitem__, reverse=True)[:_SHORTLIST]

    def _climb(self, best: _Skeleton, heard: "_Heard", tried: dict[_Skeleton, float]) -> None:
        """Improve a wording one choice after the other; everything tried is kept in `tried`."""
        template = self._templates[best.owner]
        for place, choice in enumerate(template.choices):
            for option in range(len(choice.options)):
                picks = (*best.picks[:place], option, *best.picks[place + 1 :])
                text = template.wording(picks)
                near = _Skeleton(text, best.owner, picks)
                if text and near not in tried:
                    guess = heard.fill(text, open_slots(text), template)
                    tried[near] = fuzz.ratio(heard.text, guess)
                    if tried[near] > tried[best]:
                        best = near


class _Heard:
    """One transcript, and what it makes likely for every kind of slot."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.words = text.split()
        self._likely: dict[int, list[str]] = {}
        self._likeliest: dict[int, dict[str, str]] = {}

    def fill(self, skeleton: str, slots: Sequence[str], template: Template) -> str:
        """Fill every slot with its likeliest value."""
        if not slots:
            return skeleton
        return self._complete(skeleton, self.likeliest(template), template, slots)

    def likeliest(self, template: Template) -> dict[str, str]:
        """Say what was likeliest said for each slot."""
        if id(template) not in self._likeliest:
            types = template.types
            said = {name: self.likely(types[name])[0] for name in template.slots}
            self._likeliest[id(template)] = said
        return self._likeliest[id(template)]

    def fill_all(self, skeleton: str, template: Template) -> Iterable[str]:
        """Fill the slots with every combination of likely values, up to a bound."""
        slots = list(dict.fromkeys(open_slots(skeleton)))
        wild = free_text(skeleton, template)
        options = (self.likely(template.types[name]) for name in slots)
        for values in itertools.islice(itertools.product(*options), _MAX_COMBINATIONS):
            said = dict(zip(slots, values, strict=True))
            if wild:
                yield self._complete(skeleton, said, template, slots)
            yield skeleton.format_map(said)

    def likely(self, kind: SlotType) -> list[str]:
        """Values that were heard as they stand, longest first, then those that sound alike."""
        if id(kind) not in self._likely:
            self._likely[id(kind)] = _likely(kind, self.text)
        return self._likely[id(kind)]

    def _complete(
        self, skeleton: str, said: dict[str, str], template: Template, slots: Sequence[str]
    ) -> str:
        """Fill in `said`, but a free text with what was heard in its place, if anything was."""
        for wild in slots:
            if template.types[wild].wildcard:
                break
        else:
            return skeleton.format_map(said)
        before, _, after = skeleton.partition(f"{{{wild}}}")
        before, after = before.format_map(said), after.format_map(said)
        start, end = len(before.split()), len(self.words) - len(after.split())
        if start >= end:
            return before + said[wild] + after
        heads, tails = " ".join(self.words[:start]), " ".join(self.words[end:])
        fits = alike(heads, before.strip()) and alike(tails, after.strip())
        return before + (" ".join(self.words[start:end]) if fits else said[wild]) + after


def plausible(heard: str, sentence: str) -> bool:
    """Whether `heard` can be `sentence` mis-heard: every changed stretch of words sounds alike.

    Filler words may come and go; a word of meaning may not, so "turn on the fan" is never taken
    for "turn on the lamp", nor "eleven" for "seven". Both in `spoken.key` form.
    """
    left, right = heard.split(), sentence.split()
    changed = [
        (left[op.src_start : op.src_end], right[op.dest_start : op.dest_end])
        for op in _stretches(left, right)
    ]
    for before, after in changed:
        if not before or not after:
            if not _FILLER.issuperset(before + after):
                return False
            continue
        if fuzz.ratio("".join(before), "".join(after)) < _SAME_WORD_RATIO:
            return False
        if _numbers(before) and _numbers(after) and _numbers(before) != _numbers(after):
            return False
    return True


def _numbers(words: list[str]) -> list[str]:
    return [word for word in words if word in spoken.NUMBER_WORDS]


class _Stretch(NamedTuple):
    src_start: int
    src_end: int
    dest_start: int
    dest_end: int


def _stretches(left: list[str], right: list[str]) -> list[_Stretch]:
    """Join neighbouring edits, so that "living room" for "livingroom" is one change."""
    joined: list[_Stretch] = []
    for op in Levenshtein.opcodes(left, right):
        if op.tag == "equal":
            continue
        if joined and joined[-1].src_end == op.src_start and joined[-1].dest_end == op.dest_start:
            joined[-1] = joined[-1]._replace(src_end=op.src_end, dest_end=op.dest_end)
        else:
            joined.append(_Stretch(op.src_start, op.src_end, op.dest_start, op.dest_end))
    return joined


def _likely(kind: SlotType, text: str) -> list[str]:
    """Values that are in `text` as they stand, longest first, then those that sound like it."""
    key = text.replace("'", "")
    spans = (found[0] for found in re.finditer(rf"\b(?:{kind.pattern})", key))
    exact = [span for span in spans if _reads(kind, span)]
    scored = process.extract(key, kind.values, scorer=fuzz.partial_ratio, limit=3 * _FILLS)
    similar = sorted(scored, key=lambda item: (round(item[1]), len(item[0])), reverse=True)
    exact.sort(key=len, reverse=True)
    return list(dict.fromkeys([*exact, *(value for value, _, _ in similar)]))[:_FILLS]


def _reads(kind: SlotType, words: str) -> bool:
    try:
        kind.parse(words)
    except Exception:  # noqa: BLE001 - a plugin's converter may raise anything
        return False
    return True
