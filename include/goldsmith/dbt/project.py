"""The dbt project on disk: where it is, what it is called, and how its manifest is made."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import yaml

from goldsmith.errors import ManifestError, ProjectError

# dbt's defaults, where dbt_project.yml does not say otherwise.
_PATHS = {
    "model-paths": "models",
    "seed-paths": "seeds",
    "snapshot-paths": "snapshots",
    "macro-paths": "macros",
    "test-paths": "tests",
    "analysis-paths": "analyses",
}
_TOP_FILES = ("dbt_project.yml", "packages.yml", "dependencies.yml", "package-lock.yml", "selectors.yml")
_SUFFIXES = {".sql", ".yml", ".yaml", ".csv", ".py", ".md"}


@dataclass(frozen=True, kw_only=True, slots=True)
class DbtProject:
    """A dbt project: its folder and the names in its dbt_project.yml."""

    path: Path
    name: str
    profile: str
    source_paths: tuple[str, ...] = tuple(_PATHS.values())
    """Folders of what dbt parses, from the project's own."""

    @property
    def manifest_path(self) -> Path:
        """Where `dbt parse` writes the manifest."""
        return self.path / "target" / "manifest.json"

    def sources(self) -> Iterator[Path]:
        """Every file that can change the manifest, and the folders: those change when a file goes or is renamed."""
        yield from (self.path / name for name in _TOP_FILES if (self.path / name).is_file())
        for folder in (self.path / name for name in self.source_paths):
            if folder.is_dir():
                yield folder
                yield from (p for p in folder.rglob("*") if p.is_dir() or p.suffix in _SUFFIXES)

    def changed_since_manifest(self) -> tuple[Path, ...]:
        """Files and folders younger than the manifest, so that it may not describe them."""
        made = self.manifest_path.stat().st_mtime
        return tuple(sorted(p for p in self.sources() if p.stat().st_mtime > made))


def find_project(path: Path) -> DbtProject:
    """Read the dbt project in a folder.

    Raises:
        ProjectError: No dbt_project.yml there, or it names no project.
    """
    file = path / "dbt_project.yml"
    try:
        config = yaml.safe_load(file.read_text(encoding="utf-8"))
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
        profile=str(config.get("profile", "default")),
        source_paths=tuple(folder for key, usual in _PATHS.items() for folder in config.get(key) or [usual]),
    )


def dbt_executable() -> str:
    """dbt of this environment, else the first on the PATH.

    Raises:
        ProjectError: There is none.
    """
    beside = Path(sys.executable).parent / "dbt"
    found = str(beside) if beside.is_file() else shutil.which("dbt")
    if not found:
        raise ProjectError("No `dbt` command in this environment.", hint="uv sync")
    return found


def dbt_command() -> list[str]:
    """The start of a dbt command line whose output a program reads."""
    return [dbt_executable(), "--no-version-check", "--no-use-colors"]


def dbt_environment(env: Mapping[str, str] | None = None) -> dict[str, str]:
    """The environment of a dbt command.

    Args:
        env: What it starts from; default is that of this process.
    """
    return {**(os.environ if env is None else env), "DBT_SEND_ANONYMOUS_USAGE_STATS": "false"}


def make_manifest(project: DbtProject, *, target: str, env: Mapping[str, str] | None = None) -> Path:
    """Run `dbt parse`, which needs no warehouse, and return the manifest's path.

    Args:
        project: The dbt project.
        target: dbt target whose schemas the manifest shall name.
        env: Environment of dbt; default is that of this process.

    Raises:
        ManifestError: dbt could not parse the project; carries dbt's own lines.
    """
    done = subprocess.run(
        [*dbt_command(), "parse", "--target", target],
        cwd=project.path,
        env=dbt_environment(env),
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        lines = [line for line in (done.stdout + done.stderr).splitlines() if line.strip()]
        raise ManifestError(
            f"`dbt parse` failed in {project.path}:\n" + "\n".join(lines[-12:]),
            hint=f"Run it yourself: cd {project.path} && dbt parse --target {target}",
        )
    return project.manifest_path
