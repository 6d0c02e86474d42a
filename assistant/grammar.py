"""All sentences of the plugins as one lattice, to be held against the sound itself.

A weak ear spells "small latte" as "smolete"; no transcript shows what was meant, but of all the
sentences that the plugins know there is mostly one that the sound fits far better than the others.
So a plugin that is written tomorrow is understood in words the model was never trained on.
"""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from assistant import spoken
from assistant.nodes import Choice, Node, Series, Slot, Text
from assistant.slots import SlotType
from assistant.templates import Template
from engines.checkpoints import Checkpoint
from engines.diffa import Prefix
from engines.lattice import Lattice, LatticeBuilder, Path, Span
from engines.schedule import Floats
from engines.spelling import pieces_of
from engines.words import Reading

POLITE_BEFORE = (
    *("please", "hey", "okay", "so", "now", "can you", "could you", "would you", "will you"),
    *("well", "assistant", "quick question", "i have a question"),
    *("can you please", "could you please", "i want you to", "i would like you to", "i'd like to"),
)
POLITE_AFTER = ("please", "now", "right now", "thanks", "thank you", "for me")
_WILD_LOSS = 2.0
"""Added for a sentence that is all free text: anything fits into that."""
_MAX_WORDS = 400_000
"""Words that the lattice may hold; templates beyond it are left out."""


@dataclass(frozen=True, slots=True)
class Heard:
    """A sentence of the plugins that the sound may be."""

    sentence: str
    owner: int
    """Index of the template."""
    loss: float
    """How much less probable than the freest reading it is, in log-probability a piece, and more
    for free text and for what it leaves unsaid."""
    freedom: float = 0.0
    """Logarithm of how many sentences it was chosen from, a piece: of very many one nearly fits any
    sound, by chance."""


class Speller:
    """Hears a model's spelling of a sound in the words of the plugins that are loaded."""

    def __init__(
        self,
        checkpoint: Checkpoint,
        templates: Callable[[], Sequence[Template]],
        read: Callable[[Prefix], Reading | None] = lambda _: None,
    ) -> None:
        """`templates` gives those of now; a change is noticed at the next sound.

        `read` gives the words of a sound, for free text; without any, its pieces are taken.
        """
        self._tokenizer, self._templates, self._read = checkpoint.tokenizer, templates, read
        self._blank = checkpoint.manifest.lm.mask_token_id
        self._known: Sequence[Template] = ()
        self._grammar: Grammar | None = None

    def hear(self, prefix: Prefix, limit: int = 1) -> list[Heard]:
        """At most `limit` of the plugins' sentences, best first; none of a model not spelling."""
        if prefix.spelling is None:
            return []
        templates = self._templates()
        if self._grammar is None or templates != self._known:
            self._known, self._grammar = templates, Grammar(templates, self._encode, self._words)
        return self._grammar.hear(prefix.spelling, self._blank, limit)

    def _encode(self, word: str) -> Sequence[int]:
        return self._tokenizer.encode(word, add_special_tokens=False).ids

    def _words(self, spelling: Floats) -> str:
        """What the frames of a free text say by themselves."""
        reading = self._read(Prefix(np.zeros((0, 0), np.float32), 0.0, spelling))
        if reading is not None:
            return reading.text
        return self._tokenizer.decode(pieces_of(spelling, self._blank)).strip()


class Grammar:
    """The lattice of some templates; made once, asked at every turn."""

    def __init__(
        self,
        templates: Sequence[Template],
        encode: Callable[[str], Sequence[int]],
        words: Callable[[Floats], str],
    ) -> None:
        """`encode` gives the pieces of one word, `words` the text of some frames [S, V]."""
        self._free = words
        self._lattice, self.left_out = _lattice(templates, encode)
        known: dict[int, int] = {}
        count = math.log(len(templates)) if templates else 0.0
        self._choices = [count + math.log(_wordings(each.tree, each, known)) for each in templates]

    def hear(self, log_probability: Floats, blank: int, limit: int = 4) -> list[Heard]:
        """The best sentence of each template, best first; `log_probability` is [S, V]."""
        found: dict[str, Heard] = {}
        audible = self._lattice.audible(log_probability)
        for path in audible.search(log_probability, blank, limit):
            sentence = spoken.tidy(" ".join(self._words(path, log_probability).split()))
            spans = (word for word in path.words if isinstance(word, Span))
            wild = sum(span.end - span.begin for span in spans) / len(log_probability)
            loss = path.loss + _WILD_LOSS * wild
            freedom = self._choices[path.owner] / path.pieces
            found.setdefault(sentence, Heard(sentence, path.owner, loss, freedom))
        return list(found.values())

    def _words(self, path: Path, log_probability: Floats) -> str:
        return " ".join(
            self._free(log_probability[word.begin : word.end]) if isinstance(word, Span) else word
            for word in path.words
        )


def _lattice(
    templates: Sequence[Template], encode: Callable[[str], Sequence[int]]
) -> tuple[Lattice, int]:
    """The lattice, and how many templates it had no room for."""
    words = _Words(LatticeBuilder(encode))
    lattice = words.lattice
    begin, ready = lattice.state(), lattice.state()
    lattice.start(begin)
    lattice.skip(begin, ready)
    for phrase in POLITE_BEFORE:
        words.phrase(begin, ready, phrase)
    left_out = 0
    for owner, template in enumerate(templates):
        if words.count > _MAX_WORDS:
            left_out += 1
            continue
        end, over = lattice.state(), lattice.state()
        words.node(ready, end, template.tree, template)
        lattice.skip(end, over)
        for phrase in POLITE_AFTER:
            words.phrase(end, over, phrase)
        lattice.accept(over, owner)
    return lattice.build(), left_out


def _wordings(node: Node, template: Template, known: dict[int, int]) -> int:
    """In how many ways a part of a template can be said, politeness aside; free text counts one.

    `known` keeps the counts of slot types, by identity: many templates share the large ones.
    """
    match node:
        case Slot(name):
            kind = template.types[name]
            if id(kind) not in known:
                heard = _wordings(kind.heard, template, known) if kind.heard else len(kind.values)
                known[id(kind)] = max(1, heard)
            return known[id(kind)]
        case Series(parts):
            return math.prod(_wordings(part, template, known) for part in parts)
        case Choice(options):
            return sum(_wordings(option, template, known) for option in options)
    return 1


class _Words:
    """Writes templates into a lattice, word by word."""

    def __init__(self, lattice: LatticeBuilder) -> None:
        self.lattice = lattice
        self.count = 0
        self._graphs: dict[tuple[str, ...], _Graph] = {}

    def phrase(self, source: int, target: int, phrase: str) -> None:
        """Join two states by some words, or by nothing where there are none."""
        *inner, last = phrase.split() or [""]
        for word in inner:
            source = self._word(source, self.lattice.state(), word)
        if last:
            self._word(source, target, last)
        else:
            self.lattice.skip(source, target)

    def _word(self, source: int, target: int, word: str) -> int:
        self.count += 1
        self.lattice.word(source, target, word)
        return target

    def node(self, source: int, target: int, node: object, template: Template) -> None:
        """Join two states by all wordings of a part of a template."""
        match node:
            case Text(text):
                self.phrase(source, target, text)
            case Slot(name):
                self._slot(source, target, template.types[name], template)
            case Series(parts):
                for part in parts[:-1]:
                    middle = self.lattice.state()
                    self.node(source, middle, part, template)
                    source = middle
                if parts:
                    self.node(source, target, parts[-1], template)
                else:
                    self.lattice.skip(source, target)
            case Choice(options):
                phrases = tuple(option.text for option in options if isinstance(option, Text))
                self._phrases(source, target, phrases)
                for option in options:
                    if not isinstance(option, Text):
                        self.node(source, target, option, template)

    def _slot(self, source: int, target: int, kind: SlotType, template: Template) -> None:
        if kind.wildcard:  # what people often say there is heard better than it is spelled
            self.lattice.anything(source, target)
        if kind.heard is not None:
            self.node(source, target, kind.heard, template)
        else:
            self._phrases(source, target, kind.values)

    def _phrases(self, source: int, target: int, phrases: tuple[str, ...]) -> None:
        if phrases not in self._graphs:
            self._graphs[phrases] = _graph(" ".join(phrase.split()) for phrase in phrases)
        self._spread(self._graphs[phrases], source, target, {})

    def _spread(
        self, graph: "_Graph", source: int, target: int, states: dict["_Graph", int]
    ) -> None:
        """Write an automaton; what is in `states` is there already."""
        for word, after in graph:
            if not after:
                self.phrase(source, target, word)
                continue
            new = after not in states
            if new:
                states[after] = self.lattice.state()
            self._word(source, states[after], word)
            if new:
                self._spread(after, states[after], target, states)


_Graph = frozenset[tuple[str, "_Graph"]]
"""The words that can come next, and what can follow each; nothing can at the end of a phrase."""


def _graph(phrases: Iterable[str]) -> _Graph:
    """The smallest acyclic automaton of some phrases: "twenty one" and "thirty one" share "one"."""
    tails: dict[str, list[str]] = {}
    for phrase in phrases:
        word, _, rest = phrase.partition(" ")
        tails.setdefault(word, []).append(rest)
    return frozenset(
        (word, _graph(rests) if any(rests) else frozenset()) for word, rests in tails.items()
    )
