"""Downloads against a hub of our own: Hugging Face's client, a local server, no network."""

import hashlib
import json
import socket
import subprocess
import sys
import threading
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar

import pytest

from engines.checkpoints import CheckpointError
from engines.hub import DIFFA, LLADA, WHISPER, fetch
from tests.engines.published import (
    diffa_tensors,
    llada_shape,
    write_diffa,
    write_llada,
    write_whisper,
)
from tests.engines.test_published import LARGE

COMMIT = "0" * 40
PROGRAM = "from assistant.__main__ import main; main()"


class Hub(BaseHTTPRequestHandler):
    """Serves `files` {repository: {name: path}} as the hub does."""

    files: ClassVar[dict[str, dict[str, Path]]] = {}

    def do_HEAD(self):
        self.answer(body=False)

    def do_GET(self):
        self.answer(body=True)

    def answer(self, *, body):
        parts = self.path.partition("?")[0].strip("/").split("/")
        if parts[:2] == ["api", "models"]:
            self.describe("/".join(parts[2:4]), parts[4:])
        else:
            repository, name = "/".join(parts[:2]), "/".join(parts[4:])
            path = self.files.get(repository, {}).get(name)
            self.send(path.read_bytes() if path else None, body=body)

    def describe(self, repository, rest):
        names = self.files.get(repository)
        if names is None:
            return self.send(None)
        if rest and rest[0] == "tree":
            entries = [
                {"type": "file", "path": name, "size": path.stat().st_size, "oid": "0" * 40}
                for name, path in names.items()
            ]
            return self.send(json.dumps(entries).encode())
        siblings = [{"rfilename": name} for name in names]
        return self.send(
            json.dumps({"id": repository, "sha": COMMIT, "siblings": siblings}).encode()
        )

    def send(self, content, *, body=True):
        self.send_response(200 if content is not None else 404)
        if content is None:
            self.send_header("X-Error-Code", "RepoNotFound")
        content = content or b""
        self.send_header("Content-Length", str(len(content)))
        self.send_header("ETag", f'"{hashlib.sha256(content).hexdigest()}"')
        self.send_header("X-Repo-Commit", COMMIT)
        self.end_headers()
        if body:
            self.wfile.write(content)

    def log_message(self, *args):
        pass


@pytest.fixture(scope="module")
def hub(tmp_path_factory):
    """A hub that has tiny models under the published names."""
    folder = tmp_path_factory.mktemp("hub")
    write_whisper(folder / "whisper", replace(LARGE, encoder_layers=4))
    write_diffa(folder / "diffa", "whisper-tiny", diffa_tensors(16, 32, taps=4))
    write_llada(folder / "llada", llada_shape())
    names = {"whisper": WHISPER, "diffa": DIFFA, "llada": LLADA}
    Hub.files = {
        published.repository: {each.name: each for each in (folder / name).iterdir()}
        for name, published in names.items()
    }
    server = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    thread = threading.Thread(target=server.serve_forever, name="hub")
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def convert(endpoint, home, *options):
    environment = {
        "HF_ENDPOINT": endpoint,
        "HF_HOME": str(home / "cache"),
        "HF_HUB_DISABLE_XET": "1",
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "PATH": "/usr/bin:/bin",
        "HOME": str(home),
    }
    return subprocess.run(
        [sys.executable, "-c", PROGRAM, "model", "convert", "--hub", *map(str, options)],
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
        cwd=Path(__file__).parents[2],
    )


def test_all_three_are_downloaded_and_converted(hub, tmp_path):
    done = convert(hub, tmp_path, "--out", tmp_path / "diffa")
    assert done.returncode == 0, done.stderr
    assert "non-commercial" in done.stdout
    assert (tmp_path / "diffa" / "encoder.onnx").is_file()
    assert "%" in done.stderr


def test_a_repository_that_is_not_there_is_named(hub, tmp_path):
    done = convert(hub, tmp_path, "--diffa", "nobody/nothing", "--out", tmp_path / "diffa")
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1].startswith(
        "assistant: nobody/nothing cannot be downloaded from Hugging Face: "
    )
    assert not (tmp_path / "diffa").exists()


def test_without_a_network_one_line_says_so(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    done = convert(f"http://127.0.0.1:{port}", tmp_path, "--out", tmp_path / "diffa")
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    last = done.stderr.splitlines()[-1]
    assert last.startswith("assistant: openai/whisper-small cannot be downloaded")
    assert "is there a network? Or name a folder that holds it" in last


def test_a_folder_is_taken_as_it_is(tmp_path):
    def never(repository, files):
        raise AssertionError

    assert fetch(WHISPER, str(tmp_path), never) == tmp_path


def test_only_the_files_that_are_needed_are_asked_for(tmp_path):
    asked = []

    def download(repository, files):
        asked.append((repository, files))
        return str(tmp_path)

    assert fetch(LLADA, None, download) == tmp_path
    assert fetch(LLADA, "someone/LLaDA-1.5", download) == tmp_path
    assert [repository for repository, _ in asked] == [LLADA.repository, "someone/LLaDA-1.5"]
    assert "tokenizer.json" in asked[0][1]


def test_what_is_neither_a_folder_nor_a_repository_is_refused():
    with pytest.raises(CheckpointError, match="neither a folder nor a repository OWNER/NAME"):
        fetch(WHISPER, "./not/there", None)
