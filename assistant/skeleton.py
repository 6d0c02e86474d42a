"""A new plugin with its test, or a new phrasebook, to begin from."""

import keyword
import re
import sys
from collections.abc import Mapping
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

_TEST = """from {name} import plugin


async def test_somebody_is_greeted(assistant):
    assistant.add(plugin)
    turn = await assistant.hear("say hello to anna from {spoken}")
    assert turn.intent == "{name}.hello"
    assert turn.slots == {{"who": "anna"}}
    assert turn.reply == "Hello, anna!"
"""

_PHRASEBOOK = """# Sentences, and what is replied to them. Is it sound? assistant plugins check
about = "say hello from {spoken}"

[lists]
who = ["anna", "tom"]

[[answer]]
sentences = "(say hello|greet) [to] {{who}} from {spoken}"
reply = "Hello, {{who}}!"
examples = ["say hello to anna from {spoken}"]
# publish = {{ topic = "home/{{who}}/bell", payload = "ON" }}
"""


def write_phrasebook(name: str, folder: Path) -> Path:
    """Write `NAME.toml` into `folder`; returns its path. Raises what `write_plugin` does."""
    _check(name)
    return _write({folder / f"{name}.toml": _PHRASEBOOK}, name)[0]


def write_plugin(name: str, folder: Path) -> tuple[Path, Path]:
    """Write `NAME.py` and `test_NAME.py` into `folder`; returns their paths.

    Raises `UserError` for a name that cannot be one and for files that are there already.
    """
    _check(name)
    texts = {folder / f"{name}.py": _PLUGIN, folder / f"test_{name}.py": _TEST}
    plugin, test = _write(texts, name)
    return plugin, test


def _check(name: str) -> None:
    if not _NAME.fullmatch(name) or keyword.iskeyword(name):
        raise UserError(f"{name!r} is no plugin name: use small letters, digits and underscores")
    if name in sys.stdlib_module_names or name.startswith("test_"):
        raise UserError(f"{name!r} would be taken for a module of Python's own: use another name")


def _write(texts: Mapping[Path, str], name: str) -> list[Path]:
    for path in texts:
        if path.exists():
            raise UserError(f"{path} is there already: use another name, or remove it")
    words = {"name": name, "spoken": name.replace("_", " ").strip()}
    try:
        for path, text in texts.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text.format_map(words), encoding="utf-8")
    except OSError as error:
        raise UserError(f"cannot write into {path.parent}: {error.strerror}") from error
    return list(texts)
