"""What the documents tell a reader to type is there: commands, options, scripts, files, topics."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from assistant.cli.main import app
from assistant.mqtt.topics import CommandName, Topics

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]

PROGRAMS = re.compile(
    "apt-get|arecord|cp|echo|espeak-ng|export|git|install|journalctl|jq|ln|loginctl|mkdir|mosquitto_passwd"
    "|mosquitto_pub|mosquitto_rr|mosquitto_sub|python3|read|rm|systemctl|torchrun|/opt/(?:assistant|pedant)/bin/pip"
)
"""Programs of others that the documents may use."""

HARMLESS = frozenset(
    ["assistant config show", "assistant config schema --markdown", "assistant plugins list"]
)
"""Commands that are really run; of the others the name and the options are checked."""

FENCE = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)
INLINE = re.compile(r"`([^`\n]+)`")
LINK = re.compile(r"\]\((?!\w+:)([^)#\s]+)")


def typed(text: str) -> Iterator[str]:
    """Every line of a shell block, and whatever else looks like a command of ours."""
    for language, block in FENCE.findall(text):
        for line in block.replace("\\\n", " ").splitlines():
            if language == "sh" or line.startswith(("assistant ", "script/")):
                yield line
    for code in INLINE.findall(FENCE.sub("", text)):
        if code.startswith(("assistant ", "script/")):
            yield code


def commands(line: str) -> Iterator[list[str]]:
    """The words of every command in a line: pipes split, sudo, variables and redirections gone."""
    words: list[str] = []
    for word in [*shlex.split(line, comments=True), "|"]:
        if word in {"|", "&&", ">"}:
            if words:
                yield words
            words = []
            if word == ">":
                return
        elif words or not (word == "sudo" or re.fullmatch(r"[A-Z_]+=.*", word)):
            words.append(word)


SHOWN = [
    pytest.param(words, id=f"{page.name}: {' '.join(words)}")
    for page in PAGES
    for line in dict.fromkeys(typed(page.read_text(encoding="utf-8")))
    for words in commands(line)
]


def named_command(words: list[str]) -> tuple[Any, list[str]]:
    """The command that `assistant WORDS…` names, and the words after its name."""
    command: Any = typer.main.get_command(app)
    while subcommands := getattr(command, "commands", None):
        if not words or words[0] not in subcommands:
            break
        command, words = subcommands[words[0]], words[1:]
    return command, words


@pytest.mark.parametrize("words", SHOWN)
def test_a_command_in_the_documents_can_be_typed(words: list[str]) -> None:
    program, arguments = words[0], words[1:]
    if program == "torchrun":
        program, *arguments = arguments[arguments.index("-m") + 1 :]
    if program.startswith("script/"):
        assert (ROOT / program).stat().st_mode & 0o100, f"{program} is not executable"
        program = "assistant" if program == "script/run" else program
    if program != "assistant":
        assert program.startswith("script/") or PROGRAMS.fullmatch(program)
        return
    command, rest = named_command(arguments)
    if arguments:
        assert not getattr(command, "commands", None), f"{arguments} names no command"
    options = {name for parameter in command.params for name in parameter.opts} | {"--help"}
    unknown = [word for word in rest if word.startswith("--") and word not in options]
    assert unknown == []


def test_the_documents_show_commands() -> None:
    assert len(SHOWN) > len(PAGES)


@pytest.mark.parametrize("line", sorted(HARMLESS))
def test_a_harmless_command_works(
    line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ASSISTANT_PLUGINS__FOLDER", str(tmp_path))
    monkeypatch.setenv("ASSISTANT_STATE_FOLDER", str(tmp_path))

    result = CliRunner().invoke(app, line.split()[1:])

    assert result.exit_code == 0, result.output
    assert result.output.strip()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_a_linked_file_is_there(page: Path) -> None:
    text = FENCE.sub("", page.read_text(encoding="utf-8"))

    assert [link for link in LINK.findall(text) if not (page.parent / link).exists()] == []


def test_the_readme_names_the_topics_there_are() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    told = set(re.findall(r"^\| `([a-z/]+)` \| (?:in|out) \|", readme, re.MULTILINE))
    topics = Topics("assistant", "kitchen")
    commands_in = {*CommandName}

    assert commands_in <= told
    assert told - commands_in == {
        "status", "info", "state", "mute", "event", "reply", "partial",
    }  # fmt: skip
    for name in told - commands_in:
        assert getattr(topics, name) == f"{topics.root}/{name}"
