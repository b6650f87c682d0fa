"""Read a dbt manifest: Cosmos parses it, this module adds what Cosmos leaves out.

The only module that calls Cosmos's `DbtGraph`. Cosmos drops unit tests and functions and keeps no descriptions,
columns, severities, groups or relations, so those are taken from the same file. It keeps disabled nodes, which dbt
does not run.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from goldsmith.dbt.node import Column, Node
from goldsmith.dbt.test_names import has_own_name
from goldsmith.dbt.versions import ON_ERROR, SUPPORTED, has, is_supported
from goldsmith.errors import ManifestError
from goldsmith.kinds import EXECUTABLE, NOT_EXECUTABLE
from goldsmith.spec.node import META_HINT, NodeMeta

if TYPE_CHECKING:
    from cosmos.dbt.graph import DbtNode

_ELEMENTARY_RESULTS = "model.elementary.dbt_run_results"
_OWN_KWARGS = frozenset({"task_id", "dag", "task_group", "node", "nodes", "site"})
_WITH_CODE = ("model", "snapshot", "test")
_REMEDY = "Make it anew: goldsmith manifest (or: dbt parse --project-dir {project})"


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """A manifest in plain records."""

    path: Path
    checksum: str
    dbt_version: str
    adapter: str
    """Type of the dbt adapter that it was made with: `postgres`, `snowflake`."""
    project_name: str
    nodes: dict[str, Node]
    exposures: tuple[Node, ...]
    project_dir: Path
    unknown_kinds: tuple[str, ...] = ()
    """Resource types that Goldsmith does not know, each with how many nodes there are of it."""
    elementary_schema: str = ""
    """Where the dbt package Elementary has its tables; empty where it is not installed."""


def checksum(document: dict[str, Any]) -> str:
    """SHA-256 over a manifest without its `metadata`, which changes with every parse."""
    content = {key: value for key, value in document.items() if key != "metadata"}
    # Each entry carries the time of its parsing; nothing depends on it.
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), default=str)
    return hashlib.sha256(_without_times(text).encode()).hexdigest()


def _without_times(text: str) -> str:
    return re.sub(r'"created_at":[0-9.]+', '"created_at":0', text)


def read_document(path: Path, project_dir: Path) -> dict[str, Any]:
    """Read manifest.json and check that it is whole and of the dbt line we support.

    Raises:
        ManifestError: It is missing, truncated, not a manifest, or of another dbt version.
    """
    remedy = _REMEDY.format(project=project_dir)
    try:
        document: Any = json.loads(path.read_bytes())
    except FileNotFoundError as error:
        raise ManifestError(f"No manifest at {path}.", hint=remedy) from error
    except OSError as error:
        raise ManifestError(
            f"The manifest {path} cannot be read: {error}", hint="Check its permissions."
        ) from error
    except ValueError as error:
        raise ManifestError(f"The manifest {path} is truncated or not JSON: {error}", hint=remedy) from error
    if not isinstance(document, dict) or "nodes" not in document or "metadata" not in document:
        raise ManifestError(
            f"{path} is JSON, but not a dbt manifest: no `nodes` or no `metadata`.", hint=remedy
        )
    whole: dict[str, Any] = document
    version = str(whole["metadata"].get("dbt_version", "unknown"))
    if not is_supported(version):
        raise ManifestError(
            f"The manifest {path} was made by dbt {version}; Goldsmith runs dbt {SUPPORTED}.", hint=remedy
        )
    return whole


def load(path: Path, project_dir: Path, document: dict[str, Any] | None = None) -> Manifest:
    """Read a manifest into plain records.

    Args:
        path: The manifest.json.
        project_dir: Root of the dbt project.
        document: The parsed file, where the caller has read it already.

    Raises:
        ManifestError: See `read_document`.
    """
    document = document or read_document(path, project_dir)
    raw = _enabled(document, "nodes", "sources", "exposures", "functions")
    found = _cosmos_nodes(path, project_dir, str(document["metadata"].get("project_name", "")))
    cosmos_nodes = {uid: node for uid, node in found.items() if uid in raw}
    cosmos_nodes |= _functions(_enabled(document, "functions"), project_dir)
    owners = {name: _group_owner(group) for name, group in _groups(document).items()}
    nodes = {uid: _from_cosmos(node, raw[uid], owners) for uid, node in cosmos_nodes.items()}
    version = str(document["metadata"]["dbt_version"])
    if has(version, ON_ERROR):
        nodes |= {uid: replace(node, goes_on=True) for uid, node in nodes.items() if _goes_on(node, raw[uid])}
    nodes |= {uid: _unit_test(uid, entry) for uid, entry in _enabled(document, "unit_tests").items()}
    return Manifest(
        path=path,
        checksum=checksum(document),
        dbt_version=version,
        adapter=str(document["metadata"].get("adapter_type") or ""),
        project_name=str(document["metadata"].get("project_name", "")),
        nodes={uid: node for uid, node in sorted(nodes.items()) if node.kind != "exposure"},
        exposures=tuple(node for _, node in sorted(nodes.items()) if node.kind == "exposure"),
        project_dir=project_dir,
        unknown_kinds=_unknown_kinds(document),
        elementary_schema=str(document["nodes"].get(_ELEMENTARY_RESULTS, {}).get("schema") or ""),
    )


def _enabled(document: dict[str, Any], *parts: str) -> dict[str, dict[str, Any]]:
    """The nodes of some parts of a manifest, without those that dbt keeps there although they are disabled."""
    return {
        uid: entry
        for part in parts
        for uid, entry in (document.get(part) or {}).items()
        if (entry.get("config") or {}).get("enabled", True)
    }


def _unknown_kinds(document: dict[str, Any]) -> tuple[str, ...]:
    """Resource types that this version does not know: dbt may run such nodes, and no task would."""
    kinds = Counter(
        str(entry["resource_type"])
        for part in document.values()
        if isinstance(part, dict)
        for entry in part.values()
        if isinstance(entry, dict) and "resource_type" in entry
    )
    known = {*EXECUTABLE, *NOT_EXECUTABLE}
    return tuple(f"{kind} ({number})" for kind, number in sorted(kinds.items()) if kind not in known)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Leave out what Airflow and Cosmos say while they are imported: it is of no use to who asked for a plan."""
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(logging.NOTSET)


@_quiet()
def _cosmos_nodes(path: Path, project_dir: Path, project_name: str) -> dict[str, DbtNode]:
    from cosmos.config import ExecutionConfig, ProjectConfig, RenderConfig
    from cosmos.constants import ExecutionMode, LoadMode
    from cosmos.dbt.graph import DbtGraph

    import airflow  # noqa: F401 - Cosmos, imported first, fails in a circle with its own Airflow plugin

    graph = DbtGraph(
        project=ProjectConfig(manifest_path=path, project_name=project_name, install_dbt_deps=False),
        render_config=RenderConfig(load_method=LoadMode.DBT_MANIFEST, dbt_deps=None),
        execution_config=ExecutionConfig(dbt_project_path=project_dir),
    )
    graph.load(method=LoadMode.DBT_MANIFEST, execution_mode=ExecutionMode.LOCAL)
    nodes: dict[str, DbtNode] = graph.nodes
    return nodes


@_quiet()
def _functions(entries: dict[str, dict[str, Any]], project_dir: Path) -> dict[str, DbtNode]:
    """dbt's functions as Cosmos would have them: it leaves them out."""
    from cosmos.constants import DbtResourceType
    from cosmos.dbt.graph import DbtNode

    return {
        uid: DbtNode(
            unique_id=uid,
            resource_type=DbtResourceType("function"),
            depends_on=entry["depends_on"]["nodes"],
            path_base=project_dir,
            original_file_path=Path(entry["original_file_path"]),
            package_name=entry["package_name"],
            tags=entry.get("tags") or [],
            config=entry.get("config") or {},
            fqn=entry["fqn"],
        )
        for uid, entry in entries.items()
    }


def _from_cosmos(node: DbtNode, raw: dict[str, Any], owners: dict[str, str]) -> Node:
    config = node.config
    group = config.get("group") or raw.get("group") or ""
    return Node(
        unique_id=node.unique_id,
        kind=node.resource_type.value,
        name=_name(node, raw),
        package=node.package_name or "",
        fqn=tuple(node.fqn or ()),
        file=str(node.original_file_path),
        parents=tuple(sorted(set(node.depends_on))),
        tags=tuple(sorted(set(node.tags))),
        description=str(raw.get("description") or ""),
        owner=_owner(config) or _exposure_owner(raw) or owners.get(group, ""),
        url=str(raw.get("url") or ""),
        group=group,
        materialized=str(config.get("materialized") or ""),
        relation=str(raw.get("relation_name") or ""),
        severity=str(config.get("severity") or "").lower() if node.resource_type.value == "test" else "",
        attached=_attached(node, raw),
        is_generic=bool(raw.get("test_metadata")),
        has_own_name=node.resource_type.value != "test" or has_own_name(raw),
        is_empty=node.resource_type.value in _WITH_CODE and not str(raw.get("raw_code") or "").strip(),
        full_refresh=config.get("full_refresh"),
        has_freshness=node.has_freshness,
        table=f"{raw['schema']}.{raw['identifier']}" if node.resource_type.value == "source" else "",
        columns=_columns(raw),
        operator_kwargs=_operator_kwargs(node.unique_id, config),
        meta=NodeMeta.parse((config.get("meta") or {}).get("goldsmith"), where=node.unique_id),
    )


def _goes_on(node: Node, raw: Mapping[str, Any]) -> bool:
    """Whether dbt builds what reads a node also if it fails: of ephemeral models it has nothing to run itself."""
    config = raw.get("config") or {}
    return node.kind == "model" and not node.is_ephemeral and config.get("on_error") == "continue"


def _owner(config: Mapping[str, Any]) -> str:
    """`meta.owner`, if it is a name."""
    owner = (config.get("meta") or {}).get("owner")
    return str(owner) if isinstance(owner, str | int) else ""


def _operator_kwargs(uid: str, config: Mapping[str, Any]) -> dict[str, Any]:
    """What `meta.cosmos.operator_kwargs` says.

    Raises:
        ManifestError: It is no mapping, or names the task itself.
    """
    cosmos = (config.get("meta") or {}).get("cosmos") or {}
    given = (cosmos.get("operator_kwargs") or {}) if isinstance(cosmos, dict) else cosmos
    if not isinstance(given, dict):
        where = "meta.cosmos.operator_kwargs" if isinstance(cosmos, dict) else "meta.cosmos"
        raise ManifestError(f"{where} of {uid} holds no mapping: {given!r}.", hint=META_HINT)
    if refused := sorted(_OWN_KWARGS & given.keys()):
        raise ManifestError(
            f"meta.cosmos.operator_kwargs of {uid} sets {', '.join(refused)}, which the plan decides.",
            hint=META_HINT,
        )
    return given


def _attached(node: DbtNode, raw: dict[str, Any]) -> str:
    """The node that defines a test; dbt leaves it out for tests of sources."""
    if raw.get("attached_node"):
        return str(raw["attached_node"])
    return node.depends_on[0] if raw.get("test_metadata") and len(set(node.depends_on)) == 1 else ""


def _name(node: DbtNode, raw: dict[str, Any]) -> str:
    """The name a person knows the node by: versions and sources spelled out."""
    name = str(raw.get("name", node.name))
    if node.resource_type.value == "source":
        return f"{raw['source_name']}_{name}"
    return f"{name}_v{raw['version']}" if raw.get("version") else name


def _columns(raw: dict[str, Any]) -> tuple[Column, ...]:
    return tuple(
        Column(
            name=name,
            type=str(column.get("data_type") or ""),
            description=str(column.get("description") or ""),
        )
        for name, column in (raw.get("columns") or {}).items()
    )


def _unit_test(unique_id: str, raw: dict[str, Any]) -> Node:
    return Node(
        unique_id=unique_id,
        kind="unit_test",
        name=str(raw["name"]),
        package=str(raw["package_name"]),
        fqn=tuple(raw["fqn"]),
        file=str(raw["original_file_path"]),
        parents=tuple(raw["depends_on"]["nodes"]),
        tags=tuple(sorted((raw.get("config") or {}).get("tags") or ())),
        description=str(raw.get("description") or ""),
        owner=_owner(raw.get("config") or {}),
        severity="error",
        attached=str(raw.get("tested_node_unique_id") or next(iter(raw["depends_on"]["nodes"]), "")),
    )


def _groups(document: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {group["name"]: group for group in (document.get("groups") or {}).values()}


def _group_owner(group: dict[str, Any]) -> str:
    owner = group.get("owner") or {}
    return str(owner.get("name") or _first(owner.get("email")) or "")


def _exposure_owner(raw: dict[str, Any]) -> str:
    owner = raw.get("owner")
    return str(owner.get("name") or _first(owner.get("email")) or "") if isinstance(owner, dict) else ""


def _first(value: Any) -> Any:
    return value[0] if isinstance(value, list) and value else value
