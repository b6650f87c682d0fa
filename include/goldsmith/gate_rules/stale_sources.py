"""How many sources that a layer reads may be stale."""

from __future__ import annotations

from collections.abc import Iterable

from goldsmith.gate_rules.base import Found, Layer, Node
from goldsmith.gate_rules.counts import CountRule


class StaleSources(CountRule):
    """How many sources may be stale, of those that the layer reads."""

    key = "stale_sources"
    kinds = ("source",)

    def candidates(self, layer: Layer) -> Iterable[Node]:
        """The sources, which belong to no layer."""
        return layer.sources

    def is_let_pass(self, found: Found) -> bool:
        """With `freshness: skip` a stale source only holds back what depends on it."""
        return found.skips_stale
