"""What `goldsmith init` says before it writes: for people, and as plain values for programs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from os.path import relpath
from typing import Any

from rich.console import Group
from rich.table import Table
from rich.text import Text

from goldsmith.adopt.adoption import Adoption
from goldsmith.adopt.init import Init
from goldsmith.plan.show import plan_head
from goldsmith.wording import some

_EDGES, _NAMES = 5, 8


def shown(init: Init) -> Group:
    """What was found, what is proposed, and the files."""
    parts: list[Table | Text] = [Text(f"{name} runs this dbt project already.") for name in init.known]
    for one in init.adopted:
        parts += [_facts(init, one), Text("")]
    parts += [_files(init)] if init.changes else [Text("Nothing to write: everything is there.")]
    parts += [Text(f"\n{text}", style="yellow") for text in init.by_hand]
    return Group(*parts)


def _facts(init: Init, one: Adoption) -> Table:
    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    for label, text, style in _lines(init, one):
        table.add_row(label, Text(text, style=style))
    return table


def _lines(init: Init, one: Adoption) -> Iterator[tuple[str, str, str]]:
    yield "pipeline", f"{one.spec.name}, {one.spec.times}: {plan_head(one.plan)}", ""
    yield "dbt project", f"{one.project.name} in {init.found.shown(one.project.path)}", ""
    yield "warehouse", one.warehouse.text, ""
    layers = ", ".join(one.proposal.layers) or "none"
    yield "layers", f"{layers} ({one.proposal.why})", ""
    edges = [f"{reader} reads {read}" for read, reader in map(_short, one.proposal.against)]
    if edges:
        yield "", some(edges, _EDGES, between="\n"), "dim"
    if outside := one.outside:
        yield "outside", f"in no layer, by dbt's own order: {some(outside, _NAMES)}", ""
    if one.unset:
        names = some((f"{name} ({file})" for name, file in one.unset.items()), _NAMES)
        yield "variables", f"nobody sets {names}. If runs need them, write `vars` into the spec", "yellow"
    if one.unset_environment:
        names = some((f"{name} ({file})" for name, file in one.unset_environment.items()), _NAMES)
        yield "environment", f"not set: {names}. Set what runs need, here and for Airflow", "yellow"
    yield from _of_cosmos(init, one)
    if one.warehouse.same and "connection" in one.keys:
        yield "connection", f"what profiles.yml says, for Airflow:\n{one.warehouse.same.line}", ""


def _of_cosmos(init: Init, one: Adoption) -> Iterator[tuple[str, str, str]]:
    """What comes from DAGs of Cosmos, what does not, and what a person has to write."""
    if not one.cosmos.dags:
        return
    taken = [key for key in one.cosmos.keys if key in one.keys]
    yield (
        "Cosmos",
        f"{some(one.cosmos.shown(init.found.root), _EDGES)}: {some(taken, 20) or 'nothing'} taken over",
        "",
    )
    if one.cosmos.values.computed:
        names = some((f"{name} ({place})" for name, place in one.cosmos.values.computed.items()), _NAMES)
        yield "", f"computed in the DAG file; write into the spec what you need of it: {names}", "yellow"
    for setting, text in one.cosmos.values.notes.items():
        yield "", f"{setting}: {text}", "dim"


def _short(edge: tuple[str, str]) -> tuple[str, str]:
    read, reader = (uid.split(".", 2)[-1] for uid in edge)
    return read, reader


def _files(init: Init) -> Table:
    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_column(style="bold", no_wrap=True)
    table.add_column(no_wrap=True)
    table.add_column(style="dim", overflow="fold")
    for one in init.changes:
        table.add_row("add to" if one.is_added else "write", init.found.shown(one.path), one.why)
    return table


def document(init: Init, *, written: bool, findings: Sequence[Mapping[str, str]]) -> dict[str, Any]:
    """The same as plain values.

    Args:
        init: What is proposed.
        written: Whether the files were written.
        findings: What Airflow and the checks said afterwards.
    """
    return {
        "folder": str(init.found.root),
        "pipelines": [
            {
                "name": one.spec.name,
                "project": init.found.shown(one.project.path),
                "warehouse": one.warehouse.text,
                "layers": {name: [*terms] for name, terms in one.proposal.layers.items()},
                "gate": one.spec.gate,
                "why": one.proposal.why,
                "against": [list(edge) for edge in one.proposal.against],
                "outside": one.outside,
                "unset_variables": dict(one.unset),
                "unset_environment": dict(one.unset_environment),
                "connection": one.warehouse.same.line if one.warehouse.same else None,
                "cosmos": {
                    "dags": one.cosmos.shown(init.found.root),
                    "taken": sorted(key for key in one.cosmos.keys if key in one.keys),
                    "not_taken": dict(one.cosmos.values.notes),
                    "not_literal": dict(one.cosmos.values.computed),
                },
            }
            for one in init.adopted
        ],
        "known": [*init.known],
        "files": [
            {"path": init.found.shown(one.path), "action": "add" if one.is_added else "write", "why": one.why}
            for one in init.changes
        ],
        "by_hand": [*init.by_hand],
        "written": written,
        "findings": [*findings],
        "next": next_commands(init),
    }


def next_commands(init: Init) -> list[str]:
    """The two commands that come next; before them the way into the folder, if a person is not there."""
    name = (
        init.names[0]
        if len(init.names) == 1
        else (init.adopted[0].spec.name if init.adopted else init.names[0])
    )
    there = (
        [] if init.found.root == init.called_from else [f"cd {relpath(init.found.root, init.called_from)}"]
    )
    return [*there, f"goldsmith plan {name}", f"goldsmith run {name}"]
