"""Which folders, packages or tags of a dbt project may be layers."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import PurePosixPath

from goldsmith.dbt.node import Node
from goldsmith.wording import some

# Words that people give to layers, whatever number or letter stands before them. The order comes from the graph.
_WORDS = frozenset(
    (
        *(
            "raw",
            "landing",
            "lake",
            "source",
            "sources",
            "src",
            "base",
            "bronze",
            "l0",
            "l1",
            "l2",
            "l3",
            "l4",
        ),
        *(
            "stage",
            "staged",
            "staging",
            "stg",
            "vault",
            "rdv",
            "bdv",
            "hub",
            "hubs",
            "link",
            "links",
            "satellites",
        ),
        *(
            "clean",
            "cleaned",
            "cleansed",
            "curated",
            "silver",
            "int",
            "intermediate",
            "prep",
            "prepare",
            "prepared",
        ),
        *(
            "transform",
            "transformed",
            "core",
            "conformed",
            "integration",
            "warehouse",
            "dwh",
            "dw",
            "ods",
            "gold",
        ),
        *(
            "dim",
            "dims",
            "dimensions",
            "dimensional",
            "fact",
            "facts",
            "mart",
            "marts",
            "presentation",
            "serving",
        ),
        *(
            "semantic",
            "report",
            "reports",
            "reporting",
            "consumption",
            "export",
            "exports",
            "output",
            "outputs",
        ),
        *("analytics", "refined", "trusted", "business", "information", "data_mart", "data_marts"),
    )
)
_BEFORE = re.compile(r"^(\d+|[a-z])[-_. ]+")
_NOT_IN_A_NAME = re.compile(r"[^a-z0-9]+")
_SPECIAL = re.compile(r"[\s,*?\[\]+@]")
_MOST_NAMES = 30
_DEEPEST = 3

Place = tuple[str, ...]
"""Where nodes stand that may become one layer: the method of a selection, then what it names."""
LOOSE: Place = ("names", "models")
"""Models in no folder, beside folders that are layers."""
SEEDS: Place = ("path", "seeds")


def places_of(models: Sequence[Node], project: str, model_paths: Sequence[str]) -> dict[str, Place]:
    """Unique id of models to the place that may be their layer; empty if neither folders nor tags are like layers.

    Args:
        models: All models of the project and its packages.
        project: Name of the root project.
        model_paths: Its folders of models.
    """
    return _by_folder(models, project, model_paths) or _by_tag(models)


def _by_folder(models: Sequence[Node], project: str, model_paths: Sequence[str]) -> dict[str, Place]:
    """Unique id to folder, if most models stand in folders that are called like layers."""
    own = [node for node in models if node.package == project]
    # A project that only runs a package has its models there.
    where = own if 2 * len(own) >= len(models) else models
    folders = {node.unique_id: _folder(node, project, model_paths) for node in where}
    deeper = _shared_folders(folders.values())
    places = {uid: _place(folder, deeper) for uid, folder in folders.items()}
    words = {place for place in set(places.values()) if _is_word(place)}
    named = [uid for uid, place in places.items() if place in words]
    loose = [uid for uid, place in places.items() if place[-1] == ""]
    by_name = {} if len(loose) > _MOST_NAMES else dict.fromkeys(loose, LOOSE)
    # One folder and the models beside it are two layers, as in dbt's oldest tutorial.
    if len(words) + bool(words and by_name) < 2 or 2 * len(named) < len(where):
        return {}
    return {uid: places[uid] for uid in named} | by_name


def _folder(node: Node, project: str, model_paths: Sequence[str]) -> Place:
    """Method of the selection, package or model path, and the folders below it."""
    if node.package != project:
        return ("fqn", node.package, *node.fqn[1:-1])
    parts = PurePosixPath(node.file).parent.parts
    for path in sorted(model_paths, key=len, reverse=True):
        top = PurePosixPath(path).parts
        if parts[: len(top)] == top:
            return ("path", str(PurePosixPath(path)), *parts[len(top) :])
    return ("path", *parts)


def _shared_folders(folders: Iterable[Place]) -> int:
    """How many folders all models share below the model path: layers may stand one or two folders down."""
    below = [folder[2:] for folder in folders]
    shared = 0
    while shared < _DEEPEST and below and all(len(one) > shared for one in below):
        if len({one[shared] for one in below}) > 1 or _WORDS & {_word(one[shared]) for one in below}:
            break
        shared += 1
    return shared


def _place(folder: Place, deeper: int) -> Place:
    """The folder that may be a layer; empty at its end if the node stands in none."""
    return folder[: 3 + deeper] if len(folder) > 2 + deeper else (*folder, "")


def _word(name: str) -> str:
    return _NOT_IN_A_NAME.sub("_", _BEFORE.sub("", name.lower())).strip("_")


def _is_word(place: Place) -> bool:
    """Whether a folder is called like a layer, and dbt's selections can name it."""
    word = _word(place[-1])
    is_known = word in _WORDS or word.partition("_")[0] in _WORDS
    return is_known and not any(_SPECIAL.search(part) for part in place)


def _by_tag(models: Sequence[Node]) -> dict[str, Place]:
    """Unique id to tag, if most models have one that is called like a layer."""
    tags = {
        node.unique_id: [tag for tag in node.tags if _word(tag) in _WORDS and not _SPECIAL.search(tag)]
        for node in models
    }
    one: dict[str, Place] = {uid: ("tag", found[0]) for uid, found in tags.items() if len(found) == 1}
    if len(set(one.values())) < 2 or 2 * len(one) < len(models):
        return {}
    # A node with two of them would be in two layers.
    return {} if any(len(found) > 1 for found in tags.values()) else one


def seeds_that_are_sources(nodes: Mapping[str, Node]) -> list[str]:
    """Unique ids of seeds whose table is read as a source, so that dbt knows no edge."""
    read = {node.table.lower() for node in nodes.values() if node.kind == "source" and node.table}
    return [uid for uid, node in nodes.items() if node.kind == "seed" and _table(node.relation) in read]


def _table(relation: str) -> str:
    return ".".join(part.strip('"`[]').lower() for part in relation.split(".")[-2:])


def why_flat(models: Sequence[Node], project: str, model_paths: Sequence[str]) -> str:
    """Why a project has no layers, in one sentence."""
    folders = {_place(_folder(node, project, model_paths), 0)[-1] for node in models}
    names = some(sorted(filter(None, folders)))
    return (
        f"no folders that are called like layers ({names}): dbt's own order, without gates"
        if names
        else "all models stand in one folder: dbt's own order, without gates"
    )
