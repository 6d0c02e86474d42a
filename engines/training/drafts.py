"""Files and folders that appear whole or not at all."""

import os
import shutil
from pathlib import Path
from types import TracebackType


class Draft:
    """A folder to fill, `with Draft(folder) as draft`; it takes its name when all went well."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._draft = folder.with_name(f"{folder.name}.half")

    def __enter__(self) -> Path:
        shutil.rmtree(self._draft, ignore_errors=True)
        self._draft.mkdir(parents=True)
        return self._draft

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if error is None:
            os.replace(self._draft, self._folder)
        else:
            shutil.rmtree(self._draft, ignore_errors=True)


def replace_text(path: Path, text: str) -> None:
    """Write a file whose old content stays until the new one is complete."""
    half = path.with_name(f"{path.name}.half")
    half.write_text(text, encoding="utf-8")
    os.replace(half, path)
