"""An object list of a meter beside a pack: which of its models it is nearest to, and what differs from that."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from ami_packs.pack import ObjectKey


@dataclass(frozen=True, slots=True)
class Comparison:
    """`model` is empty where the pack has none; `missing` are objects of the model that the meter has not, `more` the others way about."""

    model: str
    missing: tuple[ObjectKey, ...] = ()
    more: tuple[ObjectKey, ...] = ()
    number: int = 0
    """Of objects of the model."""


def nearest(models: Mapping[str, Collection[ObjectKey]], there: Collection[ObjectKey]) -> Comparison:
    """The model with the fewest differences."""
    have = set(there)
    found = [
        Comparison(name, tuple(sorted(set(keys) - have)), tuple(sorted(have - set(keys))), len(keys))
        for name, keys in models.items()
    ]
    return min(found, key=lambda one: len(one.missing) + len(one.more), default=Comparison(""))
