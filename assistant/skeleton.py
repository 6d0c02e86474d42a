"""A new plugin with its test, to begin from."""

import keyword
import re
import sys
from pathlib import Path

from assistant.errors import UserError

_NAME = re.compile(r"[a-z][a-z0-9_]{0,31}")

_PLUGIN = '''"""What this plugin is for, in one line."""

from assistant.plugin import Plugin, Turn

plugin = Plugin("{name}", about="say hello from {spoken}")


@plugin.intent(
    "(say hello|greet) [to] {{who}} from {spoken}",
    examples={{"say hello to anna from {spoken}": {{"who": "anna"}}}},
)
async def hello(turn: Turn, who: str) -> str:
    """Greet somebody."""
    return f"Hello, {{who}}!"
'''

_TEST = """import {name}
import pytest


@pytest.mark.asyncio
async def test_somebody_is_greeted(assistant):
    assistant.add({name}.plugin)
    turn = await assistant.hear("say hello to anna from {spoken}")
    assert turn.intent == "{name}.hello"
    assert turn.slots == {{"who": "anna"}}
    assert turn.reply == "Hello, anna!"
"""


def write_plugin(name: str, folder: Path) -> tuple[Path, Path]:
    """Write `NAME.py` and `test_NAME.py` into `folder`; returns their paths.

    Raises `UserError` for a name that cannot be one and for files that are there already.
    """
    if not _NAME.fullmatch(name) or keyword.iskeyword(name):
        raise UserError(f"{name!r} is no plugin name: use small letters, digits and underscores")
    if name in sys.stdlib_module_names or name.startswith("test_"):
        raise UserError(f"{name!r} would be taken for a module of Python's own: use another name")
    files = (folder / f"{name}.py", folder / f"test_{name}.py")
    for path in files:
        if path.exists():
            raise UserError(f"{path} is there already: use another name, or remove it")
    words = {"name": name, "spoken": name.replace("_", " ").strip()}
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for path, text in zip(files, (_PLUGIN, _TEST), strict=True):
            path.write_text(text.format_map(words), encoding="utf-8")
    except OSError as error:
        raise UserError(f"cannot write into {folder}: {error.strerror}") from error
    return files
