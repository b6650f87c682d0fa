"""Which pipeline waits for which, as trees in the terminal."""

from __future__ import annotations

from rich.console import Group
from rich.text import Text
from rich.tree import Tree

from goldsmith.plan.network import Network
from goldsmith.plan.show import plan_head
from goldsmith.wording import did_you_mean, some

_SHOWN = 3


def network_trees(network: Network) -> Group:
    """The pipelines, each below the last one that it waits for; what cannot be is said beside it and below all."""
    places: dict[str, Tree] = {}
    tops = []
    order = network.in_order()
    for name in order:
        before = [one for one in order if one in network.before(name) and one in places]
        if before:
            places[name] = places[before[-1]].add(_label(network, name, others=before[:-1]))
        else:
            places[name] = Tree(_label(network, name, others=[]))
            tops.append(places[name])
        for uri in network.unknown(name):
            places[name].add(_unknown(network, uri))
    return Group(*tops, *(_circle(cycle) for cycle in network.cycles()))


def _label(network: Network, name: str, *, others: list[str]) -> Text:
    one = network.members[name]
    text = Text(name, style="bold")
    assets = list(one.awaited)
    starts = [one.spec.times] if one.spec.times else []
    if assets:
        starts.append(
            f"after {'any' if one.spec.after and one.spec.after.any else 'all'} of {some(assets, _SHOWN)}"
        )
    text.append(f"  {'; '.join(starts) or 'by hand'}", style="cyan")
    text.append(f"  {plan_head(one.plan)}" if one.plan else "  cannot be planned", style="dim")
    if others:
        text.append(f"  also after {', '.join(others)}", style="cyan")
    return text


def _unknown(network: Network, uri: str) -> Text:
    meant = did_you_mean(uri, network.assets, "")
    unplanned = [name for name, one in network.members.items() if one.plan is None]
    but = f", as far as is known: {some(unplanned, _SHOWN)} cannot be planned" if unplanned else ""
    return Text(f"waits for {uri}, which no pipeline here updates{but}. {meant}".strip(), style="yellow")


def _circle(cycle: tuple[str, ...]) -> Text:
    return Text(
        f"{' waits for '.join(cycle)}: none of them starts by itself, or all of them run forever.\n"
        "Take one of these assets out of `after`.",
        style="bold red",
    )
