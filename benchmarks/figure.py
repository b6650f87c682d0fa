"""The figure of the wall ratio over the number of models, one line per variant."""

from __future__ import annotations

import statistics
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from dag_files import BASELINE, VARIANTS
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullFormatter

_NAMES = {
    "dbt_build": "plain dbt build (1 task)",
    "shared": "Goldsmith, shared engine",
    "isolated": "Goldsmith, isolated engine",
    "cosmos_watcher": "Cosmos WATCHER",
    "cosmos_local": "Cosmos LOCAL",
}
# Told apart by readers who see no red or green, and in print by their markers.
_STYLES = {
    "dbt_build": ("#777777", "", "--"),
    "shared": ("#b8860b", "o", "-"),
    "isolated": ("#0072b2", "s", "-"),
    "cosmos_watcher": ("#cc79a7", "^", "-"),
    "cosmos_local": ("#555555", "v", "-"),
}


def draw(rows: Sequence[dict[str, Any]], file: Path) -> None:
    """Draw the median ratio of each variant at each number of models, both axes logarithmic.

    Args:
        rows: Rows of one gate, as `engines.py` writes them; those of other cases than green runs are left out.
        file: The PNG.
    """
    rows = [
        row
        for row in rows
        if row["ratio"] is not None
        and row.get("case", "green") == "green"
        and row.get("granularity", "test") == "test"
    ]
    gates = sorted({row["gate"] for row in rows})
    if len(gates) != 1:
        raise SystemExit(f"A figure is of one gate; the files have: {', '.join(gates) or 'no ratio'}.")
    sizes = sorted({row["models"] for row in rows})
    figure = Figure(figsize=(7.2, 4.2), dpi=160, layout="constrained")
    axes = figure.add_subplot()
    for variant in VARIANTS:
        found: defaultdict[int, list[float]] = defaultdict(list)
        for row in rows:
            if row["variant"] == variant:
                found[row["models"]].append(row["ratio"])
        _line(
            axes, variant, {size: statistics.median(ratios) for size, ratios in sorted(found.items())}, sizes
        )
    _dress(axes, sizes, gates[0])
    file.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(file, metadata={"Software": None})


def _line(axes: Any, variant: str, ratios: dict[int, float], sizes: list[int]) -> None:
    color, marker, dashes = _STYLES[variant]
    if variant == BASELINE:
        axes.axhline(1, color=color, linestyle=dashes, linewidth=1.2, label=_NAMES[variant])
        return
    if not ratios:
        return
    axes.plot(
        list(ratios),
        list(ratios.values()),
        color=color,
        marker=marker,
        linestyle=dashes,
        label=_NAMES[variant],
    )
    last = max(ratios)
    side = -1 if last == sizes[-1] else 1
    axes.annotate(
        f"{ratios[last]:.1f}x",
        (last, ratios[last]),
        textcoords="offset points",
        xytext=(6 * side, 7),
        ha="right" if side < 0 else "left",
        color=color,
        fontsize=9,
    )


def _dress(axes: Any, sizes: list[int], gate: str) -> None:
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xticks(sizes, [f"{size:,}\n({3 * size:,})" for size in sizes])
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.tick_params(axis="x", which="minor", length=0)
    axes.set_yticks([1, 2, 5, 10, 20, 50])
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}x"))
    axes.yaxis.set_minor_formatter(NullFormatter())
    axes.tick_params(axis="y", which="minor", length=0)
    axes.set_ylim(bottom=0.8)
    axes.set_xlabel("models (models and tests)")
    axes.set_ylabel("run time over plain dbt build")
    axes.set_title(f"A run in Airflow, trivial SQL, gate: {gate}", fontsize=11, loc="left")
    axes.grid(visible=True, which="major", color="#dddddd", linewidth=0.7)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, fontsize=9, loc="upper left")
