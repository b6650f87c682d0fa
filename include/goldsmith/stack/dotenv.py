"""The block of `.env` that Goldsmith writes for dbt; the user's own lines are kept."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path

from goldsmith.errors import ConfigurationError

BEGIN = "# Written by `goldsmith up --warehouse`; it holds no secrets. Your own lines outside are kept."
END = "# End of what Goldsmith wrote."


def write_dotenv(file: Path, values: Mapping[str, str]) -> list[str]:
    """Write variables into a marked block of a `.env` file.

    Returns:
        The names that the user's own lines set; those are left to the user.
    """
    file = file.resolve()  # a link stays one
    text = _read_text(file) if file.is_file() else ""
    own = _own_lines(text, set(values))
    set_by_user = {
        line.strip().removeprefix("export ").split("=", 1)[0].strip() for line in own if "=" in line
    }
    block = [f'{name}="{value}"' for name, value in values.items() if name not in set_by_user]
    if own and not own[-1].endswith("\n"):
        own[-1] += "\n"
    end = "\r\n" if own and own[0].endswith("\r\n") else "\n"
    staging = file.with_name(f"{file.name}.part")
    if file.is_file():  # before there is anything to read in it
        staging.touch(mode=0o600)
        staging.chmod(file.stat().st_mode & 0o777)
    with staging.open("w", encoding="utf-8", newline="") as stream:
        stream.writelines((*own, *(line + end for line in (BEGIN, *block, END))))
    staging.replace(file)
    return sorted(set_by_user.intersection(values))


def _read_text(file: Path) -> str:
    try:
        with file.open(encoding="utf-8", newline="") as stream:
            return stream.read()
    except UnicodeDecodeError as error:
        raise ConfigurationError(f"{file} is not UTF-8: {error}", hint="Save it as UTF-8.") from error


def _own_lines(text: str, ours: Collection[str]) -> list[str]:
    """The user's lines, as they are: all but the marked block, which ends with the first line that we do not write."""
    own: list[str] = []
    is_ours = False
    for line in text.splitlines(keepends=True):
        bare = line.strip()
        if bare in (BEGIN, END):
            is_ours = bare == BEGIN
        elif not is_ours or bare.split("=", 1)[0] not in ours:
            is_ours = False
            own.append(line)
    return own
