"""The benchmarks: their subsets, what each is scored by, and how DIFFA was asked.

Prompts and decoding settings are DIFFA's published ones (github.com/NKU-HLT/DIFFA), word for word:
the model was evaluated with them, and answers to other words are other answers.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from string import ascii_uppercase
from typing import Any

from engines.evaluation.benchmarks.items import BenchmarkError


@dataclass(frozen=True, slots=True)
class Decoding:
    """Numbers of a schedule."""

    steps: int
    block_length: int
    max_new_tokens: int


@dataclass(frozen=True, slots=True)
class Subset:
    """One part of a benchmark."""

    name: str
    title: str
    kind: str
    """Which scorer; empty where none is published."""
    columns: tuple[str, ...]
    """What the scorer and the prompt need."""


@dataclass(frozen=True, slots=True)
class Benchmark:
    """A benchmark as its authors distribute it."""

    name: str
    title: str
    hub: str
    """Dataset on the Hugging Face hub."""
    prompt: str
    """The model's prompt: `answer` has DIFFA's instruction within, `instruct` takes a text."""
    decoding: Decoding
    subsets: tuple[Subset, ...]
    identity: tuple[str, ...] = ()
    """Columns that name an item, the first that is there; else its place in the file does."""

    def subset(self, name: str) -> Subset:
        """Look a subset up; raises `BenchmarkError`."""
        for each in self.subsets:
            if each.name == name:
                return each
        known = ", ".join(each.name for each in self.subsets)
        raise BenchmarkError(f"{self.name} has no subset {name!r}; it has {known}")


_VOICEBENCH = (
    Subset("alpacaeval_full", "AlpacaEval", "open", ("prompt",)),
    Subset("commoneval", "CommonEval", "open", ("prompt",)),
    Subset("wildvoice", "WildVoice", "open", ("prompt",)),
    Subset("sd-qa", "SD-QA", "qa", ("prompt", "reference")),
    Subset("mmsu", "MMSU", "mcq", ("reference",)),
    Subset("openbookqa", "OpenBookQA", "mcq", ("reference",)),
    Subset("bbh", "BBH", "bbh", ("id", "reference")),
    Subset("ifeval", "IFEval", "ifeval", ("prompt", "instruction_id_list", "kwargs")),
    Subset("advbench", "AdvBench", "harm", ("prompt",)),
    Subset("alpacaeval", "AlpacaEval (199)", "open", ("prompt",)),
    Subset("mtbench", "MT-Bench", "", ()),
)
_MMSU_COLUMNS = ("id", "question", "choice_a", "choice_b", "answer_gt", "category")
_MMAU_COLUMNS = ("question", "choices", "answer", "task", "difficulty")

BENCHMARKS: Mapping[str, Benchmark] = {
    each.name: each
    for each in (
        Benchmark(
            "voicebench", "VoiceBench", "hlt-lab/voicebench", "answer",
            Decoding(16, 16, 16), _VOICEBENCH,
        ),
        Benchmark(
            "mmsu", "MMSU", "ddwang2000/MMSU", "instruct", Decoding(4, 4, 4),
            (Subset("mmsu", "MMSU", "mmsu", _MMSU_COLUMNS),), ("id",),
        ),
        Benchmark(
            "mmau", "MMAU", "gamma-lab-umd/MMAU-test-mini", "instruct", Decoding(16, 16, 16),
            (Subset("mmau", "MMAU", "mmau", _MMAU_COLUMNS),), ("id", "audio_id"),
        ),
    )
}  # fmt: skip

REGIONS = ("usa", "aus", "gbr", "ind_n", "ind_s", "irl", "kenya", "nga", "nzl", "phl", "zaf")
"""Splits of SD-QA; the leaderboard's number is of the first."""

_MMSU_TASK = (
    "Choose the most suitable answer from options A, B, C, and D to respond the question in next "
    "line, **you should only choose A or B or C or D.** Do not provide any additional "
    "explanations or content."
)
_MMAU_TASK = (
    "You are given the audio and a multiple-choice question. Choose the best answer based only on "
    "the speech content and style."
)


def question(benchmark: str, row: Mapping[str, Any]) -> str:
    """What a model is told about one item besides its sound; empty where the sound is all."""
    if benchmark == "mmsu":
        columns = ("choice_a", "choice_b", "choice_c", "choice_d")
        choices = [row[name] for name in columns if row.get(name) is not None]
        return f"{_MMSU_TASK}\n\nQuestion: {row['question']}\n\n{_lettered(choices)}"
    if benchmark == "mmau":
        listed = _lettered(row["choices"])
        return f"{_MMAU_TASK}\n\nQuestion: {row['question']}\n\nChoices:\n{listed}\nAnswer:"
    return ""


def _lettered(choices: Any) -> str:
    return "\n".join(
        f"{letter}. {choice}" for letter, choice in zip(ascii_uppercase, choices, strict=False)
    )
