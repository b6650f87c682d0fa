"""A plan for people: its layers, nodes and tests as a tree in the terminal."""

from __future__ import annotations

from collections import Counter

from rich.text import Text
from rich.tree import Tree

from goldsmith.plan.model import Plan, PlannedNode


def plan_tree(plan: Plan) -> Tree:
    """The plan as a tree: layer, node, the node's tests; each with its dbt kind."""
    tree = Tree(Text(f"{plan.pipeline}: {len(plan.nodes)} dbt tasks, {len(plan.gates)} gates", style="bold"))
    gates = {gate.layer: gate for gate in plan.gates}
    for layer in _in_order(plan):
        members = [node for node in plan.nodes if node.layer == layer]
        branch = tree.add(Text(f"{layer}  ", style="bold cyan").append(_counts(members), style="dim"))
        for name in dict.fromkeys(_defined_on(node) for node in members):
            _add_group(branch, name, [node for node in members if _defined_on(node) == name])
        if layer in gates:
            branch.add(Text(gates[layer].task_id, style="yellow").append("  gate", style="dim"))
    return tree


def _in_order(plan: Plan) -> list[str]:
    """Groups outside the layers first, as most of them feed the layers."""
    found = list(dict.fromkeys(node.layer for node in plan.nodes))
    return [name for name in found if name not in plan.layers] + [
        name for name in plan.layers if name in found
    ]


def _defined_on(node: PlannedNode) -> str:
    """The middle part of a task id: the node, or the node that a test is defined on."""
    return node.task_id.split(".")[1]


def _counts(nodes: list[PlannedNode]) -> str:
    kinds = Counter(node.kind.replace("_", " ") for node in nodes)
    return ", ".join(f"{number} {kind}{'s' if number > 1 else ''}" for kind, number in sorted(kinds.items()))


def _add_group(branch: Tree, group: str, nodes: list[PlannedNode]) -> None:
    """One line for the node, one for each of its tests below it."""
    tests = [node for node in nodes if node.kind in ("test", "unit_test")]
    tested = [node for node in nodes if node not in tests]
    below = branch.add(_line(group, tested[0].kind if tested else "tests"))
    for test in tests:
        below.add(_line(test.task_id.rpartition(".")[2], test.kind.replace("_", " ")))


def _line(name: str, kind: str) -> Text:
    return Text(name).append(f"  {kind}", style="dim")
