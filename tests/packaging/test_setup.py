"""`script/setup`: installs what is missing, nothing twice, and says what it cannot do.

The tools it calls are fakes that write down how they were called; the folder is a copy.
"""

import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

FAKE = """\
#!/usr/bin/env bash
echo "$(basename "$0") $*" >>"$FAKES/calls"
case "$(basename "$0") $*" in
    "python3 -m venv"*) mkdir -p .venv/bin && cp "$0" .venv/bin/python ;;
    "python3 --version") echo "Python $FAKE_PYTHON" ;;
    *version_info*) [[ $FAKE_PYTHON != 3.9* ]] ;;
    *"import ensurepip") [[ -f $FAKES/installed/python3-venv ]] ;;
    "python -m pip"*) [[ -z $FAKE_OFFLINE ]] ;;
    "id -u") echo "$FAKE_USER" ;;
    "sudo -n true") [[ -n $FAKE_SUDO ]] ;;
    "sudo -n "*) shift && "$@" ;;
    "dpkg-query "*) [[ -f $FAKES/installed/${*: -1} ]] && echo "install ok installed" ;;
    "apt-get update") [[ -z $FAKE_OFFLINE ]] ;;
    "apt-get install "*) [[ -z $FAKE_OFFLINE ]] && for each in "$@"; do
        touch "$FAKES/installed/$each"; done ;;
esac
"""
TOOLS = ("python3", "id", "sudo", "dpkg-query", "apt-get")


@dataclass(frozen=True, slots=True)
class Machine:
    """A clone of the repository on a machine where `installed` Debian packages are present."""

    clone: Path
    fakes: Path

    def setup(
        self, *extras: str, user: int = 0, sudo: str = "", offline: str = "", python: str = "3.11.2"
    ) -> tuple[int, str]:
        """Run `script/setup`; its exit code and what it said."""
        environment = os.environ | {
            "PATH": f"{self.fakes}:{os.environ['PATH']}",
            "FAKES": str(self.fakes),
            "FAKE_USER": str(user),
            "FAKE_SUDO": sudo,
            "FAKE_OFFLINE": offline,
            "FAKE_PYTHON": python,
        }
        (self.fakes / "calls").write_text("")
        command = [str(self.clone / "script" / "setup"), *extras]
        done = subprocess.run(
            command, env=environment, capture_output=True, text=True, timeout=30, check=False
        )
        assert done.stdout == ""
        return done.returncode, done.stderr

    def calls(self, tool: str) -> list[str]:
        """How `tool` was called in the last run."""
        lines = (self.fakes / "calls").read_text().splitlines()
        return [line for line in lines if line.startswith(f"{tool} ")]


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    clone, fakes = tmp_path / "clone", tmp_path / "fakes"
    (fakes / "installed").mkdir(parents=True)
    for tool in TOOLS:
        (fakes / tool).write_text(FAKE)
        (fakes / tool).chmod(0o755)
    (clone / "script").mkdir(parents=True)
    for name in ("script/setup", "pyproject.toml", "constraints.txt"):
        shutil.copy(ROOT / name, clone / name)
    return Machine(clone, fakes)


def test_a_fresh_machine_gets_everything_with_one_line_for_each_step(machine: Machine) -> None:
    code, said = machine.setup()

    assert (code, len(said.splitlines())) == (0, 4)
    assert "Debian packages: installing python3 python3-venv" in said
    assert "creating .venv" in said
    (install,) = machine.calls("python")
    assert install.endswith("--constraint constraints.txt --editable .")


def test_a_second_time_installs_nothing_and_needs_no_network(machine: Machine) -> None:
    machine.setup("mic")
    code, said = machine.setup("mic", offline="yes")

    assert (code, said) == (0, "==> Set-up: complete\n")
    assert machine.calls("apt-get") == []
    assert [call for call in machine.calls("python") if "pip install" in call] == []


def test_extras_add_up(machine: Machine) -> None:
    machine.setup("test")
    machine.setup("mic", "lint")
    assert machine.calls("python")[-1].endswith("--editable .[lint,mic,test]")

    code, said = machine.setup(offline="yes")
    assert (code, said) == (0, "==> Set-up: complete\n")


def test_other_versions_are_installed_again(machine: Machine) -> None:
    machine.setup("mic")
    with (machine.clone / "constraints.txt").open("a") as constraints:
        constraints.write("other==1\n")
    machine.setup()

    assert machine.calls("python")[-1].endswith("--editable .[mic]")


def test_an_install_that_failed_is_tried_again(machine: Machine) -> None:
    machine.setup()
    (machine.clone / ".venv" / "installed").unlink()

    code, said = machine.setup(offline="yes")
    assert code == 1
    assert "Python packages could not be installed" in said

    assert machine.setup()[0] == 0
    assert machine.calls("python")[-1].endswith("--editable .")


def test_without_rights_the_command_to_type_is_told(machine: Machine) -> None:
    code, said = machine.setup("mic", user=1000)

    assert code == 1
    assert said.strip().endswith(
        "run: sudo apt-get install --no-install-recommends "
        "python3 python3-venv gcc python3-dev portaudio19-dev"
    )
    assert machine.calls("apt-get") == []


def test_sudo_without_a_password_is_used(machine: Machine) -> None:
    code, _ = machine.setup(user=1000, sudo="yes")

    assert code == 0
    assert any("apt-get install --yes" in call for call in machine.calls("sudo"))


def test_an_old_python_is_named(machine: Machine) -> None:
    code, said = machine.setup(python="3.9.2")

    assert code == 1
    assert "Python 3.9.2 is too old" in said
    assert machine.calls("python") == []


def test_an_extra_that_does_not_exist_is_refused(machine: Machine) -> None:
    code, said = machine.setup("microphone")

    assert code == 1
    assert "no such extra: microphone" in said
