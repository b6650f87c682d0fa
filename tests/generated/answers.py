"""What dbt itself says of a project: which nodes it has, and in which order `dbt build` takes them."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from argparse import Namespace
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import networkx as nx

if TYPE_CHECKING:
    from dbt.contracts.graph.manifest import Manifest

_SETTINGS = ("dbt_project.yml", "profiles.yml", "packages.yml", "dbt_packages/side/dbt_project.yml")
"""Files on which it depends whether dbt takes up what it parsed before."""
_TYPES = ("model", "seed", "snapshot", "test", "unit_test", "function")


_NOBODYS = {"WAREHOUSE_HOST": "localhost", "WAREHOUSE_USER": "nobody", "WAREHOUSE_DATABASE": "warehouse"}
"""What profiles read from the environment; nothing here connects to a warehouse."""


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What dbt says of a project."""

    executable: frozenset[str]
    """Unique ids of what `dbt ls` lists and dbt has something to run for, and of sources with freshness."""
    before: Mapping[str, frozenset[str]]
    """Each of them to those that dbt has ended before it begins."""
    error: str = ""
    """Why dbt does not take the project."""


class Dbt:
    """dbt in a process of its own that answers for one project after another: it is loaded once."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-P", __file__],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, **_NOBODYS},
        )

    def ask(self, project: Path, profiles: Path | None = None) -> Answer:
        """Parse a project, which writes its manifest, and ask what dbt thinks of it.

        Args:
            project: Its folder.
            profiles: The folder of its profiles.yml; the project's by default.
        """
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.write(f"{json.dumps([str(project), str(profiles or project)])}\n")
        self._process.stdin.flush()
        said = json.loads(self._process.stdout.readline())
        return Answer(
            executable=frozenset(said["executable"]),
            before={uid: frozenset(before) for uid, before in said["before"].items()},
            error=said["error"],
        )

    def close(self) -> None:
        """End it."""
        self._process.kill()
        self._process.communicate()


def _answer(folder: str, profiles: str) -> dict[str, Any]:
    """Parse a project and ask."""
    from dbt.adapters.factory import reset_adapters
    from dbt.cli.main import dbtRunner

    around = ["--project-dir", folder, "--profiles-dir", profiles]
    reset_adapters()
    if not (Path(folder) / "target").exists():
        _lend_macros(Path(folder), profiles)
    parsed = dbtRunner().invoke(["--quiet", "parse", *around])
    if not parsed.success:
        return {"executable": [], "before": {}, "error": str(parsed.exception)}
    manifest: Any = parsed.result
    listed = dbtRunner(manifest=manifest).invoke(
        ["--quiet", "ls", *around, "--output", "json", "--output-keys", "unique_id resource_type"]
    )
    entries = [json.loads(line) for line in listed.result if line.startswith("{")]  # type: ignore[union-attr]
    executable = {one["unique_id"] for one in entries if one["resource_type"] in _TYPES}
    # `dbt ls` also lists files without SQL, which no command runs.
    executable -= {uid for uid in executable if _has_nothing_to_run(manifest.nodes.get(uid))}
    executable |= {
        one["unique_id"]
        for one in entries
        if one["resource_type"] == "source" and manifest.sources[one["unique_id"]].has_freshness
    }
    before = orders(manifest, executable)
    return {
        "executable": sorted(executable),
        "before": {uid: sorted(ids) for uid, ids in before.items()},
        "error": "",
    }


def _has_nothing_to_run(node: Any) -> bool:
    return node is not None and (node.is_ephemeral_model or node.empty)


_MACROS: dict[bytes, bytes] = {}
_PARTIAL = "partial_parse.msgpack"


def _lend_macros(project: Path, profiles: str) -> None:
    """Give a project what dbt makes of its own macros, which is nine tenths of parsing; all else is new to dbt.

    It comes from a project without nodes, with the same settings.
    """
    from dbt.cli.main import dbtRunner

    settings = [(project / name).read_bytes() for name in _SETTINGS if (project / name).is_file()]
    elsewhere = "" if Path(profiles) == project else profiles
    key = b"\n".join([*settings, elsewhere.encode()])
    if key not in _MACROS:
        with tempfile.TemporaryDirectory() as folder:
            for name in _SETTINGS:
                if (project / name).is_file():
                    (Path(folder) / name).parent.mkdir(parents=True, exist_ok=True)
                    shutil.copy(project / name, Path(folder) / name)
            around = ["--project-dir", folder, "--profiles-dir", elsewhere or folder]
            dbtRunner().invoke(["--quiet", "parse", *around])
            made = Path(folder) / "target" / _PARTIAL
            # Not if it has another target path, or packages that are installed in the project alone.
            _MACROS[key] = made.read_bytes() if made.is_file() else b""
    if _MACROS[key]:
        (project / "target").mkdir()
        (project / "target" / _PARTIAL).write_bytes(_MACROS[key])


def orders(manifest: Manifest, executable: Iterable[str]) -> dict[str, set[str]]:
    """Each node to those that `dbt build` has ended before it begins, by dbt's own code.

    Args:
        manifest: As dbt keeps it in memory.
        executable: The nodes.
    """
    import dbt.flags
    from dbt.compilation import Linker

    dbt.flags.set_flags(Namespace(USE_FAST_TEST_EDGES=False))
    manifest.build_parent_and_child_maps()
    linker = Linker()
    linker.link_graph(manifest)
    linker.add_test_edges(manifest)
    graph = linker.graph
    # In dbt's graph a unit test hangs below its model; `dbt build` runs it right before the model.
    for uid, test in manifest.unit_tests.items():
        model = test.depends_on.nodes[0]
        graph.remove_node(uid)
        graph.add_node(uid)
        graph.add_edges_from(
            (parent, uid) for parent in list(graph.predecessors(model)) if parent not in manifest.unit_tests
        )
    for uid, test in manifest.unit_tests.items():
        graph.add_edge(uid, test.depends_on.nodes[0])
    among = set(executable)
    return {uid: nx.ancestors(graph, uid) & among for uid in among}


def _serve() -> None:
    """Answer for each folder on standard input by a line of JSON."""
    out = os.fdopen(os.dup(1), "w")
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # dbt keeps the standard output that it finds first
    for line in sys.stdin:
        try:
            answer = _answer(*json.loads(line))
        except Exception as error:  # noqa: BLE001 - the test shows it
            answer = {"executable": [], "before": {}, "error": f"{type(error).__name__}: {error}"}
        out.write(json.dumps(answer) + "\n")
        out.flush()


if __name__ == "__main__":
    _serve()
