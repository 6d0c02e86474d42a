"""Any server that speaks OpenAI's chat protocol: patient with a busy one, clear about a wrong one.

One client is used by many threads. When the server asks for time, all of them wait.
"""

import email.utils
import json
import random
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from engines.evaluation.benchmarks.items import BenchmarkError

ATTEMPTS = 8
LONGEST_WAIT_S = 120.0
MOST_BYTES = 8_000_000
"""Of one reply."""

Message = Mapping[str, str]


class ChatError(BenchmarkError):
    """The server refuses for good: a wrong address, model or key, or no chat completion at all."""


class ChatAwayError(BenchmarkError):
    """The server was away or busy at every attempt; later it may not be."""


class Chat:
    """A client of one model on one server."""

    def __init__(
        self,
        url: str,
        model: str,
        key: str = "",
        *,
        timeout_s: float = 120.0,
        per_minute: float | None = None,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Take a base address such as http://localhost:8000/v1; raises `ChatError`.

        No more than `per_minute` questions are begun in any minute, evenly spaced.
        """
        try:
            import httpx2
        except ImportError as error:
            raise ChatError(
                "asking a server needs httpx2: pip install 'assistant[evaluate]'"
            ) from error
        if not url.startswith(("http://", "https://")):
            raise ChatError(f"{url}: not an address; give one like http://localhost:8000/v1")
        self.url, self.model = url.rstrip("/"), model
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        self._http, self._timeout_s = httpx2, timeout_s
        self._client = httpx2.Client(headers=headers, timeout=timeout_s)
        self._sleep, self._clock = sleep, clock
        self._lock, self._not_before_s = threading.Lock(), 0.0
        self._gap_s, self._turn_s = 60 / per_minute if per_minute else 0.0, 0.0
        self._jitter = random.Random(0)  # noqa: S311 - not for secrets

    def complete(self, messages: Sequence[Message], **settings: Any) -> list[str]:
        """The texts of all choices; raises `ChatError` and `ChatAwayError`."""
        body = {"model": self.model, "messages": list(messages), **settings}
        reason = ""
        for attempt in range(ATTEMPTS):
            self._wait()
            try:
                status, headers, said = self._post(body)
            except self._http.TransportError as error:
                reason, wait_s = str(error) or type(error).__name__, None
            else:
                if status == 200:
                    return self._texts(said)
                reason = f"it answers {status}"
                if status not in {408, 409, 425, 429} and status < 500:
                    raise ChatError(
                        f"{self.url}: {reason}; check the address, the model and the key"
                    )
                wait_s = _asked_for(headers.get("retry-after"))
            self._back_off(attempt, wait_s)
        raise ChatAwayError(f"{self.url}: no answer in {ATTEMPTS} attempts ({reason})")

    def close(self) -> None:
        """Give the connections back."""
        self._client.close()

    def _post(self, body: Mapping[str, Any]) -> tuple[int, Mapping[str, str], bytes]:
        """Status, headers and body, of which no more is read than a completion can be long."""
        until_s, said = self._clock() + self._timeout_s, bytearray()
        address = f"{self.url}/chat/completions"
        with self._client.stream("POST", address, json=body) as reply:
            for piece in reply.iter_bytes():
                said += piece
                if len(said) > MOST_BYTES:
                    raise ChatError(f"{self.url}: its reply has no end; check the address")
                if self._clock() > until_s:
                    raise self._http.ReadTimeout("it does not finish its reply")
            return reply.status_code, reply.headers, bytes(said)

    def _texts(self, said: bytes) -> list[str]:
        try:
            choices = json.loads(said)["choices"]
            texts = [choice["message"]["content"] for choice in choices]
        except (ValueError, LookupError, TypeError, RecursionError) as error:
            raise ChatError(
                f"{self.url}: its reply is no chat completion; check the address"
            ) from error
        return [str(text or "").strip() for text in texts]

    def _wait(self) -> None:
        with self._lock:
            turn_s = max(self._turn_s, self._clock())
            self._turn_s = turn_s + self._gap_s
        while (left_s := max(turn_s, self._not_before_s) - self._clock()) > 0:
            self._sleep(left_s)

    def _back_off(self, attempt: int, asked_s: float | None) -> None:
        with self._lock:
            wait_s = self._jitter.uniform(0.5, 1.0) * 2**attempt if asked_s is None else asked_s
            until_s = self._clock() + min(wait_s, LONGEST_WAIT_S)
            self._not_before_s = max(self._not_before_s, until_s)


def _asked_for(header: str | None) -> float | None:
    """Seconds that a `Retry-After` asks for, as a number or as a date."""
    if header is None:
        return None
    try:
        return max(0.0, float(header))
    except ValueError:
        pass
    try:
        return max(0.0, email.utils.parsedate_to_datetime(header).timestamp() - time.time())
    except ValueError:
        return None
