"""Things people say, paired with what the assistant answers, from the corpus and public data."""

import csv
import random
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from itertools import islice
from pathlib import Path

from engines.training.families import FOLDER, RequestsError, read_toml
from engines.training.requests import held_out, load, recognise, sample
from engines.training.text import MAX_WORDS, read_jsonl, spoken

MAX_ANSWER_CHARACTERS = 90
SHARES = {
    "requests": 0.74,
    "intents": 0.12,
    "home": 0.06,
    "webquestions": 0.03,
    "opentriviaqa": 0.03,
    "chatterbot": 0.02,
}
"""How often each source is drawn."""

_UNFIT = re.compile(
    r"https?:|www\.|[<>{}\[\]_\\`|]|\(|;|\b(?:sex\w*|porn|fuck\w*|shit\w*|ass|bitch|bastard|damn|hell|"
    r"nude|naked|rape\w*|kill\w*|murder\w*|suicide|die|dead|death|hitler|nazi\w*|trump|obama|bush|"
    r"clinton|biden|putin|stalin|republicans?|democrats?|muslims?|jews?|jewish|islam\w*|communis\w*|"
    r"terror\w*|drunk|drugs?|cocaine|marijuana|gay|lesbian|abortion|slaves?|racis\w*|virgin|breasts?|"
    r"penis|vagina|whore|slut|condoms?|lucifer|satan|assassin\w*|politic\w*|president|war)\b",
    re.IGNORECASE,
)
_VAGUE = re.compile(r"\b(?:all|none|both|these|above|never)\b", re.IGNORECASE)
_CHATTERBOT = (
    *("ai", "botprofile", "conversations", "emotion", "food", "greetings", "health", "humor"),
    *("money", "movies", "psychology", "sports", "trivia"),
)
_TRIVIA = (
    *("animals", "for-kids", "general", "geography", "history", "humanities", "literature"),
    *("people", "science-technology", "sports", "world"),
)


@dataclass(frozen=True, slots=True)
class Pair:
    """One turn to learn from."""

    text: str
    """The transcript: lower-case words, as said."""
    answer: str
    """Cased and punctuated."""
    kind: str
    """fact, calculation, small_talk, refusal or command."""
    source: str
    """The data it comes from, a key of `SHARES`."""
    accepted: tuple[str, ...]
    """Words as said; an answer that holds any of them is acceptable."""


def build_pairs(folder: Path, rng: random.Random) -> Iterator[Pair]:
    """Pairs without end, from the text folder and the corpus, in the shares of `SHARES`.

    Nothing held out comes out. A source whose files are missing raises `RequestsError`.
    """
    try:
        pools = {name: list(read(folder)) for name, read in _SOURCES.items()}
    except OSError as error:
        raise RequestsError(
            f"{error.filename}: {error.strerror}; is this the text folder?"
        ) from error
    names, weights = list(SHARES), list(SHARES.values())
    while True:
        source = rng.choices(names, weights)[0]
        if source == "requests":
            request = sample(rng)
            yield Pair(request.text, request.answer, request.kind, source, request.accepted)
        elif pools[source]:
            yield rng.choice(pools[source])


def lm_sentences(folder: Path) -> Iterator[str]:
    """Written sentences for language-model training: all answers, and statements of fact."""
    said = set()
    rng = random.Random(0)  # noqa: S311 - not for secrets
    pairs = (pair.answer for read in _SOURCES.values() for pair in read(folder))
    for answer in pairs:
        if answer not in said:
            said.add(answer)
            yield answer
    for family in load():
        for request in (family.draw(rng) for _ in range(20 * len(family.rows))):
            if request.answer not in said:
                said.add(request.answer)
                yield request.answer
    for row in read_jsonl(folder / "gsm8k-train.jsonl.gz"):
        for sentence in re.split(r"(?<=[.?!]) +", row["question"].replace("\n", " ")):
            if 3 <= len(sentence.split()) <= 24 and not _UNFIT.search(sentence):
                yield sentence


def _pair(
    text: str, answer: str, kind: str, source: str, accepted: tuple[str, ...] = ()
) -> Iterator[Pair]:
    """The pair, or nothing where it is too long, unfit to be said, or held out."""
    said = spoken(text)
    fits = 0 < len(said.split()) <= MAX_WORDS and 1 < len(answer) <= MAX_ANSWER_CHARACTERS
    if fits and not _UNFIT.search(f"{text} {answer}") and not held_out(said):
        yield Pair(said, answer, kind, source, accepted or (spoken(answer.rstrip(".!?")),))


def _webquestions(folder: Path) -> Iterator[Pair]:
    for row in read_jsonl(folder / "webquestions.jsonl.gz"):
        if len(row["answers"]) == 1:
            yield from _question(row["question"], row["answers"][0], "webquestions")


def _trivia(folder: Path) -> Iterator[Pair]:
    clear = re.compile(r"(?:who|what|where|when|which) ", re.IGNORECASE)
    unclear = re.compile(r"which (?:of|one)|these|following|except|\bnot\b", re.IGNORECASE)
    for row in read_jsonl(folder / "opentriviaqa.jsonl.gz"):
        question = row["question"]
        if row["category"] not in _TRIVIA:
            continue
        if clear.match(question) and not unclear.search(question):
            yield from _question(question, row["answer"], "opentriviaqa")


def _question(question: str, answer: str, source: str) -> Iterator[Pair]:
    """At most twelve words asked and five answered: longer ones are not for a small model."""
    answer = answer.strip().rstrip(".")
    if len(question.split()) > 12 or not 1 <= len(answer.split()) <= 5 or len(answer) > 40:
        return
    first = question.lower().partition(" ")[0]
    nobody = first == "who" and not (answer[0].isupper() and " " in answer)
    if nobody or len(re.findall(r"[A-Za-z0-9]", answer)) < 2 or _VAGUE.search(answer):
        return
    if first == "who":
        sentence = f"That is {answer}."
    elif (first == "where" and answer[0].isupper()) or re.fullmatch(r"1\d{3}|20\d\d", answer):
        sentence = f"In {answer}."
    else:
        sentence = f"{answer[0].upper()}{answer[1:]}."
    yield from _pair(question, sentence, "fact", source, (spoken(answer),))


def _chatterbot(folder: Path) -> Iterator[Pair]:
    """The first answer to each line; what the corpus answers itself stays with its answer."""
    chosen: dict[str, Pair] = {}
    for name in _CHATTERBOT:
        path = folder / "chatterbot-corpus" / f"{name}.yml"
        for question, answer, *_ in _conversations(path.read_text(encoding="utf-8")):
            if " " in question and " " in answer and answer != question and not question.isupper():
                sentence = answer[0].upper() + answer[1:] + "." * (answer[-1] not in ".!?")
                for pair in _pair(question, sentence, "small_talk", "chatterbot"):
                    chosen.setdefault(pair.text, pair)
    known = {request.text for request in recognise(list(chosen))}
    yield from (pair for pair in chosen.values() if pair.text not in known)


def _conversations(text: str) -> Iterator[list[str]]:
    """The lines of each conversation of two lines or more."""
    for block in re.split(r"^- (?=- )", text, flags=re.MULTILINE)[1:]:
        parts = re.split(r"^ *- ", block, flags=re.MULTILINE)[1:]
        lines = [" ".join(part.split()).strip("'\"").replace("''", "'") for part in parts]
        if len(lines) > 1 and all(lines[:2]):
            yield lines


_DOING = {
    "turn_on": "turning on",
    "turn_off": "turning off",
    "toggle": "switching",
    "lock": "locking",
    "unlock": "unlocking",
    "open_cover": "opening",
    "close_cover": "closing",
    "stop_cover": "stopping",
    "increase_speed": "speeding up",
    "decrease_speed": "slowing down",
    "start": "starting",
    "stop": "stopping",
    "pause": "pausing",
    "media_play": "starting",
    "media_pause": "pausing",
    "media_stop": "stopping",
    "volume_up": "turning up",
    "volume_down": "turning down",
    "volume_mute": "muting",
}
_PER_PHRASE = 30


def _home(folder: Path) -> Iterator[Pair]:
    """Requests for the named devices of a home; states cannot be known, and the answer says so."""
    rng = random.Random(0)  # noqa: S311 - not for secrets
    piles = folder / "home-llm-piles"
    devices: dict[str, list[str]] = {}
    for row in _rows(piles / "pile_of_device_names.csv"):
        name = row["description"].strip().removeprefix("the ").removeprefix("The ")
        devices.setdefault(row["device_name"].partition(".")[0], []).append(spoken(name))
    for pile, column in (("templated_actions", "service"), ("status_requests", "state")):
        for row in _rows(piles / f"pile_of_{pile}.csv"):
            doing = "" if column == "state" else _DOING.get(row[column])
            names = devices.get(row["device_type"])
            phrase = row["phrase"]
            if doing is None or names is None or re.findall(r"<\w+>", phrase) != ["<device_name>"]:
                continue
            for name in rng.sample(names, min(_PER_PHRASE, len(names))):
                answer = (
                    f"Okay, {doing} the {name}."
                    if doing
                    else f"I can't see the state of the {name}."
                )
                text = phrase.replace("<device_name>", name)
                yield from _pair(text, answer, "command", "home", (name,))


def _rows(path: Path) -> Iterator[Mapping[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        yield from csv.DictReader(file)


def _intents(folder: Path) -> Iterator[Pair]:
    """Real requests of labelled data sets, with the answer of the family their intent maps to."""
    for name, table in _dataset_intents().items():
        for row in read_jsonl(folder / f"{name}.jsonl.gz"):
            if row["intent"] in table:
                answer, kind, accepted = table[row["intent"]]
                yield from _pair(row["text"], answer, kind, "intents", accepted)


@cache
def _dataset_intents() -> Mapping[str, Mapping[str, tuple[str, str, tuple[str, ...]]]]:
    """By data set and intent: answer, kind and accepted words."""
    rng = random.Random(0)  # noqa: S311 - not for secrets
    families = {family.name: family for family in load()}

    def meaning(value: str) -> tuple[str, str, tuple[str, ...]]:
        if " " in value:
            return value, "command", (spoken(value.rstrip(".")),)
        family = families.get(value)
        if family is None or "{" in family.answer:
            raise RequestsError(f"dataset_intents.toml: {value!r} is no family with one answer")
        request = family.draw(rng)
        return request.answer, request.kind, request.accepted

    tables = read_toml(FOLDER / "dataset_intents.toml")
    return {name: {i: meaning(v) for i, v in table.items()} for name, table in tables.items()}


_SOURCES: dict[str, Callable[[Path], Iterator[Pair]]] = {
    "intents": _intents,
    "home": _home,
    "webquestions": _webquestions,
    "opentriviaqa": _trivia,
    "chatterbot": _chatterbot,
}


def take(folder: Path, count: int, seed: int) -> list[Pair]:
    """The first `count` pairs of `build_pairs` for a seed."""
    return list(islice(build_pairs(folder, random.Random(seed)), count))  # noqa: S311
