"""The connection of one request, which can be cut at any time.

A time-out of urllib is one of silence: a server that sends a byte now and then is heard for ever,
and so is one whose answer nobody waits for any more.
"""

import socket
import threading
from contextlib import suppress
from functools import partial
from http.client import HTTPConnection, HTTPResponse, HTTPSConnection
from typing import Any
from urllib.request import (
    HTTPDefaultErrorHandler,
    HTTPErrorProcessor,
    HTTPRedirectHandler,
    HTTPSHandler,
    OpenerDirector,
    ProxyHandler,
    Request,
    UnknownHandler,
)

_HANDLERS = (
    *(ProxyHandler, UnknownHandler, HTTPDefaultErrorHandler),
    *(HTTPRedirectHandler, HTTPErrorProcessor),
)
"""No files and no FTP, which urllib would open as well."""


class Line:
    """Opens addresses on one thread, until another cuts it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._socket: socket.socket | None = None
        self._is_cut = False

    def open(self, request: Request, timeout: float) -> Any:
        """Give the answer as `urllib.request.urlopen` does, and raise what that raises."""
        opener = OpenerDirector()
        for kind in _HANDLERS:
            opener.add_handler(kind())
        opener.add_handler(_Handler(self))
        return opener.open(request, timeout=timeout)

    def lay(self, connected: socket.socket) -> None:
        """Use this connection from now on; raises `TimeoutError` when it is too late."""
        with self._lock:
            self._socket = connected
            if self._is_cut:
                raise TimeoutError("the request was given up")

    def cut(self) -> None:
        """End whatever is read or written, now and later."""
        with self._lock:
            self._is_cut = True
            if self._socket is not None:
                with suppress(OSError):  # it is closed, or the server was quicker
                    # TLS would say good-bye first, on a connection that another thread reads
                    socket.socket.shutdown(self._socket, socket.SHUT_RDWR)


class _Plain(HTTPConnection):
    def __init__(self, line: Line, host: str, **options: Any) -> None:
        super().__init__(host, **options)
        self._line = line

    def connect(self) -> None:
        super().connect()
        self._line.lay(self.sock)


class _Secure(_Plain, HTTPSConnection):
    """The same, by way of TLS."""


class _Handler(HTTPSHandler):
    def __init__(self, line: Line) -> None:
        super().__init__()
        self._line = line

    def http_open(self, req: Request) -> HTTPResponse:
        return self.do_open(partial(_Plain, self._line), req)

    def https_open(self, req: Request) -> HTTPResponse:
        return self.do_open(partial(_Secure, self._line), req)

    http_request = HTTPSHandler.https_request
