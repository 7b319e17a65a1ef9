"""Attributes that are written and read back as they were written, which is the whole proof (M-146)."""

from collections.abc import Generator, Mapping
from typing import Any

from ami_dlms.cosem.descriptors import AttributeDescriptor
from ami_dlms.data import Data
from ami_mapping.controls import Verdict
from ami_mapping.recipes.steps import Step, Values, done, failed, settled, write

Wanted = Mapping[AttributeDescriptor, Data]


def write_all(wanted: Wanted) -> Generator[Step, Any, Verdict]:
    """In their order; the verdict over what is read back."""
    for where, value in wanted.items():
        yield from write(where, value)
    return (yield from shows(wanted))


def shows(wanted: Wanted) -> Generator[Step, Any, Verdict]:
    """Whether the meter shows these values."""
    after, proved = yield from settled(tuple(wanted), lambda values: values == tuple(wanted.values()))
    if proved:
        return done(f"{len(wanted)} attributes read back as they were asked for")
    return failed("not-as-asked", _difference(wanted, after))


def _difference(wanted: Wanted, after: Values) -> str:
    others = [where for (where, value), found in zip(wanted.items(), after, strict=True) if found != value]
    return "it shows something else in " + ", ".join(
        f"{one.instance_id} attribute {one.attribute_id}" for one in others
    )
