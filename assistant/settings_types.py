"""What settings are made of: sections, and the kinds of values in them."""

from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, StringConstraints, model_validator


def _at_home(path: Path) -> Path:
    """`~` is the user's home folder, as in a shell."""
    try:
        return path.expanduser()
    except RuntimeError as error:
        raise ValueError(f"no such home folder in {path}") from error


def _index_or_name(device: str | int) -> str | int:
    """In the environment and on the command line an index is a string of digits."""
    chosen = int(device) if isinstance(device, str) and device.isdecimal() else device
    if isinstance(chosen, int) and chosen < 0:
        raise ValueError("an index counts from 0")
    return chosen


def without_empty(given: Any) -> Any:
    """Leave out what is empty: TOML and the environment have no null."""
    if not isinstance(given, dict):
        return given
    return {name: value for name, value in given.items() if value != ""}


UserPath = Annotated[Path, AfterValidator(_at_home)]
Device = Annotated[str | int, AfterValidator(_index_or_name)]
SiteName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{1,64}$")]
TopicName = Annotated[
    str, StringConstraints(pattern=r"^[A-Za-z0-9_-]+(/[A-Za-z0-9_-]+)*$", max_length=256)
]


class Section(BaseModel):
    """A group of settings; an unknown name is refused, so a typing error never goes unnoticed."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    _empty_is_default = model_validator(mode="before")(without_empty)
