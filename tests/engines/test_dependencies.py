import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def imports(path):
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        match node:
            case ast.Import(names=names):
                yield from (name.name for name in names)
            case ast.ImportFrom(module=module) if module:
                yield module


def files(folder):
    return sorted((ROOT / folder).rglob("*.py"))


@pytest.mark.parametrize("path", files("engines"), ids=lambda path: str(path.relative_to(ROOT)))
def test_the_engine_knows_nothing_of_the_assistant(path):
    assert not [name for name in imports(path) if name.split(".")[0] in ("assistant", "plugins")]


@pytest.mark.parametrize("path", files("plugins"), ids=lambda path: str(path.relative_to(ROOT)))
def test_a_bundled_plugin_uses_nothing_but_the_public_api(path):
    ours = [name for name in imports(path) if name.split(".")[0] in ("assistant", "engines")]
    assert set(ours) <= {"assistant.plugin"}


def test_neither_schedules_nor_the_facade_load_torch():
    modules = "engines.decoding, engines.scoring, engines.backends.onnx, engines.diffa"
    program = f"import sys, {modules}; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], cwd=ROOT, check=False).returncode == 0
