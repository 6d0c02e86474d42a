"""The command itself, as processes: dealt to several, and killed without warning."""

import json
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from engines.evaluation.benchmarks.running import answered
from tests.evaluation.chat_server import marks
from tests.evaluation.test_benchmark_commands import NANO

ROOT = Path(__file__).parents[2]
LONGEST_S = 120
_MADE_OF_TIME = ("## Speed", "## Command")


def started(*arguments: object) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "assistant", "evaluate", *map(str, arguments)]
    return subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def run(*arguments: object) -> str:
    with started(*arguments) as process:
        out, error = process.communicate(timeout=LONGEST_S)
    assert process.returncode == 0, error
    return out


def killed(when: Callable[[], bool], *arguments: object) -> None:
    """Run a command, and kill it as soon as `when` says so."""
    with started(*arguments) as process:
        for _ in range(100 * LONGEST_S):
            if when():
                break
            try:
                process.wait(0.01)
            except subprocess.TimeoutExpired:
                continue
            break
        process.kill()
    assert process.returncode == -signal.SIGKILL, "it ended before it was killed"


def finished(out: Path) -> set[str]:
    return set(answered(out))


def told(out: Path) -> dict[str, object]:
    """Everything a run says but for its times, which are never twice the same."""
    figures = json.loads((out / "scores.json").read_text())
    assert figures.pop("speed")["items"] == len(finished(out))
    report = (out / "report.md").read_text().split("\n\n")
    headings = [place for place, part in enumerate(report) if part in _MADE_OF_TIME]
    assert len(headings) == 2
    kept = [part for place, part in enumerate(report) if not {place, place - 1} & set(headings)]
    return {
        "figures": figures,
        "report": [part for part in kept if not part.startswith("- latency")],
        "items": (out / "items.jsonl").read_text(),
        "responses": {path.name: path.read_text() for path in (out / "responses").iterdir()},
        "recordings": sorted(path.name for path in (out / "worst").iterdir()),
    }


@pytest.fixture(scope="module")
def asked(published):
    """Eight at a time: answers do not depend on what is answered beside them."""
    run = ["voicebench", "--data", published / "voicebench", "--model", NANO, "--threads", 1]
    return [*run, "--subset", "bbh", "--subset", "advbench", "--limit", 20]


@pytest.fixture(scope="module")
def undisturbed(asked, tmp_path_factory):
    out = tmp_path_factory.mktemp("undisturbed") / "run"
    run(*asked, "--out", out)
    assert len(finished(out)) == 40
    return told(out)


def test_two_workers_give_the_report_of_one(asked, undisturbed, tmp_path):
    run(*asked, "--out", tmp_path, "--workers", 2)
    assert told(tmp_path) == undisturbed
    parts = [len(path.read_text().splitlines()) for path in (tmp_path / "parts").iterdir()]
    assert parts == [20, 20]


def test_a_command_that_is_killed_twice_reports_like_an_undisturbed_one(
    asked, undisturbed, tmp_path
):
    killed(lambda: len(finished(tmp_path)) >= 5, *asked, "--out", tmp_path)
    first = finished(tmp_path)
    assert 5 <= len(first) < 40
    assert not (tmp_path / "report.md").exists()
    killed(lambda: len(finished(tmp_path)) >= len(first) + 5, *asked, "--out", tmp_path)
    second = finished(tmp_path)
    assert first < second
    assert len(second) < 40
    run(*asked, "--out", tmp_path)
    assert told(tmp_path) == undisturbed
    lines = (tmp_path / "parts" / "1-of-1.jsonl").read_text().splitlines()
    assert len(lines) == 40  # no item was answered twice


def test_workers_go_when_their_command_is_killed(asked, undisturbed, tmp_path):
    killed(lambda: len(finished(tmp_path)) >= 4, *asked, "--out", tmp_path, "--workers", 2)
    run(*asked, "--out", tmp_path, "--workers", 2)
    assert told(tmp_path) == undisturbed


def test_a_command_that_is_killed_while_its_judge_thinks_asks_for_nothing_twice(server, tmp_path):
    rows = [{"prompt": f"question {n}", "response": f"answer {n}"} for n in range(6)]
    path = tmp_path / "commoneval.jsonl"
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    judged = ["voicebench", "--responses", path, "--out", tmp_path / "out"]
    judged += ["--judge-url", server.url, "--judge-workers", 1]
    thinking, gone = threading.Event(), threading.Event()

    def thinks(number, asked):
        if number == 4:
            thinking.set()
            gone.wait(LONGEST_S)
        return marks(asked)

    server.answer = thinks
    killed(thinking.is_set, *judged)
    gone.set()
    assert len((tmp_path / "out" / "judge.jsonl").read_text().splitlines()) == 3
    run(*judged)
    assert len(server.asked) == 4 + 3  # the question under way was never answered
    assert set(server.questions()[4:]) == set(server.questions()) - set(server.questions()[:3])
    scores = json.loads((tmp_path / "out" / "scores.json").read_text())["scores"]
    assert [(each["n"], each["value"]) for each in scores] == [(6, 4)]
