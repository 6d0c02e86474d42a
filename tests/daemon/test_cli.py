"""The command line: what a user's mistake looks like, and how light it starts."""

import asyncio
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
from typer.testing import CliRunner

from assistant.cli.main import app, main
from tests.support.assistant import RECORDINGS, ROOT, any_model

PROGRAM = "from assistant.__main__ import main; main()"


def run(*arguments: object, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", PROGRAM, *map(str, arguments)]
    environment = {**os.environ, "XDG_CONFIG_HOME": "/nowhere", **(env or {})}
    return subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60, check=False
    )


def refused(told: subprocess.CompletedProcess[str], words: str) -> None:
    assert words in told.stderr
    assert "Traceback" not in told.stderr
    assert told.returncode == 2
    assert told.stderr.count("\n") == 1


def test_the_command_line_starts_without_the_engine():
    heavy = "{'numpy', 'onnxruntime', 'hassil', 'pydantic', 'structlog', 'aiomqtt', 'torch'}"
    program = f"import sys, assistant.cli.main; print(sorted({heavy} & set(sys.modules)))"
    told = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert told.stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["ask", "missing.wav"], "missing.wav: no such file"),
        (["ask", "tests"], "tests is a folder"),
        (["ask", "--set", "sit=attic", RECORDINGS / "3-time.opus"], "did you mean site"),
        (["run", "--set", "endpoint.silence_ms=1"], "greater than or equal to 100"),
        (["run", "--set", "site"], "write NAME=VALUE"),
        (["run", "--config", "missing.toml"], "cannot read the settings file missing.toml"),
    ],
)
def test_a_mistake_is_found_before_anything_is_loaded(
    arguments: list[object],
    words: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
):
    monkeypatch.setattr(sys, "argv", ["assistant", *map(str, arguments)])
    with pytest.raises(SystemExit) as left:
        main()
    told = capsys.readouterr()
    assert words in told.err
    assert (told.out, told.err.count("\n"), left.value.code) == ("", 1, 2)


def test_a_file_that_is_not_there_costs_the_others_nothing(tmp_path: Path):
    (tmp_path / "empty.wav").touch()
    files = [RECORDINGS / "3-time.opus", tmp_path / "empty.wav", tmp_path / "no.wav", ""]
    result = CliRunner().invoke(app, ["ask", "--json", *map(str, files)])
    assert json.loads(result.stdout)["transcript"] == "what time is it now"
    told = result.stderr.splitlines()
    assert [line.rpartition(": ")[2] for line in told] == [
        "record it again",
        "no such file",
        "name a recording",
    ]
    assert result.exit_code == 2


def test_noise_from_a_pipe_is_refused_by_what_it_is():
    result = CliRunner().invoke(app, ["ask", "-"], input=b"no recording at all")
    assert "standard input cannot be read as a recording: Format not recognised" in result.stderr
    assert result.exit_code == 2


def test_a_file_that_may_not_be_read_is_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setattr(os, "access", lambda *_: False)
    monkeypatch.setattr(sys, "argv", ["assistant", "ask", str(RECORDINGS / "3-time.opus")])
    with pytest.raises(SystemExit) as left:
        main()
    assert "3-time.opus may not be read by this user" in capsys.readouterr().err
    assert left.value.code == 2


def test_a_model_folder_that_is_none_is_named(tmp_path: Path):
    told = run("ask", "--model", tmp_path, RECORDINGS / "3-time.opus")
    refused(told, f"engine.model: {tmp_path / 'model.toml'}")


def test_a_recording_that_is_played_as_microphone_must_be_there(tmp_path: Path):
    told = run(
        *("run", "--file", "missing.wav", "--host", "embedded", "--port", 0),
        *("--set", f"state_folder={tmp_path}", "--set", "log.level=error", "--model", any_model()),
    )
    refused(told, "missing.wav: no such recording")


def test_ctrl_c_while_the_program_is_being_imported_ends_it_without_a_word():
    program = """
import sys
class Interrupt:
    def find_spec(name, path=None, target=None):
        if name == "assistant.cli.main":
            raise KeyboardInterrupt
sys.meta_path.insert(0, Interrupt)
from assistant.__main__ import main
main()
"""
    told = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert (told.returncode, told.stdout, told.stderr) == (130, "", "")


@pytest.mark.parametrize("at_work", [True, False])
def test_a_thread_that_is_at_work_in_the_end_is_not_waited_for_nor_torn_down(at_work: bool):
    """The interpreter's own end would abort a thread that comes back from other languages."""
    program = f"""
import atexit, sys, threading, types
def end():
    if {at_work}:
        threading.Thread(target=threading.Event().wait, daemon=True).start()
    sys.stdout.write("said;")
    sys.exit(3)
sys.modules["assistant.cli.main"] = types.SimpleNamespace(main=end)
atexit.register(sys.stdout.write, "torn down")
from assistant.__main__ import main
main()
"""
    told = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert (told.returncode, told.stderr) == (3, "")
    assert told.stdout == ("said;" if at_work else "said;torn down")


def test_ctrl_c_while_the_model_is_loaded_does_not_wait_for_it(monkeypatch: pytest.MonkeyPatch):
    def load(*_: object) -> None:
        with pytest.raises(RuntimeError):  # on the event loop Ctrl-C would only cancel a task
            asyncio.get_running_loop()
        raise KeyboardInterrupt

    monkeypatch.setattr("assistant.understanding.load_mind", load)
    monkeypatch.setattr(sys, "argv", ["assistant", "ask", str(RECORDINGS / "3-time.opus")])
    with pytest.raises(SystemExit) as left:
        main()
    assert left.value.code == 130


def test_an_output_without_room_is_one_line():
    with Path("/dev/full").open("w") as full:
        command = [sys.executable, "-c", PROGRAM, "config", "schema"]
        told = subprocess.run(
            command, cwd=ROOT, stdout=full, stderr=subprocess.PIPE, text=True, check=False
        )
    assert told.stderr == "assistant: the output could not be written: the disk is full\n"
    assert told.returncode == 1


@pytest.fixture(scope="module")
def asked(tmp_path_factory: pytest.TempPathFactory) -> subprocess.CompletedProcess[str]:
    """Every kind of recording, asked about at once: one start of the engine for all."""
    folder, rng = tmp_path_factory.mktemp("asked"), np.random.default_rng(3)
    soundfile.write(folder / "silence.wav", np.zeros(32_000), 16_000)
    soundfile.write(folder / "noise.wav", rng.standard_normal(48_000) * 0.1, 16_000)
    soundfile.write(folder / "hum.wav", np.sin(np.arange(48_000) * 0.047) * 0.5, 16_000)
    soundfile.write(folder / "long.flac", rng.standard_normal(8_000 * 1800) * 0.1, 8_000)
    (folder / "empty.wav").touch()
    (folder / "text.wav").write_text("not a recording")
    broken = (RECORDINGS / "3-time.opus").read_bytes()[:3000]
    (folder / "cut.opus").write_bytes(broken)
    names = ["silence.wav", "noise.wav", "hum.wav", "text.wav", "long.flac", "cut.opus"]
    files = [RECORDINGS / "3-time.opus", *(folder / name for name in names)]
    told = run("ask", "--json", "--model", any_model(), *files)
    empty = run("ask", folder / "empty.wav")
    refused(empty, "empty.wav is empty")
    return told


def test_a_recording_is_answered_as_json(asked: subprocess.CompletedProcess[str]):
    [line] = asked.stdout.splitlines()
    answered = json.loads(line)
    assert set(answered) == {
        *("file", "transcript", "intent", "slots", "text", "passes", "timings_ms")
    }
    assert set(answered["timings_ms"]) == {"encode", "decode", "total"}
    assert answered["text"]
    assert answered["passes"] > 0


@pytest.mark.parametrize(
    ("file", "words"),
    [
        ("silence.wav", "no speech was heard"),
        ("noise.wav", "no speech was heard"),
        ("hum.wav", "no speech was heard"),
        ("text.wav", "cannot be read as a recording"),
        ("cut.opus", "cannot be read as a recording"),
        ("long.flac", "1800 s long; only the first"),
    ],
)
def test_each_recording_that_cannot_be_answered_is_one_line(
    asked: subprocess.CompletedProcess[str], file: str, words: str
):
    lines = [line for line in asked.stderr.splitlines() if file in line]
    assert words in lines[0]
    assert all(line.startswith("assistant: ") for line in asked.stderr.splitlines())
    assert asked.returncode == 2
