"""An answerer whose answers are known, alone or as a program that can be killed."""

import json
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

from engines.evaluation.benchmarks.answering import Group
from engines.evaluation.benchmarks.catalogue import BENCHMARKS
from engines.evaluation.benchmarks.data import find
from engines.evaluation.benchmarks.items import Answer, Item
from engines.evaluation.benchmarks.running import Part, work
from engines.evaluation.benchmarks.sound import hear
from tests.evaluation import spoken

CONTAINED = """
class PEDANT:
    def __init__(self):
        print("Loading Classifier...")

    def evaluate(self, references, response, prompt):
        assert prompt.islower(), prompt
        return references[0] in response
"""
"""The package `qa-metrics`, as far as it is used: right is what holds the reference."""


def known_answers() -> dict[str, str]:
    """What the fake says to each item, by its key."""
    answers, counts = {}, {}
    for each in [*spoken.items(), *spoken.mmsu_items(), *spoken.mmau_items()]:
        split = f"{each.subset}/{each.split}"
        place = counts[split] = counts.get(split, -1) + 1
        answers[f"{split}/{place}"] = each.answer
    return answers


class FakeAnswerer:
    """Answers what `answers` says, in groups of four; notes whom it was asked."""

    def __init__(self, answers: dict[str, str] | None = None, stop_after: int | None = None):
        self.answers = known_answers() if answers is None else answers
        self.asked: list[str] = []
        self.stop_after = stop_after

    def answer(self, items: Iterable[Item]) -> Iterator[Group]:
        group: list[Answer] = []
        for item in items:
            self.asked.append(item.key)
            group.append(self._one(item))
            if len(group) == 4:
                yield Group(tuple(group), 0.1, 0.095)
                group = []
            if self.stop_after is not None and len(self.asked) >= self.stop_after:
                print("stopped", flush=True)  # noqa: T201 - whoever kills us waits for it
                sys.stdin.read()
        if group:
            yield Group(tuple(group), 0.1, 0.095)

    def _one(self, item: Item) -> Answer:
        heard = hear(item)
        if heard.wave is None:
            return Answer(item.key, "", heard.error)
        said = self.answers.get(item.key, "")
        return Answer(item.key, said, audio_s=2.0, took_s=0.1, first_s=0.05, passes=4, tokens=8)


def main() -> None:
    """Answer VoiceBench with the fake: DATA OUT STOP_AFTER."""
    data, out, stop_after = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
    splits = find(BENCHMARKS["voicebench"], data)
    fake = FakeAnswerer(stop_after=stop_after or None)
    try:
        work(splits, fake, out, part=Part())
    finally:
        print(json.dumps(fake.asked))  # noqa: T201


if __name__ == "__main__":
    main()
