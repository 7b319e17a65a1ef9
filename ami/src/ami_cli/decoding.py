"""Lines of the processes' standard output as the events that each package declares; what is none of them is left alone."""

import inspect
import json
from collections.abc import Mapping
from functools import cache
from types import ModuleType
from typing import Any, cast

from pydantic import TypeAdapter, ValidationError

import ami_cis.events
import ami_hes.events
import ami_meter_sim.events
import ami_process.events
import ami_process.store.events
import ami_process.tls_events
from ami_hes.events import DETAILS, MeterDone
from ami_process.events import Event

PACKAGES: Mapping[str, tuple[ModuleType, ...]] = {
    "cis": (ami_process.events, ami_process.store.events, ami_process.tls_events, ami_cis.events),
    "hes": (ami_process.events, ami_process.store.events, ami_process.tls_events, ami_hes.events),
    "meter": (ami_process.events, ami_meter_sim.events),
}
"""Role of a process -> where its events are declared."""


def declared(module: ModuleType) -> list[type[Event]]:
    """The events of a module or package, in the order in which it names them."""
    found = inspect.getmembers(module, lambda one: inspect.isclass(one) and issubclass(one, Event) and one is not Event)
    own = [
        one for _, one in found if one.__module__ == module.__name__ or one.__module__.startswith(f"{module.__name__}.")
    ]
    return sorted(own, key=lambda one: list(vars(module)).index(one.__name__))


@cache
def catalogue(role: str) -> Mapping[str, type[Event]]:
    """The events of a process of this role by name."""
    return {one.event: one for module in PACKAGES.get(role, ()) for one in declared(module)}


def decode(role: str, line: Mapping[str, Any]) -> Event | None:
    """The event, if it is a declared one and every field has the type that was declared; None otherwise."""
    name = str(line.get("event"))
    if name not in catalogue(role):
        return None
    try:
        return _adapter(role, name).validate_json(json.dumps(line), strict=True)
    except ValidationError:
        return None


def decode_details(event: MeterDone) -> object | None:
    """The details of a `meter_done`, as its operation declares them; None where it declares none, or they are not as declared."""
    declared_as = DETAILS.get(event.operation)
    if declared_as is None or event.details is None:
        return None
    try:
        return cast(object, TypeAdapter(declared_as).validate_json(json.dumps(event.details), strict=True))
    except ValidationError:
        return None


@cache
def _adapter(role: str, name: str) -> TypeAdapter[Event]:
    return TypeAdapter(catalogue(role)[name])
