"""The names of our sessions in the warehouse, by which they are found again."""

from __future__ import annotations

import hashlib
import json
import re
from base64 import b32encode

LONGEST = 63
"""Bytes that PostgreSQL keeps of a session's `application_name`."""

_DIGEST = 16  # characters of base 32: 80 bits
_ROOM = LONGEST - len("goldsmith ") - len("  ") - _DIGEST


def session_tag(dag_id: str, run_id: str, part: str) -> str:
    """The tag of the sessions that one part of a run opens in the warehouse.

    Args:
        dag_id: The DAG.
        run_id: The run.
        part: What of the run opens them: a build, a node's task.

    Returns:
        At most 63 characters, all printable ASCII; no two parts of any runs share a tag.

    Example:
        >>> session_tag("shop_daily", "manual__2026-01-01T00:00:00+00:00", "bronze.build")
        'goldsmith shop_daily bronze.build 7darx7hrnq523kvj'
    """
    own = _readable(part)[: max(_ROOM // 2, _ROOM - len(dag_id))]
    dag = _readable(dag_id)[: _ROOM - len(own)]
    key = json.dumps([dag_id, run_id, part]).encode()
    digest = b32encode(hashlib.sha256(key).digest()).decode().lower()[:_DIGEST]
    return f"goldsmith {dag} {own} {digest}"


def _readable(name: str) -> str:
    return re.sub(r"[^!-~]", "_", name)
