"""Sentences near a mis-heard transcript, found over all wordings of all templates."""

import itertools
import random
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from rapidfuzz import fuzz, process
from rapidfuzz.distance import Levenshtein

from assistant import spoken
from assistant.guesses import Guesses, Skeleton
from assistant.likely import Heard, Kinds
from assistant.outline import Picks
from assistant.slots import SlotType
from assistant.templates import Template, open_slots

MAX_SKELETONS = 6000
"""Wordings kept over all templates; a template with more gives a random part of its own."""
_MAX_CLIMBED = 256
"""Choices whose wordings are remembered: the same are often tried again."""
_MIN_RATIO = 55.0
_MAX_WORDS = 32
_SHORTLIST = 24
_CLIMBS = 4
_MAX_COMBINATIONS = 32
_SAME_WORD_RATIO = 60.0
_SAME_FILLER_RATIO = 65.0
"""Filler words are short: too many longer words have all of their letters."""
_SAME_SOUND = 100.0
_FILLER = frozenset(
    (
        *("a", "an", "and", "at", "for", "in", "is", "it", "me", "my", "now", "of", "please"),
        *("so", "some", "the", "to", "uh", "um"),
    )
)
_DIRECTIONS = frozenset(("up", "down"))
"""Heard, they are meant: "down" is nearer to "on" than most words mis-heard are to their own."""


class Near(NamedTuple):
    """A sentence of a template and how near it is to the transcript, 0 to 100."""

    ratio: float
    sentence: str
    owner: int
    """Index of the template, in the order in which they were given."""


_Tried = dict[tuple[int, Picks], tuple[float, Skeleton]]
"""Skeletons by their owner and picks, and how near each is with its likeliest values."""


class Nearby:
    """An index over the wordings of `templates`, made once."""

    def __init__(self, templates: Sequence[Template], seed: int = 0) -> None:
        self._templates = templates
        self._slots = [{name: each.types[name] for name in each.slots} for each in templates]
        self._kinds = Kinds(kind for slots in self._slots for kind in slots.values())
        alike = [frozenset((n, id(kind)) for n, kind in slots.items()) for slots in self._slots]
        self._groups = [alike.index(each) for each in alike]
        self._climbed = lru_cache(_MAX_CLIMBED)(self._options)
        share = max(16, MAX_SKELETONS // max(1, len(templates)))
        rng = random.Random(seed)  # noqa: S311 - a fair choice, not a secret
        self._skeletons: list[Skeleton] = []
        for owner, template in enumerate(templates):
            drawn = template.skeletons(share, rng).items()
            made = [self._skeleton(owner, picks, text) for text, picks in drawn]
            self._skeletons += sorted(made, key=lambda each: bool(each.wild))
        self._known = {(each.owner, each.text): each for each in self._skeletons}
        self._guesses = Guesses(self._skeletons, self._slots)

    def near(self, text: str, limit: int) -> list[Near]:
        """Return up to `limit` sentences near `text` (`spoken.normalise` form), nearest first.

        The nearest known wordings are improved choice by choice, then their slots are filled with
        every combination of likely values.
        """
        if not 0 < len(text.split()) <= _MAX_WORDS or not self._skeletons:
            return []
        heard = Heard(text, self._kinds)
        filled = self._fill_all(self._wordings(heard), heard)
        owners: dict[str, int] = {}
        for sentences, owner in reversed(filled):  # so that the first of each is the last word
            owners |= dict.fromkeys(sentences, owner)
        texts = dict.fromkeys(itertools.chain.from_iterable(some for some, _ in filled))
        best = process.extract(text, [*texts], scorer=fuzz.ratio, limit=2 * limit)
        found: dict[str, Near] = {}
        for sentence, _, _ in best:
            tidy = spoken.tidy(sentence)
            near = Near(fuzz.ratio(text, tidy), tidy, owners[sentence])
            if near.ratio >= _MIN_RATIO:
                found.setdefault(tidy, near)
        return sorted(found.values(), reverse=True)[:limit]

    def _wordings(self, heard: Heard) -> list[Skeleton]:
        """Shortlist the nearest skeletons, after climbing from the best of each template."""
        ratios = process.cdist(
            [heard.text],
            self._guesses.fill(heard),
            scorer=fuzz.ratio,
            score_cutoff=_MIN_RATIO - 15,
            dtype=np.float64,
        )[0]
        tried: _Tried = {}
        for place in _highest(ratios, _SHORTLIST):
            skeleton = self._skeletons[place]
            tried[skeleton.owner, skeleton.picks] = float(ratios[place]), skeleton
        tops: dict[int, Skeleton] = {}
        for _, skeleton in tried.values():
            tops.setdefault(skeleton.owner, skeleton)
        for top in list(tops.values())[:_CLIMBS]:
            self._climb(top, heard, tried)
        ranked = sorted(tried.values(), key=lambda found: found[0], reverse=True)
        return [skeleton for _, skeleton in ranked[:_SHORTLIST]]

    def _climb(self, best: Skeleton, heard: Heard, tried: _Tried) -> None:
        """Improve a wording one choice after the other; everything tried is kept in `tried`."""
        owner, template = best.owner, self._templates[best.owner]
        said = heard.likeliest(self._slots[owner])
        ratio, _ = tried[owner, best.picks]
        alike: dict[str, tuple[float, Skeleton]] = {}
        """By their texts: many picks make no difference."""
        for place in range(len(template.choices)):
            before, after = best.picks[:place], best.picks[place + 1 :]
            for option, text in enumerate(self._climbed(owner, best.picks, place)):
                picks = (*before, option, *after)
                if not text or (owner, picks) in tried:
                    continue
                if text not in alike:
                    near = self._known.get((owner, text)) or self._skeleton(owner, picks, text)
                    alike[text] = fuzz.ratio(heard.text, near.fill(heard, said)), near
                found, near = tried[owner, picks] = alike[text]
                if found > ratio:
                    best, ratio = near._replace(picks=picks), found

    def _skeleton(self, owner: int, picks: Picks, text: str) -> Skeleton:
        return Skeleton.of(owner, picks, text, self._slots[owner])

    def _options(self, owner: int, picks: Picks, place: int) -> list[str]:
        return self._templates[owner].outline.options(picks, place)

    def _fill_all(self, skeletons: Iterable[Skeleton], heard: Heard) -> list[tuple[list[str], int]]:
        """Fill the slots with every combination of likely values, up to a bound; with owners."""
        known: dict[tuple[int, str], list[str]] = {}

        def combine(owner: int, text: str) -> list[str]:
            key = self._groups[owner], text
            if key not in known:
                known[key] = _combine(text, self._slots[owner], heard)
            return known[key]

        filled = []
        for each in skeletons:
            texts = combine(each.owner, each.before)
            if each.wild:
                after = combine(each.owner, each.after)
                values = heard.likely(self._slots[each.owner][each.wild])
                texts = list(_around(heard, texts, values, after))
            filled.append((texts, each.owner))
        return filled


def _combine(text: str, kinds: Mapping[str, SlotType], heard: Heard) -> list[str]:
    """Fill `text` with every combination of likely values; that of the last slot changes first."""
    texts = [text]
    for name in dict.fromkeys(open_slots(text)):
        slot, values = f"{{{name}}}", heard.likely(kinds[name])
        room = -(-_MAX_COMBINATIONS // len(values))
        texts = [text.replace(slot, value) for text in texts[:room] for value in values]
    return texts[:_MAX_COMBINATIONS]


def _around(
    heard: Heard, befores: Sequence[str], values: Sequence[str], afters: Sequence[str]
) -> Iterator[str]:
    """Put likely values of a free text between its sides, after what was heard there, if any."""
    for before in befores[: -(-_MAX_COMBINATIONS // (len(values) * len(afters)))]:
        for after in afters:
            if words := heard.between(before, after):
                yield before + words + after
        for value in values:
            for after in afters:
                yield before + value + after


def _highest(ratios: NDArray[np.float64], count: int) -> list[int]:
    """Places of the `count` highest that are not zero, the highest first, then by place."""
    least = np.partition(ratios, -count)[-count] if len(ratios) > count else 0.0
    places = np.flatnonzero((ratios >= least) & (ratios > 0.0))
    order = np.argsort(-ratios[places], kind="stable")
    return [int(place) for place in places[order][:count]]


def plausible(heard: str, sentence: str) -> bool:
    """Whether `heard` can be `sentence` mis-heard: every changed stretch of words sounds alike.

    Filler words may come and go; a word of meaning may not, so "turn on the fan" is never taken
    for "turn on the lamp", nor "eleven" for "seven". Both in `spoken.key` form.
    """
    left, right = heard.split(), sentence.split()
    for op in _stretches(left, right):
        before, after = left[op.src_start : op.src_end], right[op.dest_start : op.dest_end]
        if not _alike(before, after):
            return False
        around = left[max(0, op.src_start - 1) : op.src_start + 1]
        if not before and "and" in after and len(_numbers(around)) > 1:
            return False  # "nine four" is no sum
    return True


def _alike(before: list[str], after: list[str]) -> bool:
    """Whether the words of one changed stretch can be `after` mis-heard."""
    if not before or not after:
        return _FILLER.issuperset(before + after)
    if _DIRECTIONS.intersection(before).difference(after):
        return False
    if _numbers(before) and _numbers(after) and _numbers(before) != _numbers(after):
        return False
    whole = _ratio(before, after)
    if whole < _SAME_WORD_RATIO:
        return False
    if len(before) == len(after):
        # a long word heard well must not make up for a short one that is another
        return whole == _SAME_SOUND or all(map(_same_word, before, after))
    longer, shorter = (before, after) if len(before) > len(after) else (after, before)
    return not _has_word_too_many(longer, shorter, whole)


def _same_word(before: str, after: str) -> bool:
    """Whether one word can be the other mis-heard: "of" can be "off", "the" is no "kitchen"."""
    fillers = len(_FILLER.intersection((before, after)))
    least = _SAME_FILLER_RATIO if fillers == 1 else _SAME_WORD_RATIO
    return _FILLER.issuperset((before, after)) or fuzz.ratio(before, after) >= least


def _has_word_too_many(longer: list[str], shorter: list[str], ratio: float) -> bool:
    """Whether a word of meaning is no part of what it was joined for: the "desk" of "desk lamp".

    "Living room" is nearer to "livingroom" than either word, but "desk lamp" farther from "lamps".
    """
    return any(
        word not in _FILLER and _ratio(longer[:place] + longer[place + 1 :], shorter) > ratio
        for place, word in enumerate(longer)
    )


def _ratio(left: list[str], right: list[str]) -> float:
    return fuzz.ratio("".join(left), "".join(right))


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
