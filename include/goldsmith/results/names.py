"""Names of files and folders, made of ids.

Airflow's ids hold colons, plus signs and letters of any alphabet, and nothing keeps an id from being `..`. Quoted as in
a URL they are a plain name of one path part everywhere. One that is longer than file systems allow is shortened, with
a hash of the whole id.
"""

from __future__ import annotations

import hashlib
from urllib.parse import quote, unquote

ENDING = ".json"
SUMMARY = "summary.gz"
"""In the folder of a run that has a report; how many of those are kept is said elsewhere (`report.keep`)."""
OWN = "~"
"""Start of a folder that is no run's: what is kept of the pipeline. No run's folder begins with it."""
_LONGEST = 240  # bytes; file systems allow 255, and a name is one byte a character after quoting
_SHORTENED = "~~"  # never made by quoting: a tilde is quoted


def folder_name(part: str) -> str:
    """The name of an id's folder.

    Example:
        >>> folder_name("manual__2026-01-01T00:00:00+00:00")
        'manual__2026-01-01T00%3A00%3A00%2B00%3A00'
    """
    name = quote(part, safe="", errors="surrogatepass").replace("~", "%7E")
    if not name.strip("."):  # empty, `.` or `..` would be another folder
        name = name.replace(".", "%2E") or "%00"
    if len(name) > _LONGEST:
        digest = hashlib.sha256(part.encode(errors="surrogatepass")).hexdigest()[:32]
        name = f"{name[: _LONGEST - 40]}{_SHORTENED}{digest}"
    return name


def file_name(task_id: str) -> str:
    """The name of a task's file."""
    return folder_name(task_id) + ENDING


def task_of(file: str) -> str | None:
    """The task that `file_name` was given; none where the name was shortened, or is no name of a task's file."""
    name = file.removesuffix(ENDING)
    if name == file or _SHORTENED in name:
        return None
    return unquote(name, errors="surrogatepass")
