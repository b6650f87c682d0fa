"""A plan for people: its layers, nodes and tests as a tree in the terminal."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from rich.text import Text
from rich.tree import Tree

from goldsmith.plan.graph import nodes_by_task
from goldsmith.plan.model import Plan, PlannedNode

_TESTS = ("test", "unit_test")


def plan_head(plan: Plan) -> str:
    """How much there is of what."""
    tasks = len({node.task_id for node in plan.nodes})
    nodes = "" if tasks == len(plan.nodes) else f" of {len(plan.nodes)} dbt nodes"
    return f"{tasks} dbt tasks{nodes}, {len(plan.gates)} gates"


def plan_tree(plan: Plan) -> Tree:
    """The plan as a tree: layer, node, the node's tests; each with its dbt kind, and what shares a task."""
    tree = Tree(
        Text(f"{plan.pipeline}: {plan_head(plan)}", style="bold").append(_choice(plan), style="not bold")
    )
    gates = {gate.layer: gate for gate in plan.gates}
    for layer in _in_order(plan):
        members = [node for node in plan.nodes if _part(node, 0) == layer]
        branch = tree.add(Text(f"{layer}  ", style="bold cyan").append(_counts(members), style="dim"))
        for name in dict.fromkeys(_part(node, 1) for node in members):
            _add_group(branch, name, [node for node in members if _part(node, 1) == name])
        if layer in gates:
            below = branch.add(Text(gates[layer].task_id, style="yellow").append("  gate", style="dim"))
            for limit in gates[layer].limits:
                below.add(Text(limit))
    return tree


def _choice(plan: Plan) -> str:
    because = f" (auto: {plan.tasks_because})" if plan.tasks_because else ""
    return f"\ntasks: {plan.tasks}{because}"


def _in_order(plan: Plan) -> list[str]:
    """Groups outside the layers first, as most of them feed the layers."""
    found = list(dict.fromkeys(_part(node, 0) for node in plan.nodes))
    return [name for name in found if name not in plan.layers] + [
        name for name in plan.layers if name in found
    ]


def _part(node: PlannedNode, number: int) -> str:
    """A part of a task id: first the layer, then the node, or the node that a test is defined on."""
    return node.task_id.split(".")[number]


def _counts(nodes: Sequence[PlannedNode]) -> str:
    kinds = Counter(node.kind.replace("_", " ") for node in nodes)
    return ", ".join(f"{number} {kind}{'s' if number > 1 else ''}" for kind, number in sorted(kinds.items()))


def _add_group(branch: Tree, group: str, nodes: list[PlannedNode]) -> None:
    """One line for the node and one for each of its tests below it; tests that share a task stand below that."""
    own = next((node for node in nodes if node.kind not in _TESTS), None)
    below = branch.add(_line(group, own.kind.replace("_", " ") if own else "tests"))
    for task_id, members in nodes_by_task(nodes).items():
        tests = [node for node in members if node.kind in _TESTS]
        label = task_id.rpartition(".")[2]
        if len(members) == 1 and tests and tests[0].display_name == tests[0].label:
            below.add(_line(label, tests[0].kind.replace("_", " ")))
        elif tests:
            inside = below.add(_line(label, f"one task: {_counts(members)}"))
            for test in tests:
                inside.add(_line(test.label, test.kind.replace("_", " ")))


def _line(name: str, kind: str) -> Text:
    return Text(name).append(f"  {kind}", style="dim")
