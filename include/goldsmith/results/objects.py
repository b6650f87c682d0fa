"""Results in object storage, through Airflow's connection and file systems."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from typing import TYPE_CHECKING

from goldsmith.errors import EnvironmentProblem
from goldsmith.results.names import ENDING

if TYPE_CHECKING:
    from airflow.sdk import ObjectStoragePath

_AT_ONCE = 16  # requests; each waits some 20 to 100 ms for its answer
_HINT = (
    "Does the URL of GOLDSMITH_RESULTS_PATH name a bucket and an Airflow connection that may read and write it, "
    "s3://connection@bucket/prefix, and is that storage's Airflow provider installed?"
)


def is_object_storage(path: str) -> bool:
    """Whether a results path is a URL that is no folder's."""
    return "://" in path and not path.startswith("file://")


class ObjectFiles:
    """The objects under one URL; each is written whole or not at all by the storage itself.

    Args:
        url: As Airflow's ObjectStoragePath takes it.
    """

    def __init__(self, url: str) -> None:
        self._url = url.rstrip("/")

    @cached_property
    def _root(self) -> ObjectStoragePath:
        """Looked up at the first use: it asks Airflow for the connection."""
        from airflow.sdk import ObjectStoragePath

        try:
            return ObjectStoragePath(self._url)
        except Exception as error:  # each storage has exceptions of its own
            raise EnvironmentProblem(f"{self._url} cannot be used: {error}", hint=_HINT) from error

    def location(self, folder: tuple[str, str], name: str) -> str:
        """The URL of an object."""
        return "/".join((self._url, *folder, name))

    def read(self, folder: tuple[str, str], name: str) -> bytes | None:
        """An object's content; none where there is no such object."""
        try:
            content: bytes = self._root.joinpath(*folder, name).read_bytes()
        except FileNotFoundError:
            return None
        except Exception as error:
            raise EnvironmentProblem(
                f"{self.location(folder, name)} cannot be read: {error}", hint=_HINT
            ) from error
        return content

    def write(self, folder: tuple[str, str], files: Mapping[str, bytes]) -> None:
        """Replace objects, several at once."""
        target = self._root.joinpath(*folder)
        try:
            with ThreadPoolExecutor(max_workers=_AT_ONCE) as pool:
                list(pool.map(lambda one: target.joinpath(one[0]).write_bytes(one[1]), files.items()))
        except Exception as error:
            raise EnvironmentProblem(f"Results cannot be written to {target}: {error}", hint=_HINT) from error

    def names(self, folder: tuple[str, str]) -> list[str]:
        """The names of the objects in a folder."""
        try:
            return [one.name for one in self._root.joinpath(*folder).iterdir() if one.name.endswith(ENDING)]
        except (FileNotFoundError, NotADirectoryError):  # storage knows no empty folders
            return []
        except Exception as error:
            raise EnvironmentProblem(f"{self._url} cannot be read: {error}", hint=_HINT) from error

    def prune(self, folder: str, *, keep_days: float, limit: int) -> int:  # noqa: ARG002
        """Delete nothing: a bucket's lifecycle rule does it without a request."""
        return 0
