"""The JSON Schema that editors check a spec by: what it takes and refuses, as the models do."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator

from goldsmith.errors import SpecError
from goldsmith.spec.json_schema import pipeline_schema
from goldsmith.spec.pipeline import Pipeline

SCHEMA = pipeline_schema()
SHIPPED = "include/goldsmith/spec/pipeline.schema.json"
NAMED = "# yaml-language-server: $schema="


def is_valid(spec: dict[str, Any]) -> bool:
    """Whether an editor is content."""
    return bool(Draft202012Validator(SCHEMA).is_valid(spec))


def test_the_shipped_schema_is_that_of_the_models(repository: Path) -> None:
    """Else: goldsmith schema --out include/goldsmith/spec/pipeline.schema.json."""
    Draft202012Validator.check_schema(SCHEMA)
    assert json.loads((repository / SHIPPED).read_text(encoding="utf-8")) == SCHEMA


def test_it_has_the_keys_of_the_models_each_with_what_it_means() -> None:
    """Of all parts of a spec; what a name says by itself needs no more."""
    models = {"Goldsmith pipeline": SCHEMA, **SCHEMA["$defs"]}
    assert set(SCHEMA["properties"]) == {*Pipeline.model_fields, "for_each"}
    described = sum("description" in one for part in models.values() for one in _properties(part).values())
    assert described > 90
    for key in ("dbt", "connection", "layers", "gates", "engine", "alerts"):
        assert SCHEMA["properties"][key]["description"], key
    assert SCHEMA["properties"]["task_timeout"]["default"] == "30m"


def _properties(part: dict[str, Any]) -> dict[str, Any]:
    """The keys of a part, also of one that has a short form."""
    forms = [part, *part.get("anyOf", ())]
    return {key: value for form in forms for key, value in form.get("properties", {}).items()}


def test_the_specs_of_the_repository_are_valid_and_name_the_schema(repository: Path) -> None:
    """As an editor finds it, from the folder of the spec."""
    specs = [
        *(repository / "dags").glob("pipelines/*.yml"),
        *(repository / "examples").glob("*/dags/pipelines/*.yml"),
    ]
    assert len(specs) > 2
    for spec in specs:
        text = spec.read_text(encoding="utf-8")
        first = text.splitlines()[0]
        assert first.startswith(NAMED)
        assert (spec.parent / first.removeprefix(NAMED)).resolve() == (repository / SHIPPED).resolve()
        assert is_valid(_as_editors_read(text))


def test_the_specs_in_the_docs_are_valid(repository: Path) -> None:
    """Whole ones, and pieces with keys of a spec."""
    checked = 0
    for page in (repository / "docs").glob("*.md"):
        for block in re.findall(r"```yaml\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL):
            found = _as_editors_read(block)
            if isinstance(found, dict) and found.keys() <= SCHEMA["properties"].keys():
                checked += 1
                assert is_valid({"name": "shop", **found}), block
    assert checked > 5


def _as_editors_read(text: str) -> Any:
    """YAML as JSON has it: a day is text."""
    return json.loads(json.dumps(yaml.safe_load(text), default=str))


@pytest.mark.parametrize(
    "more",
    [
        {"task_timeout": "45s", "window": "1d", "schedule": "@daily"},
        {"select": "tag:a", "exclude": ["b", "c"]},
        {"layers": {"one": "path:models/a/", "two": ["tag:x", "tag:y"]}},
        {"after": "goldsmith://a/b/c"},
        {"after": ["goldsmith://a/b/c"], "schedule": None},
        {"after": {"any": ["goldsmith://a/b/c"]}},
        {"gates": {"gold": {"failed_tests": 3, "rows": {"orders": 1}, "nulls": {"orders": {"id": 0.1}}}}},
        {"gates": {"gold": {"failed_tests": [{"max": 1, "tag": "x"}, 2], "rows": {"a": {"change": 0.5}}}}},
        {"report": None},
        {"report": {"publish": ["s3://a@b/c", {"to": "reports", "keep": 3}], "report_timeout": "5m"}},
        {"alerts": {"channels": {"mail": {"type": "email", "connection": "c", "to": "a@b.c"}}}},
        {"deadlines": [{"by": "06:00"}, {"node": "a", "within": "90m"}]},
        {"exclude_resource_types": "unit_test"},
        {"exclude_resource_types": ["seed", "snapshot"]},
        {"profile": {"schema": "x", "threads": 8, "extra": {"keepalives_idle": 0}}},
        {"profile": {"file": "profiles.yml", "env": {"A": "shop.password"}}},
        {"environments": {"dev": {"schedule": None}}},
        {"ingest": [{"source": "raw.orders", "file": "a.csv", "key": ["id"], "columns": ["id"]}]},
        {"vars": {"a": 1, "b": [None, {"c": True}]}},
    ],
)
def test_what_the_models_take_editors_take(more: dict[str, Any]) -> None:
    """Short forms too."""
    spec = {"name": "shop", **more}
    try:
        Pipeline.parse(spec)
    except SpecError as error:
        pytest.fail(str(error))
    assert is_valid(spec), list(Draft202012Validator(SCHEMA).iter_errors(spec))


@pytest.mark.parametrize(
    "more",
    [
        {"scedule": "@daily"},
        {"retries": {"modls": 1}},
        {"task_timeout": "soon"},
        {"task_timeout": 30},
        {"gate": "maybe"},
        {"tasks": "modl"},
        {"retries": {"models": -1}},
        {"failing_rows": 101},
        {"deadlines": [{"by": "25:00"}]},
        {"exclude_resource_types": ["modell"]},
        {"gates": {"gold": {"failed_test": 1}}},
        {"alerts": {"channels": {"mail": {"type": "fax"}}}},
        {"layers": {"one": 1}},
        {"after": {"some": ["goldsmith://a/b/c"]}},
        {"max_active_runs": 0},
    ],
)
def test_what_editors_refuse_the_models_refuse(more: dict[str, Any]) -> None:
    """An editor that is stricter than Goldsmith would mislead."""
    spec = {"name": "shop", **more}
    assert not is_valid(spec)
    with pytest.raises(SpecError):
        Pipeline.parse(spec)


@pytest.mark.parametrize(
    "spec",
    [
        {},
        {"for_each": {"a": ["x", 1, True], "b": [{"name": "y", "rows": [1]}], "c": "tables/*.yml"}},
        {"failing_rows": "{a.rows}", "engine": "{a}", "catchup": "{a}", "task_timeout": "{a.time}"},
        {"retries": {"models": "{a}"}, "profile": {"threads": "{a}"}, "ingest": "{a.ingest}"},
    ],
)
def test_files_have_what_a_pipeline_has_no_more(spec: dict[str, Any]) -> None:
    """No name, variables, and a variable in the place of a value."""
    assert is_valid(spec), list(Draft202012Validator(SCHEMA).iter_errors(spec))


@pytest.mark.parametrize("spec", [{"for_each": []}, {"for_each": {"a": 1}}, {"engine": "{a} b"}])
def test_a_wrong_variable_is_refused(spec: dict[str, Any]) -> None:
    """As when the file is read."""
    assert not is_valid(spec)
