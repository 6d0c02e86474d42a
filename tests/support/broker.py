"""A real mosquitto for a test: on a free loopback port, with password and TLS when asked."""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import aiomqtt

LOOPBACK = "127.0.0.1"
_PATIENCE_S = 5.0


@dataclass(frozen=True, slots=True)
class Account:
    """Who may use the broker; without one, everybody."""

    username: str
    password: str


@dataclass(frozen=True, slots=True)
class Certificates:
    """A certificate authority made for one test, and what it signed for 127.0.0.1."""

    ca: Path
    certificate: Path
    key: Path

    @classmethod
    def make(cls, folder: Path) -> Self:
        """Make them with openssl in `folder`."""
        folder.mkdir(parents=True, exist_ok=True)
        made = cls(folder / "ca.pem", folder / "server.pem", folder / "server.key")
        new_key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")
        authority = ("-keyout", folder / "ca.key", "-out", made.ca, "-subj", "/CN=test authority")
        _openssl("req", "-x509", *new_key, *authority, "-days", "1")
        issued_by = ("-CA", made.ca, "-CAkey", folder / "ca.key")
        leaf = ("-keyout", made.key, "-out", made.certificate, "-subj", "/CN=localhost")
        name = ("-addext", f"subjectAltName=IP:{LOOPBACK},DNS:localhost")
        _openssl("req", "-x509", *new_key, *leaf, *name, *issued_by, "-days", "1")
        return made


class Mosquitto:
    """One broker process; it keeps its port, and loses its memory, over a restart."""

    def __init__(
        self,
        folder: Path,
        *,
        account: Account | None = None,
        tls: Certificates | None = None,
        acl: str = "",
    ) -> None:
        """`acl` has the lines of an access list; empty for one that lets everybody do all."""
        folder.mkdir(parents=True, exist_ok=True)
        self.account = account
        self.tls = tls
        self._acl = acl
        self.port = _free_port()
        self._log = folder / "mosquitto.log"
        self._config = folder / "mosquitto.conf"
        self._config.write_text("\n".join(self._lines(folder)) + "\n", encoding="utf-8")
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.kill()

    @property
    def settings(self) -> dict[str, Any]:
        """The `mqtt` section that reaches it."""
        reach: dict[str, Any] = {"host": LOOPBACK, "port": self.port}
        if self.account:
            reach |= {"username": self.account.username, "password": self.account.password}
        if self.tls:
            reach["tls"] = {"enabled": True, "ca": str(self.tls.ca)}
        return reach

    def start(self) -> None:
        """Start it and return once it accepts connections."""
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [_mosquitto(), "-c", self._config], stdout=log, stderr=log
            )
        deadline = time.monotonic() + _PATIENCE_S
        while time.monotonic() < deadline and self._process.poll() is None:
            with contextlib.suppress(OSError), socket.create_connection((LOOPBACK, self.port), 1):
                return
            time.sleep(0.005)
        raise RuntimeError(f"mosquitto did not start: {self.log()}")

    def stop(self) -> None:
        """Ask it to stop and wait until it has."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """End it at once (SIGKILL)."""
        self._end(signal.SIGKILL)

    def restart(self) -> None:
        """Kill it and start it again on the same port."""
        self.kill()
        self.start()

    def freeze(self) -> None:
        """Stop its clock (SIGSTOP): connections stay open and nothing is answered."""
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let a frozen broker go on."""
        self._signal(signal.SIGCONT)

    def log(self) -> str:
        """What it wrote so far."""
        return self._log.read_text(encoding="utf-8", errors="replace")

    def client(self, **options: Any) -> aiomqtt.Client:
        """A client of this broker, as a smart-home hub would be; enter it to connect."""
        if self.account:
            options |= {"username": self.account.username, "password": self.account.password}
        if self.tls:
            options["tls_params"] = aiomqtt.TLSParameters(ca_certs=str(self.tls.ca))
        return aiomqtt.Client(LOOPBACK, self.port, timeout=_PATIENCE_S, **options)

    @contextlib.asynccontextmanager
    async def hub(self, *filters: str) -> AsyncIterator[aiomqtt.Client]:
        """A connected client that listens to `filters` (all topics when there are none)."""
        async with self.client() as client:
            await client.subscribe([(topic, 1) for topic in filters or ("#",)])
            yield client

    def _lines(self, folder: Path) -> Iterator[str]:
        yield f"listener {self.port} {LOOPBACK}"
        yield "user root"
        yield "set_tcp_nodelay true"
        yield "max_queued_messages 0"
        if self.account is None:
            yield "allow_anonymous true"
        else:
            passwords = folder / "passwords"
            owner = (self.account.username, self.account.password)
            _run("mosquitto_passwd", "-c", "-b", passwords, *owner)
            yield "allow_anonymous false"
            yield f"password_file {passwords}"
        if self._acl:
            (folder / "acl").write_text(self._acl + "\n", encoding="utf-8")
            yield f"acl_file {folder / 'acl'}"
        if self.tls is not None:
            yield f"cafile {self.tls.ca}"
            yield f"certfile {self.tls.certificate}"
            yield f"keyfile {self.tls.key}"

    def _signal(self, number: signal.Signals) -> None:
        if self._process is None:
            raise RuntimeError("mosquitto is not running")
        self._process.send_signal(number)

    def _end(self, number: signal.Signals) -> None:
        if self._process is not None:
            self._process.send_signal(number)
            self._process.wait(_PATIENCE_S)
            self._process = None


def _mosquitto() -> str:
    """Find it where Debian keeps it, which is not on every user's path."""
    search = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/usr/local/sbin"])
    found = shutil.which("mosquitto", path=search)
    if found is None:
        raise RuntimeError("these tests need mosquitto: apt-get install mosquitto")
    return found


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        port: int = probe.getsockname()[1]
        return port


def _openssl(*arguments: str | Path) -> None:
    _run("openssl", *arguments)


def _run(*command: str | Path) -> None:
    subprocess.run(command, check=True, capture_output=True, timeout=_PATIENCE_S * 2)
