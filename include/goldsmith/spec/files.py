"""Specs in YAML files: of one or many pipelines, over the `defaults.yml` of their folder."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import yaml

from goldsmith.errors import SpecError
from goldsmith.spec.base import merged
from goldsmith.spec.for_each import KEY, Combination, combinations, filled
from goldsmith.spec.pipeline import Pipeline
from goldsmith.spec.yaml_file import lines_of, read_yaml
from goldsmith.wording import some

_SUFFIXES = (".yml", ".yaml")
DEFAULTS = tuple(f"defaults{suffix}" for suffix in _SUFFIXES)
"""The file with keys of all specs in its folder; a spec's own go before them."""
_NOT_IN_AN_ID = re.compile(r"[^A-Za-z0-9_.-]+")


@dataclass(frozen=True, kw_only=True, slots=True)
class Entry:
    """One pipeline of a file: its spec, or why it has none."""

    name: str
    """Of the pipeline; of a file that cannot be read the file's."""
    file: Path
    spec: Pipeline | None = None
    error: SpecError | None = None


def read_spec(path: Path) -> Pipeline:
    """Read the spec of one pipeline.

    Args:
        path: A YAML file; its name is the pipeline's if it has no `name`.

    Raises:
        SpecError: No such file, not YAML, not a valid spec, or one for several pipelines.
    """
    entries = read_file(path)
    if len(entries) > 1:
        raise SpecError(
            f"{path} makes {len(entries)} pipelines, by `{KEY}`: {some((one.name for one in entries), 3)}.",
            hint=f'Write into the DAG file: globals().update(build_dags("{path.name}"))',
        )
    [entry] = entries
    if entry.spec is None:
        raise entry.error or SpecError(f"{path} holds no spec.")
    return entry.spec


def spec_files(folder: Path) -> list[Path]:
    """The specs in a folder, not in those below it, by name.

    Raises:
        SpecError: There is no such folder, or no spec in it.
    """
    if not folder.is_dir():
        raise SpecError(
            f"No folder of pipeline specs at {folder}.", hint=f"mkdir -p {folder}, or change build_dags(...)."
        )
    found = sorted(
        path
        for path in folder.iterdir()
        if path.suffix in _SUFFIXES and path.name not in DEFAULTS and not path.name.startswith(".")
    )
    if not found:
        raise SpecError(f"No pipeline spec in {folder}.", hint="goldsmith new my_pipeline")
    return found


def read_folder(folder: Path) -> tuple[Entry, ...]:
    """Every pipeline of a folder, or of one file.

    A file that cannot be used is an entry with an error, and so is a name that two pipelines have.

    Args:
        folder: The folder, or a YAML file.

    Raises:
        SpecError: There is no such folder, or no spec in it.
    """
    files = [folder] if folder.suffix in _SUFFIXES else spec_files(folder)
    return _without_doubles(entry for file in files for entry in read_file(file))


def find_entry(folder: Path, name: str) -> Entry | None:
    """The pipeline of a name in a folder; of all files as few as possible are read.

    Args:
        folder: As for `read_folder`.
        name: Of the pipeline.

    Raises:
        SpecError: As for `read_folder`.
    """
    files = [folder] if folder.suffix in _SUFFIXES else spec_files(folder)
    # Files are named after their pipelines, or these after them; a longer name says more.
    likely = sorted(files, key=lambda file: (not name.startswith(file.stem), -len(file.stem)))
    for file in likely:
        for entry in read_file(file):
            if entry.name == name:
                return entry
    return None


def read_file(path: Path) -> tuple[Entry, ...]:
    """The pipelines of a file, of which there is at least one.

    Args:
        path: A YAML file.
    """
    try:
        written = _Written(path)
        if KEY not in written.values:
            return (_entry(written, {}),)
        with_variables = [_entry(written, one) for one in written.combinations()]
    except SpecError as error:
        return (Entry(name=_as_id(path.stem), file=path, error=error),)
    return _without_doubles(with_variables)


class _Written:
    """The keys of a file, over those of its folder's defaults.

    Args:
        path: The file.

    Raises:
        SpecError: It, or the folder's defaults, cannot be read.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        own = _mapping(path)
        self._files = [path, *(file for name in DEFAULTS if (file := path.parent / name).is_file())]
        self.values = own
        for file in self._files[1:]:
            self.values = merged(_defaults(file), self.values)

    def combinations(self) -> list[Combination]:
        """Those of the variables.

        Raises:
            SpecError: `for_each` cannot be used.
        """
        try:
            return combinations(self.values[KEY], self.path.parent)
        except SpecError as error:
            at = self.place([KEY])
            raise SpecError(f"{self.path}, {at}: {error.message}", hint=error.hint) from error

    def place(self, path: Sequence[str | int]) -> str:
        """The line of a key; and its file, if that is another one."""
        for file in self._files if path else ():
            if line := lines_of(file.read_text(encoding="utf-8"))(path):
                return f"line {line}" if file == self.path else f"line {line} of {file.name}"
        return ""


def _entry(written: _Written, chosen: Combination) -> Entry:
    """The pipeline of one combination of variables, or the only one."""
    labels = [value.label for value in chosen.values()]
    usual = "_".join([written.path.stem, *labels])
    values: Mapping[str, Any] = {key: one for key, one in written.values.items() if key != KEY}
    name = _as_id(usual)
    where = str(written.path)
    if chosen:
        where += f" with {', '.join(f'{variable}={one.label}' for variable, one in chosen.items())}"
    try:
        name = _as_id(str(filled(values["name"], chosen))) if chosen and "name" in values else name
        for value in chosen.values():
            if value.error:
                raise value.error
        if chosen:
            values = _filled(written, values, chosen, where)
        values = {"name": usual, **values}
        if isinstance(values["name"], str):
            name = _as_id(values["name"])
        spec = Pipeline.parse(values, where=where, place=written.place)
    except SpecError as error:
        return Entry(name=name, file=written.path, error=error)
    return Entry(name=spec.name, file=written.path, spec=spec)


def _filled(written: _Written, values: Mapping[str, Any], chosen: Combination, where: str) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in values.items():
        try:
            found[str(filled(key, chosen))] = filled(value, chosen)
        except SpecError as error:
            at = written.place([key])
            raise SpecError(
                f"{where}{f', {at}' if at else ''}: {key}: {error.message}", hint=error.hint
            ) from error
    return found


def _without_doubles(entries: Iterable[Entry]) -> tuple[Entry, ...]:
    """The entries by name; one that stands for all of those that share a name."""
    by_name: dict[str, list[Entry]] = {}
    for entry in entries:
        by_name.setdefault(entry.name, []).append(entry)
    return tuple(those[0] if len(those) == 1 else _double(name, those) for name, those in by_name.items())


def _double(name: str, those: Sequence[Entry]) -> Entry:
    files = list(dict.fromkeys(str(one.file) for one in those))
    if len(files) > 1:
        text = f"Two pipelines are called {name}: {' and '.join(files[:2])}."
        hint = "Airflow would show only one of them; rename one."
    else:
        text = f"{files[0]} makes {len(those)} pipelines called {name}."
        hint = (
            f"Write every variable of `{KEY}` into `name`, such as `name: {Path(files[0]).stem}_{{country}}`."
        )
    return replace(those[0], spec=None, error=SpecError(text, hint=hint))


def _defaults(path: Path) -> dict[str, Any]:
    values = _mapping(path)
    for key in ("name", KEY):
        if key in values:
            raise SpecError(
                f"{path} has `{key}`, which belongs to one pipeline.", hint=f"Move `{key}` into a spec."
            )
    return values


def _mapping(path: Path) -> dict[str, Any]:
    """The keys of a YAML file.

    Raises:
        SpecError: There is no such file, it is not YAML, or no mapping.
    """
    try:
        values = read_yaml(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise SpecError(f"No pipeline spec at {path}.", hint="Check the path in the DAG file.") from error
    except (OSError, UnicodeDecodeError) as error:
        raise SpecError(
            f"{path} cannot be read: {error}", hint="It has to be a text file in UTF-8."
        ) from error
    except yaml.YAMLError as error:
        raise SpecError(f"{path} is not YAML: {error}", hint="Mind indentation and quotes.") from error
    if values is None and path.name in DEFAULTS:
        return {}
    if not isinstance(values, dict):
        raise SpecError(f"{path} holds no mapping.", hint="Start it with `name: my_pipeline`.")
    return values


def _as_id(name: str) -> str:
    """A name as Airflow takes it for a DAG, also that of a file."""
    return _NOT_IN_AN_ID.sub("_", name)[:200] or "_"
