"""What the fields of a class mean: the docstrings below their declarations, read from its source when somebody asks.

Pages and schemas show them; a process that serves has no use for them. So they are not read with each declaration, as pydantic
would do by `use_attribute_docstrings`: for the models of the simulator alone that takes 0.15 s of every start.
"""

import ast
import inspect
from collections.abc import Mapping
from functools import cache
from textwrap import dedent
from typing import Any

from pydantic import BaseModel, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue


def meanings(kind: type[Any]) -> Mapping[str, str]:
    """Name of a field -> the text below its declaration, in the class or those that it continues; fields without text are left out."""
    found: dict[str, str] = {}
    for one in reversed(kind.__mro__):
        if not issubclass(BaseModel, one):
            found |= _own(one)
    return found


@cache
def _own(kind: type) -> Mapping[str, str]:
    try:
        (declared,) = ast.parse(dedent(inspect.getsource(kind))).body
    except (OSError, TypeError):  # written in C, or installed without its source
        return {}
    assert isinstance(declared, ast.ClassDef)
    return {
        one.target.id: inspect.cleandoc(below.value.value)
        for one, below in zip(declared.body, declared.body[1:], strict=False)
        if isinstance(one, ast.AnnAssign)
        and isinstance(one.target, ast.Name)
        and isinstance(below, ast.Expr)
        and isinstance(below.value, ast.Constant)
        and isinstance(below.value.value, str)
    }


class Documented(BaseModel):
    """A model whose JSON schema has the meanings of its fields."""

    @classmethod
    def __get_pydantic_json_schema__(cls, core_schema: Any, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        """The schema that pydantic makes, with a description for each property that has none."""
        schema = handler(core_schema)
        properties = handler.resolve_ref_schema(schema).get("properties", {})
        for name, meaning in meanings(cls).items():
            field = cls.model_fields.get(name)
            shown = properties.get(name if field is None else field.alias or name)
            if shown is not None:
                shown.setdefault("description", meaning)
        return schema
