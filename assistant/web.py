"""HTTP for plugins: bounded in time and size, and never in the way of a stop."""

import asyncio
import json as json_codec
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol
from urllib.error import HTTPError
from urllib.parse import urlsplit
from urllib.request import Request

from assistant.threads import in_thread
from assistant.web_line import Line

MAX_BYTES = 1_048_576
"""Largest response that is read."""
MAX_AT_ONCE = 8
_SCHEMES = ("http", "https")


@dataclass(frozen=True, slots=True)
class Response:
    """What a server answered."""

    status: int
    """200 is fine, 404 is not found, …"""
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    """By names in small letters."""

    @property
    def ok(self) -> bool:
        """The server did what was asked."""
        return 200 <= self.status < 300  # noqa: PLR2004 - the range of success

    @property
    def text(self) -> str:
        """The body as UTF-8."""
        return self.body.decode(errors="replace")

    def json(self) -> Any:
        """Read the body as JSON; raises `ValueError` when it is none."""
        return json_codec.loads(self.body)


class Http(Protocol):
    """A client that waits no longer than `timeout` seconds and reads no more than 1 MiB."""

    async def get(
        self, url: str, *, headers: Mapping[str, str] | None = None, timeout: float = 4.0
    ) -> Response:
        """Fetch `url`.

        Raises `OSError` (`TimeoutError` among them) when there is no answer, and `ValueError`
        for what is no http(s) address and for a body that is too large.
        """
        ...

    async def post(
        self,
        url: str,
        *,
        json: Any = None,
        data: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        timeout: float = 4.0,
    ) -> Response:
        """Send `json`, or the bytes of `data`, to `url`; raises what `get` does."""
        ...


class HttpClient:
    """The real one."""

    def __init__(self) -> None:
        self._at_once = threading.BoundedSemaphore(MAX_AT_ONCE)

    async def get(
        self, url: str, *, headers: Mapping[str, str] | None = None, timeout: float = 4.0
    ) -> Response:
        """Fetch `url`, as `Http.get`."""
        return await self._send(_request(url, None, headers), timeout)

    async def post(
        self,
        url: str,
        *,
        json: Any = None,
        data: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        timeout: float = 4.0,
    ) -> Response:
        """Send to `url`, as `Http.post`."""
        sent = {} if json is None else {"Content-Type": "application/json"}
        body = data or b"" if json is None else json_codec.dumps(json).encode()
        return await self._send(_request(url, body, {**sent, **(headers or {})}), timeout)

    async def _send(self, request: Request, timeout: float) -> Response:
        if not self._at_once.acquire(blocking=False):
            raise BlockingIOError(f"{MAX_AT_ONCE} requests are under way already")
        line = Line()
        try:
            async with asyncio.timeout(timeout):
                return await in_thread(lambda: self._fetch(request, timeout, line), "plugin http")
        finally:
            line.cut()

    def _fetch(self, request: Request, timeout: float, line: Line) -> Response:
        try:
            return _read(line, request, timeout)
        finally:
            self._at_once.release()


def _read(line: Line, request: Request, timeout: float) -> Response:
    try:
        answer = line.open(request, timeout)
    except HTTPError as refusal:
        answer = refusal
    with answer:
        body = answer.read(MAX_BYTES + 1)
        if len(body) > MAX_BYTES:
            raise ValueError(f"{request.full_url} answers with more than {MAX_BYTES} bytes")
        headers = {name.lower(): value for name, value in answer.headers.items()}
        return Response(answer.status, body, headers)


def _request(url: str, body: bytes | None, headers: Mapping[str, str] | None) -> Request:
    parts = urlsplit(url)
    if parts.scheme not in _SCHEMES or not parts.hostname:
        raise ValueError(f"{url!r} is no http or https address")
    named = {"User-Agent": "assistant", **(headers or {})}
    return Request(url, data=body, headers=named)  # noqa: S310 - the scheme was checked
