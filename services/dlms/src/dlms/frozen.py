"""Frozen, slotted dataclasses that cost a sixth to declare, and less to make: what every message and event here is.

The library's decorator compiles six methods for each class, which for all classes of this package takes longer than the
rest of its import. Here `__init__` alone is compiled and fills the slots directly; the other methods are shared. For
`dataclasses.fields` and `replace`, for `match` and for type checkers such a class is a dataclass like any other.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import MISSING, Field, FrozenInstanceError, dataclass, field, fields
from operator import attrgetter
from typing import Any, TypeVar, dataclass_transform

T = TypeVar("T")


@dataclass_transform(frozen_default=True, field_specifiers=(field,))
def frozen(declared: type[T]) -> type[T]:
    """The class with its annotated fields as slots, compared and hashed by their values, unchangeable once made."""
    described: Any = dataclass(init=False, repr=False, eq=False)(declared)
    own = fields(described)
    names = tuple([one.name for one in own])
    namespace = {name: value for name, value in vars(declared).items() if name not in names and name not in _UNSLOTTED}
    for name, method in _shared_methods(own).items():
        namespace.setdefault(name, method)
    made: type[T] = type(declared.__name__, declared.__bases__, namespace | {"__slots__": names})
    made.__qualname__ = declared.__qualname__
    made.__init__ = _initializer(made, own)  # type: ignore[method-assign]
    return made


_UNSLOTTED = ("__dict__", "__weakref__")


def _shared_methods(own: tuple[Field[Any], ...]) -> dict[str, Callable[..., Any]]:
    """All methods but `__init__`; a class may bring its own `__repr__`."""
    shown = [one.name for one in own if one.repr]
    compared = [one.name for one in own if one.compare]
    values = attrgetter(*compared) if compared else _nothing

    def equal(self: object, other: object) -> bool:
        return values(self) == values(other) if type(other) is type(self) else NotImplemented

    def hashed(self: object) -> int:
        return hash(values(self))

    def shown_as(self: object) -> str:
        return f"{type(self).__qualname__}({', '.join([f'{name}={getattr(self, name)!r}' for name in shown])})"

    def state(self: object) -> list[Any]:
        return [getattr(self, one.name) for one in own]

    def restore(self: object, state: list[Any]) -> None:
        for one, value in zip(own, state, strict=True):
            object.__setattr__(self, one.name, value)

    return {
        "__eq__": equal,
        "__hash__": hashed,
        "__repr__": shown_as,
        "__getstate__": state,
        "__setstate__": restore,
        "__setattr__": _refuse_to_set,
        "__delattr__": _refuse_to_delete,
    }


def _nothing(self: object) -> tuple[()]:
    return ()


def _refuse_to_set(self: object, name: str, value: object) -> None:
    raise FrozenInstanceError(f"cannot assign to field {name!r}")


def _refuse_to_delete(self: object, name: str) -> None:
    raise FrozenInstanceError(f"cannot delete field {name!r}")


def _initializer(made: type, own: tuple[Field[Any], ...]) -> Callable[..., None]:
    """`__init__` as somebody would write it by hand for this class: one line that fills each slot."""
    known: dict[str, Any] = {"made_by_factory": MISSING}
    parameters, lines = ["self"], []
    for one in own:
        name, value = one.name, one.name
        known[f"set_{name}"] = vars(made)[name].__set__
        if one.default is not MISSING:
            known[f"default_{name}"] = one.default
            value = f"default_{name}"
        elif one.default_factory is not MISSING:
            known[f"new_{name}"] = one.default_factory
            value = f"new_{name}()"
        if one.init:
            parameters.append(_parameter(one))
            value = f"{name} if {name} is not made_by_factory else {value}" if "(" in value else name
        elif value == name:
            continue
        lines.append(f"set_{name}(self, {value})")
    if hasattr(made, "__post_init__"):
        lines.append("self.__post_init__()")
    source = f"def __init__({', '.join(parameters)}):\n " + "\n ".join(lines or ["pass"])
    exec(source, known)  # noqa: S102 - made of the names of fields alone
    initializer: Callable[..., None] = known["__init__"]
    initializer.__qualname__ = f"{made.__qualname__}.__init__"
    return initializer


def _parameter(one: Field[Any]) -> str:
    if one.default is not MISSING:
        return f"{one.name}=default_{one.name}"
    return one.name if one.default_factory is MISSING else f"{one.name}=made_by_factory"
