"""Keep Python's garbage collector away from the objects of a DAG.

They are made by the hundred thousand and all stay; the collector would go through them again and again to find
that out, which is a quarter of the price of a parse.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def kept(*, for_good: bool) -> Iterator[None]:
    """Do not collect while the objects are made.

    Args:
        for_good: Nor look at them afterwards: in a process that ends when it has serialised its DAGs.
    """
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if for_good:
            gc.freeze()
        if was_on:
            gc.enable()
