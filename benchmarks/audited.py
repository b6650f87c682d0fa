"""A dbt project whose warehouse notes every build of a model, with its session's name and its times.

The note is written by the transaction that builds the model: there is one for each build that was committed, whatever
Airflow, dbt and Goldsmith say about it. Tests count in sequences, which no rollback takes back. How long a model takes
and whether it fails stands in tables, so that it can be changed between two runs.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from projects import LAYERS, TARGET

_PROJECT = """\
name: audited
version: "1.0.0"
config-version: 2
profile: audited
flags: {send_anonymous_usage_stats: false}
models:
  audited:
    +materialized: table
    +post-hook: "insert into audit.builds values ('{{ this.schema }}', '{{ this.name }}',
      current_setting('application_name'), now(), clock_timestamp())"
"""
_PROFILE = """\
audited:
  target: {target}
  outputs:
    {target}:
      type: postgres
      host: localhost
      port: 5432
      user: nobody
      password: ""
      dbname: warehouse
      schema: {schema}
      threads: 2
"""
_TEST = """\
{% test counted(model, column_name) %}
select 1 where audit.count('{{ model.schema }}', '{{ model.name }}')
{% endtest %}
"""
AUDIT = """
create schema audit;
create table audit.builds (schema text, model text, session text, began timestamptz, ended timestamptz);
create table audit.paces (model text primary key, seconds float not null);
create table audit.broken (model text primary key);
create function audit.pace(wanted text) returns float language plpgsql volatile as $$
begin
  if exists (select from audit.broken where model = wanted) then
    raise exception 'broken on purpose';
  end if;
  perform pg_sleep(coalesce(
    (select seconds from audit.paces where model = wanted), (select seconds from audit.paces where model = '*'), 0));
  return 1;
end $$;
create function audit.count(wanted_schema text, wanted text) returns bool language plpgsql volatile as $$
begin
  if exists (select from audit.broken where model = 'test_' || wanted) then
    raise exception 'broken on purpose';
  end if;
  perform pg_sleep(coalesce((select seconds from audit.paces where model = 'test_' || wanted), 0));
  perform nextval(format('audit.%I', wanted_schema || '_' || wanted));
  return false;
end $$;
"""


@dataclass(frozen=True, kw_only=True, slots=True)
class AuditedModel:
    """One model of the project."""

    name: str
    layer: str
    parents: tuple[str, ...]

    @property
    def task_id(self) -> str:
        """Goldsmith's id of its task."""
        return f"{self.layer}.{self.name}.run"

    @property
    def test_task_id(self) -> str:
        """Goldsmith's id of its test's task."""
        return f"{self.layer}.{self.name}.counted_id"


def audited_models(width: int) -> tuple[AuditedModel, ...]:
    """So many models in each layer; each reads two of the layer before."""
    made: list[AuditedModel] = []
    before: list[str] = []
    for layer in LAYERS:
        names = [f"{layer}_{number}" for number in range(width)]
        for number, name in enumerate(names):
            parents = {before[number], before[(number + 1) % width]} if before else set()
            made.append(AuditedModel(name=name, layer=layer, parents=tuple(sorted(parents))))
        before = names
    return tuple(made)


def write_audited(folder: Path, models: tuple[AuditedModel, ...], *, schema: str) -> None:
    """Write the project."""
    (folder / "macros").mkdir(parents=True, exist_ok=True)
    (folder / "macros" / "counted.sql").write_text(_TEST)
    (folder / "dbt_project.yml").write_text(_PROJECT)
    (folder / "profiles.yml").write_text(_PROFILE.format(target=TARGET, schema=schema))
    for layer in LAYERS:
        (folder / "models" / layer).mkdir(parents=True, exist_ok=True)
        text = "\n".join(_properties(model for model in models if model.layer == layer))
        (folder / "models" / layer / f"{layer}.yml").write_text(text + "\n")
    for model in models:
        (folder / "models" / model.layer / f"{model.name}.sql").write_text(_sql(model))


def sequences(models: tuple[AuditedModel, ...], schema: str) -> str:
    """SQL that makes the counters of a project's tests."""
    return "".join(f"create sequence audit.{schema}_{model.name};\n" for model in models)


def _properties(models: Iterator[AuditedModel]) -> Iterator[str]:
    yield "version: 2"
    yield "models:"
    for model in models:
        yield f"  - name: {model.name}"
        yield "    columns: [{name: id, data_tests: [counted]}]"


def _sql(model: AuditedModel) -> str:
    selects = [f"select id from {{{{ ref('{parent}') }}}}" for parent in model.parents] or ["select 1 as id"]
    source = "\nunion all ".join(selects)
    return f"select id, audit.pace('{model.name}') as pace from (\n{source}\nlimit 1) as one\n"
