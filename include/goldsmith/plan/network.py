"""Which pipeline waits for which: by the assets that one waits for and others update."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter

from goldsmith.plan.model import Plan
from goldsmith.spec.pipeline import Pipeline


@dataclass(frozen=True, kw_only=True, slots=True)
class Member:
    """A pipeline among others."""

    spec: Pipeline
    plan: Plan | None
    """None if it cannot be planned: then nobody knows what it updates."""

    @property
    def name(self) -> str:
        """Of the pipeline."""
        return self.spec.name

    @property
    def awaited(self) -> tuple[str, ...]:
        """URIs of the assets that it waits for."""
        return self.spec.after.uris if self.spec.after else ()


class Network:
    """Pipelines and what they wait for.

    Args:
        members: The pipelines, each of a name of its own.
    """

    def __init__(self, members: Iterable[Member]) -> None:
        self.members: Mapping[str, Member] = {
            one.name: one for one in sorted(members, key=lambda one: one.name)
        }
        self._updated: dict[str, dict[str, None]] = {}
        for one in self.members.values():
            for node in one.plan.nodes if one.plan else ():
                if node.asset:
                    self._updated.setdefault(node.asset, {})[one.name] = None

    def updating(self, uri: str) -> tuple[str, ...]:
        """The pipelines that update an asset."""
        return tuple(self._updated.get(uri, ()))

    def before(self, name: str) -> tuple[str, ...]:
        """The pipelines that a pipeline waits for."""
        found = (other for uri in self.members[name].awaited for other in self.updating(uri))
        return tuple(dict.fromkeys(other for other in found if other != name))

    def unknown(self, name: str) -> tuple[str, ...]:
        """Assets that a pipeline waits for and nobody else here updates."""
        return tuple(uri for uri in self.members[name].awaited if not {*self.updating(uri)} - {name})

    @property
    def assets(self) -> Iterable[str]:
        """Every asset that a pipeline here updates."""
        return self._updated

    def cycles(self) -> list[tuple[str, ...]]:
        """Pipelines that wait for each other, so that none of them starts, or all run forever.

        Returns:
            Of each cycle the names, the first one again at the end. Two cycles have no pipeline in common.
        """
        edges = {name: set(self.before(name)) for name in self.members}
        found = []
        while cycle := _cycle(edges):
            found.append(cycle)
            edges = {name: before - {*cycle} for name, before in edges.items() if name not in cycle}
        return found

    def in_order(self) -> tuple[str, ...]:
        """All pipelines, each after those that it waits for; what is in a cycle stands in the order of the names."""
        in_cycles = {name for cycle in self.cycles() for name in cycle}
        edges = {
            name: sorted(set(self.before(name)) - (in_cycles if name in in_cycles else set()))
            for name in self.members
        }
        return tuple(TopologicalSorter(edges).static_order())


def _cycle(edges: Mapping[str, Iterable[str]]) -> tuple[str, ...]:
    """One of the cycles, as a walk from who waits to who is waited for; empty if there is none."""
    try:
        TopologicalSorter(edges).prepare()
    except CycleError as error:
        walk: Sequence[str] = error.args[1]
        return tuple(reversed(walk))
    return ()


def listing(network: Network) -> Iterator[dict[str, object]]:
    """The pipelines as plain values, for programs."""
    for name in network.in_order():
        one = network.members[name]
        yield {
            "name": name,
            "schedule": one.spec.times,
            "tasks": len({node.task_id for node in one.plan.nodes}) if one.plan else None,
            "waits_for": [{"asset": uri, "updated_by": [*network.updating(uri)]} for uri in one.awaited],
        }
