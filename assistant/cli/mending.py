"""What a person can mend, said in one line: packages, data, checkpoints, a full disk."""

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

from assistant.errors import UserError


def need_torch(*more: str) -> None:
    """Raise `UserError` that names the extra where torch or one of `more` is not installed."""
    for package in ("torch", *more):
        if find_spec(package) is None:
            raise UserError(f"training needs {package}: pip install 'assistant[train]'")


@contextmanager
def told(where: Path) -> Iterator[None]:
    """Turn what a person can mend into a `UserError`; other errors are defects and stay."""
    try:
        yield
    except (ValueError, RuntimeError) as error:
        if "PytorchStreamWriter" in str(error) or "unexpected pos" in str(error):
            raise UserError(
                f"{where}: the checkpoint could not be written; is the disk full?"
            ) from error
        if not type(error).__module__.startswith("engines."):
            raise
        raise UserError(str(error)) from error
    except OSError as error:
        if error.errno in {errno.ENOSPC, errno.EDQUOT}:
            raise UserError(
                f"{where}: the disk is full; free some space and run it again"
            ) from error
        if error.filename is None:
            raise
        raise UserError(f"{error.filename}: {error.strerror}") from error
