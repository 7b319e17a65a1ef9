"""A recorded session read back: which associations were opened, and what the meter answered to each question, in order."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from ami_cli.proxy.session_file import Recorded, RecordedSession
from ami_dlms import apdu, data
from ami_dlms.apdu import Apdu
from ami_dlms.apdu.acse import Aare, Aarq
from ami_dlms.apdu.action import (
    ActionRequestNormal,
    ActionRequestWithList,
    ActionResponseNormal,
    ActionResponseWithList,
)
from ami_dlms.apdu.fields import ActionResponse
from ami_dlms.apdu.get import GetRequestNormal, GetRequestWithList, GetResponseNormal, GetResponseWithList
from ami_dlms.apdu.initiate import InitiateResponse
from ami_dlms.apdu.set import SetRequestNormal, SetRequestWithList, SetResponseNormal, SetResponseWithList
from ami_dlms.association import Action, ActionOutcome, Get, ItemResult, Set
from ami_dlms.data import Data
from ami_dlms.enums import ApplicationContext, AssociationResult, Conformance, Mechanism
from ami_dlms.errors import DecodeError

Item = Get | Set | Action
Ends = tuple[int, int]
"""Wrapper ports of client and server."""


class Exchange(NamedTuple):
    """A question of a client, and what was answered."""

    ends: Ends
    item: Item
    result: ItemResult


@dataclass(frozen=True, slots=True)
class OpenedAssociation:
    """An association that the meter accepted, as both ends said."""

    ends: Ends
    context: ApplicationContext
    mechanism: Mechanism
    server_title: bytes | None
    conformance: Conformance
    max_pdu_size: int
    control: int | None
    """The security control octet of what was ciphered in it, None where nothing was."""

    @property
    def ciphered(self) -> bool:
        """Whether APDUs are protected."""
        return self.context in (ApplicationContext.LN_CIPHERED, ApplicationContext.SN_CIPHERED)


@dataclass(slots=True)
class _Route:
    """One client of one server on one connection."""

    aarq: Aarq | None = None
    asked: tuple[Item, ...] = ()


@dataclass(slots=True)
class Session:
    """What a recorded session holds. Requests in blocks, ACCESS and short names are not among the exchanges."""

    associations: dict[Ends, OpenedAssociation] = field(default_factory=dict)
    exchanges: list[Exchange] = field(default_factory=list)
    left_out: int = 0
    """Requests that were answered by a fault, or not at all, or that nobody could read."""


def session_of(recorded: RecordedSession) -> Session:
    """Everything that was asked and answered."""
    found, routes = Session(), dict[tuple[int, Ends], _Route]()
    for one in recorded.messages:
        route = routes.setdefault((one.connection, (one.client, one.server)), _Route())
        message = _decoded(one.clear)
        if message is None and one.whole is None:
            found.left_out += one.from_client
        elif one.from_client and message is not None:
            _asked(found, route, message)
        else:
            _answered(found, route, one, message)
    _note_controls(found, recorded.messages)
    return found


def _asked(found: Session, route: _Route, message: Apdu) -> None:
    if isinstance(message, Aarq):
        route.aarq = message
    items = tuple(_items(message))
    if items:
        found.left_out += len(route.asked) > 0
        route.asked = items


def _items(message: Apdu) -> Iterator[Item]:
    match message:
        case GetRequestNormal():
            yield Get(message.descriptor, message.selection)
        case GetRequestWithList():
            yield from (Get(one.descriptor, one.selection) for one in message.items)
        case SetRequestNormal():
            yield Set(message.descriptor, message.value, message.selection)
        case SetRequestWithList():
            yield from (
                Set(one.descriptor, value, one.selection)
                for one, value in zip(message.items, message.values, strict=False)
            )
        case ActionRequestNormal():
            yield Action(message.descriptor, message.parameters)
        case ActionRequestWithList():
            yield from map(Action, message.descriptors, message.parameters)


def _answered(found: Session, route: _Route, one: Recorded, message: Apdu | None) -> None:
    ends = one.client, one.server
    if isinstance(message, Aare):
        _opened(found, route, ends, one, message)
        return
    answer = message if one.whole is None else _decoded(one.whole)
    results = None if answer is None else tuple(_results(answer))
    if not results:
        return
    if len(results) == len(route.asked):
        found.exchanges += [Exchange(ends, item, result) for item, result in zip(route.asked, results, strict=True)]
    else:
        found.left_out += 1
    route.asked = ()


def _results(message: Apdu) -> Iterator[ItemResult]:
    match message:
        case GetResponseNormal() | SetResponseNormal():
            yield message.result
        case GetResponseWithList() | SetResponseWithList():
            yield from message.results
        case ActionResponseNormal():
            yield _outcome(ActionResponse(message.result, message.return_parameters))
        case ActionResponseWithList():
            yield from map(_outcome, message.results)


def _outcome(one: ActionResponse) -> ActionOutcome:
    value = one.return_parameters
    return ActionOutcome(one.result, value if isinstance(value, Data) else None)


def _opened(found: Session, route: _Route, ends: Ends, one: Recorded, aare: Aare) -> None:
    initiate = _decoded(one.initiate)
    if (
        aare.result is not AssociationResult.ACCEPTED
        or route.aarq is None
        or not isinstance(initiate, InitiateResponse)
    ):
        return
    found.associations[ends] = OpenedAssociation(
        ends,
        aare.application_context,
        route.aarq.mechanism or Mechanism.LOWEST,
        aare.responding_ap_title,
        initiate.conformance,
        initiate.server_max_receive_pdu_size,
        None,
    )


def _note_controls(found: Session, messages: Iterable[Recorded]) -> None:
    """How answers were protected: of each association, the last ciphered one tells."""
    controls = {(one.client, one.server): one.control for one in messages if one.control is not None}
    for ends, one in list(found.associations.items()):
        found.associations[ends] = OpenedAssociation(
            one.ends,
            one.context,
            one.mechanism,
            one.server_title,
            one.conformance,
            one.max_pdu_size,
            controls.get(ends),
        )


def _decoded(octets: bytes | None) -> Apdu | None:
    if octets is None:
        return None
    try:
        return apdu.decode(octets)
    except DecodeError:
        return None


def question(item: Item) -> tuple[object, ...]:
    """What makes two questions the same: object, number, selection, and what was given along."""
    if isinstance(item, Action):
        return item.descriptor, None if item.parameters is None else data.encode(item.parameters)
    selection = None if item.selection is None else (item.selection.selector, data.encode(item.selection.parameters))
    return item.descriptor, selection, data.encode(item.value) if isinstance(item, Set) else None
