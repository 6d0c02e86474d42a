"""JSON Schema of the settings and payloads, with what is written below their fields.

pydantic would read these docstrings itself, of all classes and at every start: that is a twentieth
of a start, for a text that two commands print.
"""

import ast
import inspect
import textwrap
from collections.abc import Iterator
from itertools import pairwise
from typing import Any, Literal

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core.core_schema import DataclassSchema, ModelSchema


def schema_of(
    model: type[BaseModel], mode: Literal["validation", "serialization"] = "validation"
) -> dict[str, Any]:
    """The JSON Schema of a model; each property has the docstring of its field."""
    return model.model_json_schema(schema_generator=_Described, mode=mode)


class _Described(GenerateJsonSchema):
    def model_schema(self, schema: ModelSchema) -> JsonSchemaValue:
        return _with_meanings(super().model_schema(schema), schema["cls"])

    def dataclass_schema(self, schema: DataclassSchema) -> JsonSchemaValue:
        return _with_meanings(super().dataclass_schema(schema), schema["cls"])


def _with_meanings(made: JsonSchemaValue, kind: type) -> JsonSchemaValue:
    for each in kind.__mro__:
        if each.__module__.startswith("assistant."):
            for name, meaning in _docstrings(each):
                made.get("properties", {}).get(name, {}).setdefault("description", meaning)
    return made


def _docstrings(kind: type) -> Iterator[tuple[str, str]]:
    """Each field of a class with the string that stands below it."""
    tree = ast.parse(textwrap.dedent(inspect.getsource(kind)))
    body = tree.body[0].body if isinstance(tree.body[0], ast.ClassDef) else []
    for field, below in pairwise(body):
        match field, below:
            case (
                ast.AnnAssign(target=ast.Name(id=name)),
                ast.Expr(value=ast.Constant(value=str(text))),
            ):
                yield name, inspect.cleandoc(text)
            case _:
                continue
