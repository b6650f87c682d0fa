"""Results in a folder of this machine, or one that is mounted on all."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from uuid import uuid4

from goldsmith.errors import EnvironmentProblem
from goldsmith.results.names import ENDING, OWN, SUMMARY

_DAY = 86_400.0
_HINT = "Every worker and the API server need the folder of GOLDSMITH_RESULTS_PATH; workers need to write it."


class LocalFiles:
    """The files under one folder.

    Args:
        path: The folder, also as a `file://` URL; it is made where it is missing.
    """

    def __init__(self, path: str) -> None:
        self._root = Path(path.removeprefix("file://")).expanduser().absolute()

    def location(self, folder: tuple[str, str], name: str) -> str:
        """The path of a file."""
        return str(self._root.joinpath(*folder, name))

    def read(self, folder: tuple[str, str], name: str) -> bytes | None:
        """A file's content; none where there is no such file."""
        path = self._root.joinpath(*folder, name)
        try:
            return path.read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise EnvironmentProblem(f"{path} cannot be read: {error}", hint=_HINT) from error

    def write(self, folder: tuple[str, str], files: Mapping[str, bytes]) -> None:
        """Replace files, each whole or not at all.

        A file is written beside its place and moved there; a process that dies between leaves a hidden one. Nothing
        waits for the disk: results are lost in a power failure, and thousands of them are kept in less than a second.
        """
        target = str(self._root.joinpath(*folder))
        partial = os.path.join(target, f".{uuid4().hex}.part")  # noqa: PTH118 - a Path costs more than the file
        try:
            os.makedirs(target, exist_ok=True)  # noqa: PTH103
            for name, content in files.items():
                with open(partial, "wb", buffering=0) as stream:  # noqa: PTH123
                    stream.write(content)
                os.replace(partial, f"{target}/{name}")  # noqa: PTH105
        except OSError as error:
            with suppress(OSError):
                os.unlink(partial)  # noqa: PTH108
            raise EnvironmentProblem(f"Results cannot be written to {target}: {error}", hint=_HINT) from error

    def delete(self, folder: tuple[str, str], name: str) -> None:
        """Delete a file, where it is there, and its folder with the last one."""
        path = self._root.joinpath(*folder, name)
        try:
            path.unlink(missing_ok=True)
        except OSError as error:
            raise EnvironmentProblem(f"{path} cannot be deleted: {error}", hint=_HINT) from error
        with suppress(OSError):  # it holds others
            path.parent.rmdir()

    def names(self, folder: tuple[str, str]) -> list[str]:
        """The names of the files in a folder."""
        path = self._root.joinpath(*folder)
        try:
            with os.scandir(path) as found:
                return [one.name for one in found if one.name.endswith(ENDING)]
        except FileNotFoundError:
            return []
        except OSError as error:
            raise EnvironmentProblem(f"{path} cannot be read: {error}", hint=_HINT) from error

    def prune(self, folder: str, *, keep_days: float, limit: int) -> int:
        """Delete at most `limit` runs in a folder that are older than `keep_days` and have no report; give how many."""
        before = time.time() - keep_days * _DAY
        try:
            with os.scandir(self._root / folder) as found:
                runs = [one for one in found if one.is_dir() and not one.name.startswith(OWN)]
                ages = sorted((one.stat().st_mtime, one.path) for one in runs)
        except FileNotFoundError:
            return 0
        except OSError as error:
            raise EnvironmentProblem(f"{self._root / folder} cannot be read: {error}", hint=_HINT) from error
        old = [path for changed, path in ages if changed < before and not Path(path, SUMMARY).exists()][
            :limit
        ]
        for path in old:
            shutil.rmtree(path, ignore_errors=True)  # another process may be at it too
        return len(old)
