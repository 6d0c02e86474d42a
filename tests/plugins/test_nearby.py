"""The fast search for near sentences finds what a plain one finds, and keeps nothing."""

import gc
import itertools
import random
import re
import sys
from pathlib import Path
from typing import Annotated

import pytest
from rapidfuzz import fuzz, process

from assistant import spoken
from assistant.alike import Alike
from assistant.loading import load_plugins
from assistant.matching import Matcher
from assistant.nearby import Near, Nearby
from assistant.plugin import Choices, Plugin, Samples, Turn
from assistant.settings import PluginSettings

LIMIT = 16


@pytest.fixture(scope="module")
def matcher():
    loaded, problems = load_plugins(PluginSettings(folder=Path("/nowhere")))
    assert not problems
    return Matcher.of(loaded)


def misheard(matcher, count, seed):
    """Sentences of the templates with letters and words wrong, missing or from elsewhere."""
    rng = random.Random(seed)  # noqa: S311 - a fair choice, not a secret
    texts = [each.text for each in itertools.islice(matcher.sentences(seed), count)]
    vocabulary = sorted({word for text in texts for word in text.split()})
    for text in texts:
        words = text.split()
        for _ in range(rng.randint(1, 3)):
            place = rng.randrange(len(words))
            word = words[place]
            wrong = rng.choice((word[:-1], word + "s", word[1:], rng.choice(vocabulary), "uh", ""))
            words[place] = wrong or word
        yield " ".join(words)


class Plain:
    """The same search, one skeleton and one value at a time."""

    def __init__(self, nearby, text):
        self.nearby, self.text, self.words = nearby, text, text.split()
        self._likely = {}

    def likely(self, kind):
        if id(kind) not in self._likely:
            self._likely[id(kind)] = self.look_for(kind)
        return self._likely[id(kind)]

    def look_for(self, kind):
        key = self.text.replace("'", "")
        exact = []
        for found in re.finditer(rf"\b(?:{kind.pattern})", key):
            try:
                kind.parse(found[0])
            except (ValueError, KeyError):
                continue
            exact.append(found[0])
        scored = process.extract(key, kind.values, scorer=fuzz.partial_ratio, limit=12)
        scored.sort(key=lambda found: (round(found[1]), len(found[0])), reverse=True)
        exact.sort(key=len, reverse=True)
        return list(dict.fromkeys([*exact, *(value for value, _, _ in scored)]))[:4]

    def heard(self, skeleton, said):
        """Fill a free text with what stands in its place, if the words around it fit."""
        template = self.nearby._templates[skeleton.owner]
        slots = re.findall(r"{(\w+)}", skeleton.text)
        for wild in slots:
            if not template.types[wild].wildcard:
                continue
            before, _, after = skeleton.text.partition(f"{{{wild}}}")
            before, after = before.format(**said), after.format(**said)
            start, end = len(before.split()), len(self.words) - len(after.split())
            sides = " ".join(self.words[:start]), " ".join(self.words[max(0, end) :])
            fits = (
                fuzz.ratio(heard, " ".join(side.split())) >= 75
                for heard, side in zip(sides, (before, after), strict=True)
            )
            if start < end and all(fits):
                return before + " ".join(self.words[start:end]) + after
            break
        return skeleton.text.format(**said)

    def guess(self, skeleton):
        types = self.nearby._templates[skeleton.owner].types
        names = re.findall(r"{(\w+)}", skeleton.text)
        return self.heard(skeleton, {name: self.likely(types[name])[0] for name in names})

    def shortlist(self):
        ratios = [fuzz.ratio(self.text, self.guess(each)) for each in self.nearby._skeletons]
        ranked = sorted(zip(ratios, self.nearby._skeletons, strict=True), key=lambda x: -x[0])
        tried = {(s.owner, s.picks): (ratio, s) for ratio, s in ranked[:24] if ratio >= 40}
        tops = {}
        for ratio, skeleton in tried.values():
            tops.setdefault(skeleton.owner, (ratio, skeleton))
        for best in list(tops.values())[:4]:
            self.climb(best, tried)
        return [skeleton for _, skeleton in sorted(tried.values(), key=lambda x: -x[0])[:24]]

    def climb(self, top, tried):
        ratio, best = top
        for place, choice in enumerate(self.nearby._templates[best.owner].choices):
            for option in range(len(choice.options)):
                picks = (*best.picks[:place], option, *best.picks[place + 1 :])
                text = self.nearby._templates[best.owner].wording(picks)
                skeleton = self.nearby._skeleton(best.owner, picks, text)
                if (best.owner, picks) not in tried and skeleton.text:
                    found = fuzz.ratio(self.text, self.guess(skeleton))
                    tried[best.owner, picks] = found, skeleton
                    if found > ratio:
                        ratio, best = found, skeleton

    def near(self):
        owners = {}
        for skeleton in self.shortlist():
            types = self.nearby._templates[skeleton.owner].types
            names = list(dict.fromkeys(re.findall(r"{(\w+)}", skeleton.text)))
            product = itertools.product(*(self.likely(types[name]) for name in names))
            for values in itertools.islice(product, 32):
                said = dict(zip(names, values, strict=True))
                owners.setdefault(self.heard(skeleton, said), skeleton.owner)
                owners.setdefault(skeleton.text.format(**said), skeleton.owner)
        found = {}
        for text, _, _ in process.extract(self.text, list(owners), scorer=fuzz.ratio, limit=32):
            tidy = spoken.tidy(text)
            near = Near(fuzz.ratio(self.text, tidy), tidy, owners[text])
            if near.ratio >= 55:
                found.setdefault(tidy, near)
        return sorted(found.values(), reverse=True)[:LIMIT]


def test_the_fast_search_finds_what_a_plain_one_finds(matcher):
    nearby = matcher._nearby
    texts = ["who wrote the iliad", "tell me a story about a girl", "the", "ten", "on on on"]
    texts += misheard(matcher, 60, seed=4)
    for text in texts:
        assert nearby.near(text, LIMIT) == Plain(nearby, text).near()


def test_values_are_as_alike_as_one_by_one(matcher):
    texts = [*misheard(matcher, 40, seed=5), "a", "ten", "on on on", "la " * 60]
    values = sorted({value for kind in matcher._nearby._kinds._kinds for value in kind.values})
    values += ["", "x", "xy", "it's", "é" * 9, "a very long value that is as long as a sentence is"]
    alike = Alike(values)
    for text in texts:
        one_by_one = [fuzz.partial_ratio(value, text) for value in values]
        assert alike.ratios(text).tolist() == one_by_one


def test_many_misheard_sentences_leave_no_memory_behind(matcher):
    nearby, grown = matcher._nearby, []
    for seed in (1, 2):
        gc.collect()
        grown.append(sys.getallocatedblocks())
        for text in misheard(matcher, 200, seed):
            nearby.near(text, LIMIT)
    gc.collect()
    assert sys.getallocatedblocks() - grown[1] < 1000


def probe(annotation, *templates):
    plugin = Plugin("probe")

    @plugin.intent(*templates)
    async def handler(turn: Turn, first="", second="") -> None: ...

    handler.__annotations__ |= {"first": annotation, "second": annotation}
    loaded, problems = load_plugins(PluginSettings(folder=Path("/nowhere")), extra=[plugin])
    assert not problems
    return Matcher([bound for each in loaded if each.plugin is plugin for bound in each.handlers])


@pytest.mark.parametrize(
    "annotation",
    [
        Annotated[str, Samples()],
        Annotated[str, Samples("a\nb", " two  spaces ")],
        Annotated[str, Choices(["oat\nmilk"])],
    ],
)
def test_odd_samples_of_a_plugin_do_no_harm(annotation):
    matcher = probe(annotation, "note {first}", "note {first} and {second} down", "ring")
    assert matcher.candidates("nota oat milk", LIMIT)[0].startswith("note ")
    assert matcher.candidates("ri", LIMIT) == ["ring"]


@pytest.mark.parametrize(
    "template",
    [
        "(put|set) [the] {first} (on|off)",
        "(ring [twice];now) [please (do|go)]",
        "go [(up|down) [now]]",
    ],
)
def test_the_options_of_one_choice_are_written_as_they_would_be_one_by_one(template):
    [owner] = probe(str, template)._owners
    outline = owner.template.outline
    ways = [range(len(choice.options)) for choice in outline.choices]
    for picks in itertools.product(*ways):
        for place, options in enumerate(ways):
            one_by_one = [
                outline.write((*picks[:place], option, *picks[place + 1 :])) for option in options
            ]
            assert outline.options(picks, place) == one_by_one


def test_without_templates_nothing_is_near():
    assert Nearby([]).near("anything", LIMIT) == []
