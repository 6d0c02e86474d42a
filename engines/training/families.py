"""What people ask a voice assistant, in many wordings, each with the answer it should give.

The corpus is the TOML files in the folder `requests` beside this module. Each has a `kind`,
optionally `frames` (sentences around a request, `{text}` being the request), `[slots]`, and one
table for each family of requests with one answer: `texts`, `answer`, `accepted` and, where the
answer depends on a fact, `columns` and `rows` (cells parted by `|`, alternatives by `/`).
"""

import random
import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from engines.training.calculations import CALCULATIONS
from engines.training.text import say_number, spoken
from engines.training.wordings import (
    Wording,
    WordingError,
    draw,
    expand,
    matches,
    parse,
    required_slots,
    slots,
)

FOLDER = Path(__file__).parent / "requests"
MAX_ANSWER_CHARACTERS = 120
_MOST_SLOT_VALUES = 5000
_FRAMED_SHARE = 0.4
_RANGE = re.compile(r"(\d+)\.\.(\d+)")
_NOT_FAMILIES = ("reserved.toml", "dataset_intents.toml")
_BEFORE_VERBS = (
    *("can you {", "could you {", "could you please {", "would you {", "will you {"),
    *("i want you to {", "i'd like you to {", "go ahead and {", "please {"),
)
_VERBS = frozenset(  # a long list of words reads best as text
    """activate add adjust announce arm arrange ask begin block book brew brighten bring
    broadcast buy call cancel change check clean clear close convert cook copy count
    create cut dance deactivate decrease delete dim disable disarm disconnect do draw
    drive drop email enable end explain extend feed find fix flip freeze get give go
    google guide hire illuminate increase iron launch let light list listen locate lock
    look lower make message mow multiply mute navigate open order pair pause pay phone
    pick place plan play post power predict prepare press print pull purchase put raise
    rap read recommend record reduce remind remove rent repeat reply reserve reset restart
    resume ring roll run save say scan schedule search secure sell send set share shop
    show shuffle shut sing skip snooze solve speak spell start stop subtract suggest
    switch sync take teach tell text throw tidy time toss track transfer translate turn
    tweet unlock unmute update vacuum wake wash watch water wire write""".split()
)
"""What a request to do something begins with; only these can follow "can you"."""

Row = Mapping[str, tuple[str, ...]]


class RequestsError(ValueError):
    """A corpus file that cannot be used; the message names the file and the family."""


@dataclass(frozen=True, slots=True)
class Request:
    """One thing said to the assistant and what it should answer."""

    text: str
    """Lower-case words, as said."""
    answer: str
    """Cased and punctuated, at most 120 characters."""
    family: str
    kind: str
    """fact, calculation, small_talk, refusal or command."""
    accepted: tuple[str, ...]
    """Words as said; an answer that holds any of them is acceptable."""
    slots: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Family:
    """Requests that share their wordings and the shape of their answer."""

    name: str
    kind: str
    wordings: tuple[Wording, ...]
    frames: tuple[str, ...]
    """Sentences around a wording, with `{text}` in its place."""
    answer: str
    accepted: tuple[str, ...]
    rows: tuple[Row, ...]
    """One for each fact; a cell's first alternative is the one that answers use."""
    slots: Row
    weight: float
    """How often the family is drawn, against others of its kind."""

    def draw(self, rng: random.Random) -> Request:
        """One request at random, held out or not."""
        row = rng.choice(self.rows)
        chosen = {name: (rng.choice(values),) for name, values in self.slots.items()}
        text = draw(rng.choice(self.wordings), {**chosen, **row}, rng)
        if self.frames and rng.random() < _FRAMED_SHARE:
            verb = text.split()[0] in _VERBS
            frames = [f for f in self.frames if verb or not f.startswith(_BEFORE_VERBS)]
            text = rng.choice(frames).replace("{text}", text)
        return self._request(text, {**chosen, **row})

    def texts(self, limit: int = 1000) -> Iterator[str]:
        """Distinct spoken texts without frames, at most `limit` for each row."""
        seen = set()
        for row in self.rows:
            values = {**self.slots, **row}
            per_wording = -(-limit // len(self.wordings))
            for wording in self.wordings:
                for text in islice(expand(wording, values), per_wording):
                    said = spoken(text)
                    if said not in seen:
                        seen.add(said)
                        yield said

    def answered(self) -> Iterator[tuple[str, str]]:
        """Every wording without frames, row by row, with its answer."""
        for row in self.rows:
            answer = self._answer(row)
            for wording in self.wordings:
                for text in expand(wording, {**self.slots, **row}):
                    yield text, answer

    def recognise(self, texts: Iterable[str]) -> Iterator[Request]:
        """The requests that any of `texts` (as said, without a frame) are by a wording."""
        columns = {name: [cell for row in self.rows for cell in row[name]] for name in self.rows[0]}
        values = {
            name: {_squeeze(value): value for value in cells}
            for name, cells in {**self.slots, **columns}.items()
        }
        for text in texts:
            found = (f for w in self.wordings for f in matches(w, values, text.replace(" ", "")))
            for filled in found:
                rows = [r for r in self.rows if all(filled.get(n, c[0]) in c for n, c in r.items())]
                if rows:
                    slots = {name: (value,) for name, value in filled.items() if name in self.slots}
                    yield self._request(text, {**self.slots, **rows[0], **slots})
                    break

    def _request(self, text: str, values: Row) -> Request:
        first = {name: cell[0] for name, cell in values.items()}
        answer = self._answer(values)
        names = [name for accepted in self.accepted for name in _fill_all(accepted, values)]
        return Request(
            text=spoken(text),
            answer=answer,
            family=self.name,
            kind=self.kind,
            accepted=tuple(spoken(name) for name in names) or (spoken(answer),),
            slots=first,
        )

    def _answer(self, values: Row) -> str:
        said = {name: cell[0] for name, cell in {**self.slots, **values}.items()}
        answer = self.answer.format_map(said)
        return answer[0].upper() + answer[1:]


def _squeeze(text: str) -> str:
    return spoken(text).replace(" ", "")


def _fill_all(template: str, values: Row) -> Iterator[str]:
    return expand(parse(template), values)


def load(folder: Path = FOLDER) -> list[Family]:
    """All families of a corpus; raises `RequestsError` in one line for the first thing wrong."""
    families: dict[str, Family] = {}
    for path in sorted(folder.glob("*.toml")):
        if path.name in _NOT_FAMILIES:
            continue
        tables = read_toml(path)
        for name, table in tables.items():
            if isinstance(table, dict) and name != "slots":
                try:
                    families |= {name: _family(name, table, tables, families)}
                except (RequestsError, WordingError, KeyError, TypeError, ValueError) as error:
                    reason = f"misses {error}" if isinstance(error, KeyError) else error
                    raise RequestsError(f"{path.name}: [{name}] {reason}") from error
    if not families:
        raise RequestsError(f"{folder}: no request families found")
    return list(families.values())


def read_toml(path: Path) -> dict[str, Any]:
    """The tables of one file; raises `RequestsError` in one line."""
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise RequestsError(f"{path.name}: {error}") from error


def _family(
    name: str, table: dict[str, Any], file: dict[str, Any], others: Mapping[str, Family]
) -> Family:
    if name in others:
        raise RequestsError("has the name of another family")
    if unknown := set(table) - {*_FAMILY_KEYS}:
        raise RequestsError(f"has unknown {min(unknown)!r}")
    calculation = table.get("calculation")
    rows = CALCULATIONS[calculation] if calculation else _rows(table)
    wordings = tuple(parse(text) for text in table["texts"])
    used = set().union(*(slots(wording) for wording in wordings))
    values = _slot_values(file.get("slots", {}), used - set(rows[0]))
    family = Family(
        name=name,
        kind=file["kind"],
        wordings=wordings,
        frames=tuple(file.get("frames", ()) if table.get("framed", True) else ()),
        answer=table["answer"],
        accepted=tuple(table.get("accepted", ())),
        rows=rows,
        slots=values,
        weight=table.get("weight", len(rows)),
    )
    _check(family)
    return family


_FAMILY_KEYS = (
    *("texts", "answer", "accepted", "columns", "rows"),
    *("calculation", "framed", "weight"),
)


def _rows(table: dict[str, Any]) -> tuple[Row, ...]:
    if "columns" not in table:
        return ({},)
    rows = []
    for line in table["rows"].strip().splitlines():
        cells = [_cell(cell) for cell in line.split(" | ")]
        if len(cells) != len(table["columns"]) or not all(all(cell) for cell in cells):
            raise RequestsError(f"row {line!r} does not fit the columns {table['columns']}")
        rows.append(dict(zip(table["columns"], cells, strict=True)))
    return tuple(rows)


def _cell(cell: str) -> tuple[str, ...]:
    alternatives = (parse(part.strip()) for part in cell.split("/"))
    return tuple(text for wording in alternatives for text in expand(wording, {}))


def _slot_values(lists: Mapping[str, Any], names: set[str]) -> dict[str, tuple[str, ...]]:
    filled = {}
    for name in sorted(names):
        if name not in lists:
            raise RequestsError(f"uses the unknown slot {{{name}}}")
        values: list[str] = []
        for value in lists[name]:
            if bounds := _RANGE.fullmatch(value):
                values += map(say_number, range(int(bounds[1]), int(bounds[2]) + 1))
            else:
                wording = parse(value)
                inner = _slot_values(lists, slots(wording))
                values += islice(expand(wording, inner), _MOST_SLOT_VALUES)
        filled[name] = tuple(values)
    return filled


def _check(family: Family) -> None:
    shown = slots(parse(family.answer)).union(*(slots(parse(a)) for a in family.accepted))
    for wording in family.wordings:
        if missing := shown - set(family.rows[0]) - required_slots(wording):
            raise RequestsError(f"answers with {{{min(missing)}}}, which not every text holds")
    longest = max(
        len(
            family.answer.format_map(
                {n: max(c, key=len) for n, c in {**family.slots, **row}.items()}
            )
        )
        for row in family.rows
    )
    if longest > MAX_ANSWER_CHARACTERS:
        raise RequestsError(f"answers with {longest} characters, over {MAX_ANSWER_CHARACTERS}")
