"""Asking for attributes: one at a time, or several in one request where the association has agreed to that.

A list that the meter refuses is asked once more item by item, and after the second such list no more are sent. What fails
in a list for a reason that may be the list itself (no room for the answer, no reason at all) is asked again alone.
"""

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType

from ami.meter.client import Association, Faulty
from ami.meter.errors import Refusal, words
from dlms.association import GetResult
from dlms.cosem.descriptors import AttributeDescriptor
from dlms.data import Data
from dlms.enums import DataAccessResult as Result

Answer = tuple[Data | None, str]
"""The value, or the meter's own word for why there is none."""
Ask = Callable[[AttributeDescriptor], Answer]

MOST = 24
"""So many attributes in one request: their answer has some hundred octets, and blocks are for long values."""
REFUSED_LISTS = 2
FINAL = frozenset(
    {
        Result.READ_WRITE_DENIED,
        Result.OBJECT_UNDEFINED,
        Result.OBJECT_CLASS_INCONSISTENT,
        Result.OBJECT_UNAVAILABLE,
        Result.SCOPE_OF_ACCESS_VIOLATED,
    }
)
"""Reasons that lie in the attribute, however it is asked for."""


def one_by_one(association: Association) -> Ask:
    """Each attribute by a request of its own."""

    def ask(descriptor: AttributeDescriptor) -> Answer:
        try:
            return association.get(descriptor), ""
        except Refusal as refusal:
            return None, refusal.result
        except Faulty as fault:
            return None, fault.reason

    return ask


class InLists:
    """Asks ahead: with the attribute that is wanted now come those that will be wanted next, in the order of `coming`.

    What is `known` already is not asked for.
    """

    def __init__(
        self,
        association: Association,
        coming: Sequence[AttributeDescriptor],
        known: Mapping[AttributeDescriptor, Answer] = MappingProxyType({}),
    ) -> None:
        self._association = association
        self._alone = one_by_one(association)
        self._coming = list(coming)
        self._places = {descriptor: place for place, descriptor in enumerate(self._coming)}
        self._known = dict(known)
        self._refused = 0

    def __call__(self, descriptor: AttributeDescriptor) -> Answer:
        if descriptor not in self._known:
            self._ask_with_the_next(descriptor)
        known = self._known.get(descriptor)
        return self._alone(descriptor) if known is None else known

    def _ask_with_the_next(self, descriptor: AttributeDescriptor) -> None:
        """What could not be learned in a list stays unknown, and is asked alone when its turn comes."""
        place = self._places.get(descriptor)
        most = min(self._association.most_in_a_list, MOST)
        if place is None or most < 2 or self._refused >= REFUSED_LISTS:
            return
        asked = self._coming[place : place + most]
        if len(asked) < 2:
            return
        try:
            results = self._association.get_list(asked)
        except Faulty:
            self._refused += 1
            self._skip(asked)
            return
        if all(result.value is None for result in results):
            self._refused += 1
            self._skip(asked)
            return
        for one, result in zip(asked, results, strict=True):
            if result.value is not None or result.result in FINAL:
                self._known[one] = _answer(result)
            else:
                self._places.pop(one)

    def _skip(self, asked: Sequence[AttributeDescriptor]) -> None:
        for one in asked:
            self._places.pop(one)


def _answer(result: GetResult) -> Answer:
    return (None, words(result.result.name)) if result.value is None else (result.value, "")
