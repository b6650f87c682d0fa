"""A plan for people: its layers, nodes and tests as a tree in the terminal."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence

from rich.text import Text
from rich.tree import Tree

from goldsmith.kinds import TEST_KINDS
from goldsmith.plan.graph import nodes_by_task
from goldsmith.plan.model import Plan, PlannedNode
from goldsmith.wording import counted


def plan_head(plan: Plan) -> str:
    """How much there is of what."""
    tasks = len({node.task_id for node in plan.nodes})
    nodes = "" if tasks == len(plan.nodes) else f" of {len(plan.nodes)} dbt nodes"
    return f"{counted(tasks, 'dbt task')}{nodes}, {counted(len(plan.gates), 'gate')}"


def plan_tree(plan: Plan) -> Tree:
    """The plan as a tree: layer, node, the node's tests; each with its dbt kind, and what shares a task."""
    tree = Tree(
        Text(f"{plan.pipeline}: {plan_head(plan)}", style="bold").append(_choice(plan), style="not bold")
    )
    gates = {gate.layer: gate for gate in plan.gates}
    layers: dict[str, dict[str, list[PlannedNode]]] = {}
    for node in plan.nodes:
        layers.setdefault(_layer(node), {}).setdefault(_group(node), []).append(node)
    for layer in _in_order(layers, plan.layers):
        counts = _counts([node for members in layers[layer].values() for node in members])
        branch = tree.add(Text(f"{layer}  ", style="bold cyan").append(counts, style="dim"))
        for name, members in layers[layer].items():
            _add_group(branch, name, members)
        if layer in gates:
            below = branch.add(Text(gates[layer].task_id, style="yellow").append("  gate", style="dim"))
            for limit in gates[layer].limits:
                below.add(Text(limit))
    return tree


def _choice(plan: Plan) -> str:
    because = f" (auto: {plan.tasks_because})" if plan.tasks_because else ""
    return f"\ntasks: {plan.tasks}{because}"


def _in_order(found: Collection[str], layers: Sequence[str]) -> list[str]:
    """Groups outside the layers first, as most of them feed the layers."""
    return [name for name in found if name not in layers] + [name for name in layers if name in found]


def _layer(node: PlannedNode) -> str:
    """The first part of a task id."""
    return node.task_id.partition(".")[0]


def _group(node: PlannedNode) -> str:
    """What stands between layer and label: the node, or the node that a test is defined on."""
    return node.task_id.rpartition(".")[0].partition(".")[2]


def _counts(nodes: Sequence[PlannedNode]) -> str:
    kinds = Counter(node.kind.replace("_", " ") for node in nodes)
    return ", ".join(f"{number} {kind}{'s' if number > 1 else ''}" for kind, number in sorted(kinds.items()))


def _add_group(branch: Tree, group: str, nodes: list[PlannedNode]) -> None:
    """One line for the node and one for each of its tests below it; tests that share a task stand below that."""
    own = next((node for node in nodes if node.kind not in TEST_KINDS), None)
    # An id may be a hash only: the name says more.
    title = own.name if own and own.kind != "source" else group
    below = branch.add(_line(title, own.kind.replace("_", " ") if own else "tests"))
    for task_id, members in nodes_by_task(nodes).items():
        tests = [node for node in members if node.kind in TEST_KINDS]
        label = task_id.rpartition(".")[2]
        if len(members) == 1 and tests and tests[0].display_name == tests[0].label:
            below.add(_line(label, tests[0].kind.replace("_", " ")))
        elif tests:
            inside = below.add(_line(label, f"one task: {_counts(members)}"))
            for test in tests:
                inside.add(_line(test.label, test.kind.replace("_", " ")))


def _line(name: str, kind: str) -> Text:
    return Text(name).append(f"  {kind}", style="dim")
