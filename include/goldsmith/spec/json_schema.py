"""The JSON Schema of a pipeline spec, by which editors complete and check one: made from the models.

It refuses unknown keys, wrong types and unknown words. What one key means for another, and what the dbt project has,
only `goldsmith check` knows. Format: https://json-schema.org/draft/2020-12.
"""

from __future__ import annotations

import ast
import inspect
import textwrap
from datetime import timedelta
from itertools import pairwise
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import core_schema

from goldsmith.spec.for_each import KEY
from goldsmith.spec.pipeline import Pipeline

_UNITS = ((86400, "d"), (3600, "h"), (60, "m"), (1, "s"))


_VARIABLE = {
    "title": "variable",
    "description": "A variable of `for_each`, in the place of a value.",
    "type": "string",
    "pattern": r"^\{[a-z][a-z0-9_]*(\.\w+)?\}$",
}
_NARROW = ("integer", "number", "boolean", "array")
_NOTES = ("title", "description", "default")
_PARTS = {"type": "object", "required": ["name"]}
_FOR_EACH = {
    "title": KEY,
    "description": "Variables and their values: one pipeline for each combination, in which `{variable}` stands for a "
    "value. A list of values, of mappings with `name` and other parts, or a pattern of YAML files with the parts.",
    "type": "object",
    "additionalProperties": {
        "anyOf": [
            {"type": "string"},
            {"type": "array", "items": {"anyOf": [{"type": ["string", "number", "boolean"]}, _PARTS]}},
        ]
    },
}


def pipeline_schema() -> dict[str, Any]:
    """The schema of a file with a spec, as JSON has it.

    A pipeline without `name` has that of its file, and `for_each` is gone once a spec is read.
    """
    found = Pipeline.model_json_schema(by_alias=True, schema_generator=_Described)
    found |= {key: _or_variable(found[key]) for key in ("properties", "$defs")}
    found["properties"][KEY] = _FOR_EACH
    found["$defs"]["variable"] = _VARIABLE
    del found["required"]
    return {"$schema": GenerateJsonSchema.schema_dialect, **found, "title": "Goldsmith pipeline"}


def _or_variable(part: Any) -> Any:
    """A part of the schema in which each value that is not just any text may be a variable too."""
    if isinstance(part, list):
        return [_or_variable(one) for one in part]
    if not isinstance(part, dict):
        return part
    found = {key: one if key == "default" else _or_variable(one) for key, one in part.items()}
    if found.get("type") not in _NARROW and not {"enum", "pattern"} & found.keys():
        return found
    notes = {key: found.pop(key) for key in _NOTES if key in found}
    return {**notes, "anyOf": [found, {"$ref": "#/$defs/variable"}]}


class _Described(GenerateJsonSchema):
    """Takes the descriptions of keys from the docstrings below the fields."""

    def model_schema(self, schema: core_schema.ModelSchema) -> JsonSchemaValue:
        found = super().model_schema(schema)
        model = schema["cls"]
        properties = found.get("properties", {})
        for kind in reversed(model.__mro__):
            for name, text in _docstrings(kind).items():
                field = model.model_fields.get(name)
                key = field.alias if field and field.alias else name
                if key in properties:
                    properties[key]["description"] = text
        found["description"] = inspect.cleandoc(model.__doc__ or "").split("\n\n")[0]
        return found

    def get_title_from_name(self, name: str) -> str:
        """As it is written: editors show it beside the key."""
        return name

    def encode_default(self, dft: Any) -> Any:
        return _written(dft) if isinstance(dft, timedelta) else super().encode_default(dft)


def _written(length: timedelta) -> str:
    """A length of time as a person writes it into a spec."""
    seconds = int(length.total_seconds())
    size, unit = next((size, unit) for size, unit in _UNITS if seconds % size == 0)
    return f"{seconds // size}{unit}"


def _docstrings(model: type) -> dict[str, str]:
    """Field to the docstring below it, of the fields that a class itself has."""
    if not issubclass(model, BaseModel) or model is BaseModel:
        return {}
    try:
        source = textwrap.dedent(inspect.getsource(model))
    except (OSError, TypeError):  # a class that no file has
        return {}
    [found] = ast.parse(source).body
    lines = found.body if isinstance(found, ast.ClassDef) else []
    return {
        line.target.id: inspect.cleandoc(after.value.value)
        for line, after in pairwise(lines)
        if isinstance(line, ast.AnnAssign)
        and isinstance(line.target, ast.Name)
        and isinstance(after, ast.Expr)
        and isinstance(after.value, ast.Constant)
        and isinstance(after.value.value, str)
    }
