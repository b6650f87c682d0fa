"""Plain values as a short text: for Airflow's stores, which take 64 KiB a value."""

from __future__ import annotations

import base64
import json
import zlib
from typing import Any


def pack(values: Any) -> str:
    """Plain values as compressed JSON in base 85.

    Args:
        values: What JSON can hold.
    """
    return base64.b85encode(zlib.compress(json.dumps(values, sort_keys=True).encode())).decode()


def unpack(text: str) -> Any:
    """The values of a packed text.

    Raises:
        ValueError: It is none.
    """
    try:
        return json.loads(zlib.decompress(base64.b85decode(text)))
    except zlib.error as error:
        raise ValueError(f"No packed text: {error}") from error
