"""The dbt project on disk: where it is, what it is called, and where its manifest is."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from goldsmith.dbt.environment import option, settings_of
from goldsmith.errors import ProjectError
from goldsmith.spec.yaml_file import read_yaml

# dbt's defaults, where dbt_project.yml does not say otherwise.
_PATHS = {
    "model-paths": "models",
    "seed-paths": "seeds",
    "snapshot-paths": "snapshots",
    "macro-paths": "macros",
    "test-paths": "tests",
    "analysis-paths": "analyses",
    "function-paths": "functions",
}
_PROJECT = "dbt_project.yml"
_PACKAGES = ("packages.yml", "dependencies.yml")
_TOP_FILES = (_PROJECT, *_PACKAGES, "package-lock.yml", "selectors.yml", "vars.yml", "catalogs.yml")
_SUFFIXES = {".sql", ".yml", ".yaml", ".csv", ".py", ".md", ".js", ".jinja", ".jinja2", ".j2"}
_TARGET = "target"
MANIFEST = "manifest.json"


@dataclass(frozen=True, kw_only=True, slots=True)
class DbtProject:
    """A dbt project: its folder and the names in its dbt_project.yml."""

    path: Path
    name: str
    profile: str
    source_paths: tuple[str, ...] = tuple(_PATHS.values())
    """Folders of what dbt parses, from the project's own."""
    model_paths: tuple[str, ...] = (_PATHS["model-paths"],)
    """Those of them that hold models."""

    target_folders: tuple[str, ...] = (_TARGET,)
    """dbt's target path, from the project's folder: first as dbt decides it in this process; then, if that is another
    one, as a process without the variable DBT_TARGET_PATH decides it."""
    dbt: str = ""
    """The dbt command that reads it, see `goldsmith.dbt.executable`; empty for that of this environment."""
    own: str = ""
    """Folder below the target path for a manifest that only one pipeline uses; empty for the project's."""

    @property
    def manifest_path(self) -> Path:
        """The manifest."""
        return self.manifest_paths[0]

    @property
    def manifest_paths(self) -> tuple[Path, ...]:
        """Every place where a process may look for the manifest: all have to get the same."""
        return tuple(self.path / folder / self.own / MANIFEST for folder in self.target_folders)

    def sources(self) -> Iterator[Path]:
        """Every file that can change the manifest, and the folders: those change when a file goes or is renamed."""
        yield from _sources(self.path, self.source_paths)
        for package in _local_packages(self.path):
            yield from _sources(package, _source_paths(_config(package / _PROJECT), self.path))

    def changed_since_manifest(self) -> tuple[Path, ...]:
        """Files and folders younger than the manifest, so that it may not describe them."""
        made = self.manifest_path.stat().st_mtime
        return tuple(sorted(p for p in self.sources() if p.stat().st_mtime > made))


def find_project(path: Path) -> DbtProject:
    """Read the dbt project in a folder.

    Raises:
        ProjectError: No dbt_project.yml there, or it names no project.
    """
    file = path / _PROJECT
    try:
        config = read_yaml(file.read_text(encoding="utf-8"), is_strict=False)
    except FileNotFoundError as error:
        raise ProjectError(
            f"No dbt project at {path}: {file} does not exist.",
            hint="Name it in the pipeline spec (project: my_dbt) or in GOLDSMITH_DBT_PROJECT_DIR.",
        ) from error
    except (OSError, UnicodeDecodeError) as error:
        raise ProjectError(
            f"{file} cannot be read: {error}", hint="Check its permissions and encoding."
        ) from error
    except yaml.YAMLError as error:
        raise ProjectError(f"{file} is not YAML: {error}", hint="`dbt parse` says the same.") from error
    if not isinstance(config, dict) or "name" not in config:
        raise ProjectError(f"{file} names no project.", hint="Add `name: my_project`.")
    return DbtProject(
        path=path.resolve(),
        name=str(config["name"]),
        profile=option("PROFILE", settings_of(path)) or _profile(config, file),
        source_paths=_source_paths(config, path),
        model_paths=_rendered_paths(_list(config, "model-paths"), path) or (_PATHS["model-paths"],),
        target_folders=_target_folders(config, file),
    )


def _sources(root: Path, folders: Iterable[str]) -> Iterator[Path]:
    """The files and folders of one project or package that dbt parses."""
    yield from (root / name for name in _TOP_FILES if (root / name).is_file())
    for folder in (root / name for name in folders):
        yield from _below(folder, seen=set())


def _below(folder: Path, *, seen: set[Path]) -> Iterator[Path]:
    """A folder, and the files and folders below it; dbt follows links, so that these do too, each folder once."""
    real = folder.resolve()
    if not folder.is_dir() or real in seen:
        return
    seen.add(real)
    yield folder
    for path in folder.iterdir():
        if path.is_dir():
            yield from _below(path, seen=seen)
        elif path.suffix in _SUFFIXES and path.exists():
            yield path


def _source_paths(config: Mapping[str, Any], project: Path) -> tuple[str, ...]:
    """The folders that dbt parses, with variables of the environment filled in where they are set."""
    written = [folder for key, usual in _PATHS.items() for folder in _list(config, key) or (usual,)]
    written += _list(config, "docs-paths")  # all of the others, if not written
    return _rendered_paths(written, project)


def _rendered_paths(written: Iterable[str], project: Path) -> tuple[str, ...]:
    found = []
    for folder in written:
        with suppress(ProjectError):  # dbt itself says what it cannot read
            found.append(rendered(folder, "model-paths", project / _PROJECT))
    return tuple(found)


def _list(config: Mapping[str, Any], key: str) -> tuple[str, ...]:
    """The texts of a list; none where dbt will say that it is no list."""
    found = config.get(key)
    return tuple(map(str, found)) if isinstance(found, list) else ()


def _local_packages(project: Path) -> tuple[Path, ...]:
    """Folders of the packages that are named as `local:` in packages.yml, and of theirs."""
    found: dict[Path, None] = {}
    left = [project]
    while left:
        folder = left.pop()
        for name in _PACKAGES:
            packages = _config(folder / name).get("packages")
            for package in packages if isinstance(packages, list) else ():
                if isinstance(package, dict) and "local" in package:
                    # As dbt has it: from the project, also if a package names it.
                    place = (project / Path(str(package["local"])).expanduser()).resolve()
                    if place not in found and place != project:
                        found[place] = None
                        left.append(place)
    return tuple(found)


def _config(file: Path) -> Mapping[str, Any]:
    """A YAML file of a package; empty where dbt will say what is wrong with it."""
    try:
        config = read_yaml(file.read_text(encoding="utf-8"), is_strict=False)
    except (OSError, UnicodeDecodeError, yaml.YAMLError):
        return {}
    return config if isinstance(config, dict) else {}


def _profile(config: Mapping[str, Any], file: Path) -> str:
    """The name of the profile; as it is written if a variable in it is not set here: dbt may know it from `.env`."""
    written = str(config.get("profile", "default"))
    try:
        return rendered(written, "profile", file)
    except ProjectError:
        return written


def _target_folders(config: Mapping[str, Any], file: Path) -> tuple[str, ...]:
    """dbt's own precedence: the variable DBT_TARGET_PATH, then `target-path` in dbt_project.yml, then `target`."""
    written = rendered(str(config.get("target-path") or _TARGET), "target-path", file)
    return tuple(dict.fromkeys(filter(None, (option("TARGET_PATH", settings_of(file.parent)), written))))


def rendered(text: str, key: str, file: Path) -> str:
    """A path or name in dbt_project.yml, in which dbt allows Jinja with `env_var`.

    Args:
        text: The value.
        key: Its key, for messages.
        file: The dbt_project.yml; the `.env` that dbt reads there counts too.

    Raises:
        ProjectError: It uses something else, or a variable that is not set.
    """
    if "{" not in text:
        return text
    import jinja2

    variables = settings_of(file.parent)

    def env_var(name: str, default: str | None = None) -> str:
        value = variables.get(name, default)
        if value is None:
            raise ProjectError(
                f"`{key}` in {file} needs the variable {name}, which is not set.",
                hint=f"export {name}=... for all of Airflow's components, or give env_var a default.",
            )
        return value

    try:
        template = jinja2.Environment(undefined=jinja2.StrictUndefined, autoescape=False).from_string(text)  # noqa: S701 - a path, not HTML
        return template.render(env_var=env_var)
    except jinja2.TemplateError as error:
        raise ProjectError(
            f"`{key}: {text}` in {file} cannot be read: {error}",
            hint="Write the path itself, or env_var('NAME', 'default').",
        ) from error
