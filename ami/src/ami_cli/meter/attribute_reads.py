"""Reads of attributes: one at a time, or several in one request where the association has agreed to that.

A list that the meter refuses is asked once more item by item, and after the second such list no more are sent. What fails
in a list for a reason that may be the list itself (no room for the answer, no reason at all) is asked again alone.

One attribute that is met with silence, or with what can't be understood, costs that one: after it requests and answers may
be out of step, so the association is opened anew before the next. A list that ends so is the last list.
"""

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType

from ami_cli.meter.client import Association, Faulty
from ami_cli.meter.errors import ExitCode, MeterError, ServiceRefused, words
from ami_cli.meter.session import Session
from ami_dlms.association import GetResult
from ami_dlms.cosem.descriptors import AttributeDescriptor
from ami_dlms.data import Data
from ami_dlms.enums import DataAccessResult as Result

Answer = tuple[Data | None, str]
"""The value, or the meter's own word for why there is none."""
Ask = Callable[[AttributeDescriptor], Answer]

MOST = 24
"""The number of attributes in one request: their answer has some hundred octets, and blocks are for long values."""
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
SPOILED = frozenset({ExitCode.NO_ANSWER, ExitCode.NOT_UNDERSTOOD})
"""Ends of a request after which a new association may answer the next."""
MOST_IN_A_ROW = 3
"""After this number of successive requests without an answer the meter counts as gone."""


def one_by_one(association: Association) -> Ask:
    """Each attribute by a request of its own."""

    def ask(descriptor: AttributeDescriptor) -> Answer:
        try:
            return association.get(descriptor), ""
        except ServiceRefused as refusal:
            return None, refusal.result
        except Faulty as fault:
            return None, fault.reason

    return ask


class SingleReads:
    """Each attribute by a request of its own; one that spoils the association is reported, and the next is asked anew."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self._in_a_row = 0

    def __call__(self, descriptor: AttributeDescriptor) -> Answer:
        try:
            answer = one_by_one(self.session.association)(descriptor)
        except MeterError as error:
            self.reopen_after(error)
            return None, error.what
        self._in_a_row = 0
        return answer

    def reopen_after(self, error: MeterError) -> None:
        """After this; raises it when it is none of those after which one goes on, or when too many came in a row."""
        self._in_a_row += 1
        if error.code not in SPOILED or self._in_a_row >= MOST_IN_A_ROW:
            raise error
        self.session.association.report(f"{error.where}: {error.what}; the association is opened anew")
        self.session.reopen()


class ListReads:
    """Asks ahead: with the attribute that is wanted now come those that will be wanted next, in the order of `coming`.

    What is `known` already is not asked for.
    """

    def __init__(
        self,
        session: Session,
        coming: Sequence[AttributeDescriptor],
        known: Mapping[AttributeDescriptor, Answer] = MappingProxyType({}),
    ) -> None:
        self._session = session
        self._alone = SingleReads(session)
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
        most = min(self._session.association.most_in_a_list, MOST)
        if place is None or most < 2 or self._refused >= REFUSED_LISTS:
            return
        asked = self._coming[place : place + most]
        if len(asked) < 2:
            return
        try:
            results = self._session.association.get_list(asked)
        except Faulty:
            self._refused += 1
            self._skip(asked)
            return
        except MeterError as error:
            self._alone.reopen_after(error)
            self._refused = REFUSED_LISTS
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
