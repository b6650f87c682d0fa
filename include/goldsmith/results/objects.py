"""Results in object storage, through Airflow's connection and file systems."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from functools import cached_property
from typing import TYPE_CHECKING

from goldsmith.errors import EnvironmentProblem
from goldsmith.extras import need_storage
from goldsmith.results.names import ENDING

if TYPE_CHECKING:
    from airflow.sdk import ObjectStoragePath

_AT_ONCE = 16  # requests; each waits some 20 to 100 ms for its answer
_PAGE = "text/html; charset=utf-8"
_KIND = {"s3": "ContentType", "gs": "content_type"}
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
        need_storage(self._url, f"The path {self._url}")
        from airflow.sdk import ObjectStoragePath

        return ObjectStoragePath(self._url)

    def location(self, folder: tuple[str, str], name: str) -> str:
        """The URL of an object."""
        return "/".join((self._url, *folder, name))

    def read(self, folder: tuple[str, str], name: str) -> bytes | None:
        """An object's content; none where there is no such object."""
        with _told(f"{self.location(folder, name)} cannot be read"):
            path = self._root.joinpath(*folder, name)
            try:
                content: bytes = path.fs.cat_file(
                    path.path
                )  # one request; `read_bytes` asks for the size first
            except FileNotFoundError:
                return None
            return content

    def write(self, folder: tuple[str, str], files: Mapping[str, bytes]) -> None:
        """Replace objects, several at once."""
        with _told(f"Results cannot be written to {self._url}"):
            target = self._root.joinpath(*folder)
            storage, prefix = target.fs, target.path.rstrip("/")

            def put(one: tuple[str, bytes]) -> None:
                name, content = one
                storage.pipe_file(f"{prefix}/{name}", content, **_kind(name, storage.protocol))

            with ThreadPoolExecutor(max_workers=_AT_ONCE) as pool:
                list(pool.map(put, files.items()))

    def delete(self, folder: tuple[str, str], name: str) -> None:
        """Delete an object, where it is there."""
        with _told(f"{self.location(folder, name)} cannot be deleted"):
            path = self._root.joinpath(*folder, name)
            with suppress(FileNotFoundError):
                path.fs.rm_file(path.path)

    def names(self, folder: tuple[str, str]) -> list[str]:
        """The names of the objects in a folder."""
        with _told(f"{self._url} cannot be read"):
            path = self._root.joinpath(*folder)
            path.fs.invalidate_cache(path.path)  # other processes write too
            try:
                return [one.name for one in path.iterdir() if one.name.endswith(ENDING)]
            except (FileNotFoundError, NotADirectoryError):  # storage knows no empty folders
                return []

    def prune(self, folder: str, *, keep_days: float, limit: int) -> int:  # noqa: ARG002
        """Delete nothing: a bucket's lifecycle rule does it without a request."""
        return 0


def _kind(name: str, protocol: str | tuple[str, ...]) -> dict[str, str]:
    """What tells a storage that a browser is to show a page and not to save it; each has a word of its own for that."""
    names = (protocol,) if isinstance(protocol, str) else protocol
    words = next((word for one, word in _KIND.items() if one in names), None)
    return {words: _PAGE} if words and name.endswith(".html") else {}


@contextmanager
def _told(what: str) -> Iterator[None]:
    """Say which URL it was; each storage has exceptions of its own."""
    try:
        yield
    except EnvironmentProblem:  # says all
        raise
    except Exception as error:
        raise EnvironmentProblem(f"{what}: {error}", hint=_HINT) from error
