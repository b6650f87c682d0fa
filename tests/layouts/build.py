"""The files of a repository with a dbt project, from a few words about its graph."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

Files = Mapping[str, str]
"""Path from the repository's root to text."""

POSTGRES = """\
{profile}:
  target: dev
  outputs:
    dev:
      type: postgres
      host: "{{{{ env_var('SHOP_HOST') }}}}"
      port: "{{{{ env_var('SHOP_PORT', '5432') | as_number }}}}"
      user: "{{{{ env_var('SHOP_USER') }}}}"
      password: "{{{{ env_var('SHOP_PASSWORD', '') }}}}"
      dbname: warehouse
      schema: analytics
      threads: 2
"""
DUCKDB = """\
{profile}:
  target: dev
  outputs:
    dev:
      type: duckdb
      path: "{{{{ env_var('SHOP_FILE', 'shop.duckdb') }}}}"
      threads: 2
"""


def project(
    *models: str,
    place: str = "",
    name: str = "shop",
    top: str = "models",
    profiles: str = "",
    settings: str = "",
    seeds: Iterable[str] = (),
) -> dict[str, str]:
    """A dbt project; each model has a test.

    Args:
        models: Such as `staging/a` or `marts/b < a, c`: folder and name, and what it reads; `+bronze` is its tag, and
            `raw.t` a source.
        place: Folder of the project, from the repository's root.
        name: Of the project and of its profile.
        top: Its folder of models.
        profiles: A profiles.yml, with `{profile}` in the place of the profile's name.
        settings: Further lines of dbt_project.yml.
        seeds: Names of seeds; each has a test and one row.
    """
    files = {"dbt_project.yml": f'name: {name}\nversion: "1.0"\nprofile: {name}\n{settings}'}
    if profiles:
        files["profiles.yml"] = profiles.format(profile=name)
    tested: dict[str, list[str]] = {}
    for text in models:
        path, sql = _model(text)
        files[f"{top}/{path}.sql"] = sql
        folder, _, model = path.rpartition("/")
        tested.setdefault(folder, []).append(model)
    for folder, names in tested.items():
        files["/".join(filter(None, (top, folder, "tests.yml")))] = _tests("models", names)
    for seed in seeds:
        files[f"seeds/{seed}.csv"] = "id\n1\n"
    if seeds:
        files["seeds/tests.yml"] = _tests("seeds", seeds)
    return {f"{place}/{path}" if place else path: text for path, text in files.items()}


def sources(schema: str, *tables: str, place: str = "models") -> dict[str, str]:
    """A file with the source `raw`."""
    names = "".join(f"      - name: {table}\n" for table in tables)
    text = f"version: 2\nsources:\n  - name: raw\n    schema: {schema}\n    tables:\n{names}"
    return {f"{place}/sources.yml": text}


def write(files: Files, root: Path) -> Path:
    """Write the files, and give the folder back."""
    for path, text in files.items():
        file = root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    return root


def _model(text: str) -> tuple[str, str]:
    """Path without suffix, and SQL."""
    head, _, reads = text.partition(" < ")
    path, *tags = head.split(" +")
    config = f"{{{{ config(tags={tags!r}) }}}}\n" if tags else ""
    read = [one.strip() for one in reads.split(",") if one.strip()]
    rows = "\nunion all\n".join(f"select id from {_relation(one)}" for one in read)
    distinct = f"select distinct id from (\n{rows}\n) as read" if read else "select 1 as id"
    return path, f"{config}{distinct}\n"


def _relation(name: str) -> str:
    source, _, table = name.rpartition(".")
    return f"{{{{ source('{source}', '{table}') }}}}" if source else f"{{{{ ref('{name}') }}}}"


def _tests(kind: str, names: Iterable[str]) -> str:
    lines = "".join(
        f"  - name: {name}\n    columns:\n      - name: id\n        data_tests: [unique, not_null]\n"
        for name in names
    )
    return f"version: 2\n{kind}:\n{lines}"
