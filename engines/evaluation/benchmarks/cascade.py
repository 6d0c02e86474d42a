"""What people use today: a speech recogniser, then a language model that reads its transcript."""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import replace
from typing import Any

from engines.evaluation.benchmarks.answering import Group
from engines.evaluation.benchmarks.catalogue import Benchmark, Decoding, question
from engines.evaluation.benchmarks.chat import Chat, Message
from engines.evaluation.benchmarks.items import Answer, BenchmarkError, Heard, Item
from engines.evaluation.benchmarks.prefetch import Ahead
from engines.evaluation.benchmarks.sound import SAMPLE_RATE_HZ, hear
from engines.evaluation.peers import Peer

PREFIX = "cascade:"
_AHEAD = 4
_SYSTEM = (
    "You are a helpful voice assistant. The user speaks to you, and a speech recogniser that makes "
    "mistakes writes down what you read."
)


def parse(text: str) -> Mapping[str, str]:
    """Read `cascade:asr=NAME,llm=URL[,model=NAME]`; raises `BenchmarkError`."""
    parts = dict(
        each.partition("=")[::2] for each in text.removeprefix(PREFIX).split(",") if each.strip()
    )
    unknown = parts.keys() - {"asr", "llm", "model"}
    if unknown or not parts.get("asr") or not parts.get("llm"):
        raise BenchmarkError(
            f"--model {text}: write cascade:asr=pocketsphinx,llm=URL, and ,model=NAME for a "
            "server with several models"
        )
    return {"model": "default", **parts}


def described(decoding: Decoding | None) -> Mapping[str, Any]:
    """What a report must say of how a cascade is asked."""
    settings = ", ".join(f"{name} {value:g}" for name, value in _settings(decoding).items())
    return {
        "prompt": "the transcript, and the question where there is one",
        "prompt_text": _SYSTEM,
        "question_told": True,
        "decoding": settings,
        "audio": "mono, 16 kHz",
    }


def _settings(decoding: Decoding | None) -> Mapping[str, float]:
    """Greedy, and as long as the server likes, unless it is said how long."""
    return {"temperature": 0.0} | ({"max_tokens": decoding.max_new_tokens} if decoding else {})


class CascadeAnswerer:
    """A recogniser in this process, and any server that speaks OpenAI's chat protocol."""

    def __init__(
        self,
        peer: Peer,
        chat: Chat,
        benchmark: Benchmark,
        decoding: Decoding | None = None,
        *,
        batch: int = 8,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        """Ask `batch` answers of the server at a time, greedily.

        An answer may be as long as the server likes, unless `decoding` says how long.
        """
        self._peer, self._chat, self._benchmark = peer, chat, benchmark
        self._batch, self._clock = batch, clock
        self._settings = _settings(decoding)

    def answer(self, items: Iterable[Item]) -> Iterator[Group]:
        """Answer all items; raises `BenchmarkError` when the server is away or refuses."""
        heard = Ahead(hear, items, _AHEAD, "benchmark sounds")
        with ThreadPoolExecutor(self._batch, "benchmark cascade") as pool:
            try:
                yield from self._answer(heard, pool)
            finally:
                heard.close()

    def _answer(self, heard: Ahead[Heard], pool: ThreadPoolExecutor) -> Iterator[Group]:
        running: dict[Future[Answer], None] = {}
        last, idle_s = self._clock(), 0.0
        while running or not heard.ended:
            done: list[Answer] = []
            if len(running) < self._batch and not heard.ended:
                began = self._clock()
                found = heard.take(wait=True)
                idle_s += self._clock() - began
                if found is not None and found.wave is None:
                    done.append(Answer(found.item.key, "", found.error))
                elif found is not None:
                    running[self._begin(found, pool)] = None
            # with room left the next sound is transcribed while the server thinks
            timeout_s = None if len(running) == self._batch or heard.ended else 0
            finished = wait(running, timeout_s, FIRST_COMPLETED).done if running else set()
            for future in finished:
                del running[future]
                done.append(future.result())
            if done:
                now = self._clock()
                yield Group(tuple(done), now - last, now - last - idle_s)
                last, idle_s = now, 0.0

    def _begin(self, heard: Heard, pool: ThreadPoolExecutor) -> Future[Answer]:
        """Transcribe, and leave the rest to a thread."""
        wave = heard.wave
        if wave is None:
            raise ValueError("nothing was heard")
        began = self._clock()
        transcript = self._peer.transcribe(wave)
        answer = Answer(
            heard.item.key, "", audio_s=len(wave) / SAMPLE_RATE_HZ, transcript=transcript
        )
        told = question(self._benchmark.name, heard.item.row)
        text = f"{told}\n\nThe audio says: {transcript}" if told else transcript
        messages: list[Message] = [
            {"role": "system", "content": _SYSTEM},
            {"role": "user", "content": text},
        ]
        return pool.submit(self._ask, messages, answer, began)

    def _ask(self, messages: list[Message], answer: Answer, began_s: float) -> Answer:
        texts = self._chat.complete(messages, **self._settings)
        took_s = self._clock() - began_s
        response = texts[0] if texts else ""
        return replace(answer, response=response, took_s=took_s, first_s=took_s)
