"""HTTP for plugins, against a real server."""

import asyncio
import ssl
import threading
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from assistant import web
from assistant.plugin import Plugin, Response, Turn
from assistant.web import HttpClient
from tests.support.broker import Certificates


class Site(BaseHTTPRequestHandler):
    def do_GET(self):
        status = {"/missing": 404, "/there": 302}.get(self.path, 200)
        self.send_response(status)
        self.send_header("Location", "/json")
        self.end_headers()
        if self.path == "/slow":
            self.server.release.wait(20)
        body = b"x" * (web.MAX_BYTES + 1) if self.path == "/large" else b'{"warm": true}'
        self.wfile.write(body)

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(201)
        self.end_headers()
        self.wfile.write(self.headers["Content-Type"].encode() + b" " + body)

    def log_message(self, *_):
        pass


@pytest.fixture
def site():
    server = HTTPServer(("127.0.0.1", 0), Site)
    server.release = threading.Event()
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.release.set()
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize(("path", "status"), [("/json", 200), ("/missing", 404), ("/there", 200)])
async def test_a_page_is_fetched_whatever_its_status(site, path, status):
    answer = await HttpClient().get(site + path)
    assert (answer.status, answer.ok, answer.json()) == (status, status == 200, {"warm": True})


async def test_json_is_posted(site):
    answer = await HttpClient().post(f"{site}/x", json={"on": True})
    assert (answer.status, answer.text) == (201, 'application/json {"on": true}')


async def test_a_large_page_is_refused(site):
    with pytest.raises(ValueError, match="more than"):
        await HttpClient().get(f"{site}/large")


async def test_a_slow_server_is_not_waited_for(site):
    with pytest.raises(TimeoutError):
        await HttpClient().get(f"{site}/slow", timeout=0.1)


async def trickle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """A server that comes to an end at `/end` alone."""
    asked = await reader.readline()
    writer.write(b"HTTP/1.1 200 OK\r\n" if b"/head" in asked else b"HTTP/1.1 200 OK\r\n\r\n")
    with suppress(ConnectionError):
        while b"/end" not in asked:
            writer.write(b"X: ")
            await writer.drain()
            await asyncio.sleep(0.01)
    writer.close()


@pytest.fixture
def tls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    made = Certificates.make(tmp_path)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(made.certificate, made.key)
    monkeypatch.setenv("SSL_CERT_FILE", str(made.ca))
    return context


@pytest.mark.parametrize("path", ["head", "body"])
@pytest.mark.parametrize("scheme", ["http", "https"])
async def test_servers_that_never_come_to_an_end_hold_no_place(scheme, path, tls):
    client, secure = HttpClient(), tls if scheme == "https" else None
    async with await asyncio.start_server(trickle, "127.0.0.1", 0, ssl=secure) as server:
        site = f"{scheme}://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        gets = [client.get(f"{site}/{path}", timeout=0.5) for _ in range(web.MAX_AT_ONCE)]
        for outcome in await asyncio.gather(*gets, return_exceptions=True):
            assert isinstance(outcome, TimeoutError)
        async with asyncio.timeout(5):
            while client._at_once._value < web.MAX_AT_ONCE:  # noqa: ASYNC110 - threads end
                await asyncio.sleep(0.01)
        assert (await client.get(f"{site}/end")).ok


async def test_a_certificate_that_nobody_known_signed_is_refused(tls, monkeypatch):
    monkeypatch.delenv("SSL_CERT_FILE")
    async with await asyncio.start_server(trickle, "127.0.0.1", 0, ssl=tls) as server:
        with pytest.raises(OSError, match="CERTIFICATE_VERIFY_FAILED"):
            await HttpClient().get(f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}")


async def test_no_more_than_a_few_requests_at_once(site):
    client = HttpClient()
    waiting = [asyncio.create_task(client.get(f"{site}/slow")) for _ in range(web.MAX_AT_ONCE)]
    await asyncio.sleep(0)
    with pytest.raises(BlockingIOError):
        await client.get(f"{site}/json")
    for task in waiting:
        task.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)


@pytest.mark.parametrize("url", ["file:///etc/passwd", "ftp://host/x", "http://", "lamp", "http:x"])
async def test_other_addresses_are_refused(url):
    with pytest.raises(ValueError, match="no http or https address"):
        await HttpClient().get(url)


async def test_nobody_there_is_an_os_error():
    with pytest.raises(OSError, match="refused"):
        await HttpClient().get("http://127.0.0.1:9/")


async def test_a_handler_reaches_the_web_and_the_model_and_a_test_answers_for_them(assistant):
    plugin = Plugin("probe")

    @plugin.intent("is it warm")
    async def warm(turn: Turn) -> str:
        weather = (await turn.http.get("http://weather/now")).json()
        return await turn.ask(f"Say that it has {weather['degrees']} degrees.")

    @plugin.intent("whom do i call")
    async def call(turn: Turn) -> str:
        return await turn.fill("call ___ today")

    assistant.add(plugin)
    assistant.http.answers["http://weather/now"] = Response(200, b'{"degrees": 21}')
    assistant.model.answers["Say that it has 21 degrees."] = "It is nice."
    assistant.model.answers["call ___ today"] = "call mum today"
    assert (await assistant.hear("is it warm")).reply == "It is nice."
    assert assistant.http.requests == [("GET", "http://weather/now", None)]
    assert (await assistant.hear("whom do i call")).reply == "call mum today"
