"""A server that speaks OpenAI's chat protocol as a test tells it to, on a port of its own."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass(frozen=True)
class Reply:
    """What is sent back; a status of 0 hangs up without a word."""

    status: int = 200
    texts: tuple[str, ...] = ()
    headers: dict[str, str] = field(default_factory=dict)
    raw: bytes | None = None
    """The body, where it is no chat completion."""

    def body(self) -> bytes:
        if self.raw is not None:
            return self.raw
        choices = [{"message": {"content": text}} for text in self.texts]
        return json.dumps({"choices": choices}).encode()


def marks(asked: dict[str, Any]) -> Reply:
    """As a good judge does: "Yes" to a question of yes or no, four points to any other."""
    verdict = "Yes" if 'single "Yes"' in asked["messages"][-1]["content"] else "[[4]]"
    return Reply(texts=(verdict,) * asked.get("n", 1))


class ChatServer(ThreadingHTTPServer):
    """Notes every request, and answers by `answer(number, request)`, numbers from 1."""

    daemon_threads = True
    answer: Callable[[int, dict[str, Any]], Reply]

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.asked: list[dict[str, Any]] = []
        self.answer = lambda _number, asked: marks(asked)
        self.url = f"http://127.0.0.1:{self.server_port}/v1"
        self._lock = threading.Lock()

    def reply(self, asked: dict[str, Any]) -> Reply:
        with self._lock:
            self.asked.append(asked)
            number = len(self.asked)
        return self.answer(number, asked)

    def questions(self) -> list[str]:
        """What was asked, without the settings."""
        return [asked["messages"][-1]["content"] for asked in self.asked]


@contextmanager
def chat_server() -> Iterator[ChatServer]:
    """Serve until the test is over."""
    with ChatServer() as server:
        # asked often whether it should end, for a test waits until it has
        threading.Thread(target=server.serve_forever, args=(0.01,), name="chat server").start()
        try:
            yield server
        finally:
            server.shutdown()


class _Handler(BaseHTTPRequestHandler):
    server: ChatServer

    def do_POST(self) -> None:
        length = int(self.headers["content-length"])
        reply = self.server.reply(json.loads(self.rfile.read(length)))
        if not reply.status:
            self.close_connection = True
            return
        body = reply.body()
        self.send_response(reply.status)
        for name, value in (*reply.headers.items(), ("Content-Length", str(len(body)))):
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_args: object) -> None:
        pass
