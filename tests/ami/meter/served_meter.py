"""A meter of the protocol core on a real socket, with abilities that no simulated meter has; it counts what it is asked."""

from __future__ import annotations

import secrets
import socket
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace

from ami_dlms import data
from ami_dlms.apdu import Apdu
from ami_dlms.apdu import encode as encode_apdu
from ami_dlms.association import (
    SERVER_CONFORMANCE,
    Action,
    ActionOutcome,
    Answer,
    AssociationProfile,
    AttributeAccess,
    Get,
    ItemResult,
    Requested,
    ServerConnection,
    Set,
    lookup_among,
)
from ami_dlms.cosem.descriptors import AttributeDescriptor, MethodDescriptor
from ami_dlms.data import Data
from ami_dlms.enums import ActionResult, Conformance, DataAccessResult
from ami_dlms.framing import wrapper
from ami_dlms.obis import Obis

WITH_LISTS = SERVER_CONFORMANCE | Conformance.MULTIPLE_REFERENCES
Refuse = Callable[[int, int], Apdu | None]
"""Gets the number of the list, beginning with 1, and its invoke id; what it is answered with, None to serve it."""
READ, WRITE = AttributeAccess.READ, AttributeAccess.WRITE


@dataclass
class Meter:
    """Values by attribute; methods that exist do nothing and return what they were given."""

    values: dict[AttributeDescriptor, Data]
    methods: frozenset[MethodDescriptor] = frozenset()
    refuse: Refuse = lambda number, invoke: None
    requests: Counter[str] = field(default_factory=Counter)

    def attribute(self, descriptor: AttributeDescriptor) -> AttributeAccess | None:
        place = descriptor.class_id, descriptor.instance_id
        if all((one.class_id, one.instance_id) != place for one in self.values):
            return None
        return READ | WRITE if descriptor in self.values else AttributeAccess.NONE

    def method(self, descriptor: MethodDescriptor) -> bool | None:
        return descriptor in self.methods

    def carry_out(self, item: Get | Set | Action) -> ItemResult:
        if isinstance(item, Get):
            return self.values[item.descriptor]
        if isinstance(item, Action):
            return ActionOutcome(ActionResult.SUCCESS, item.parameters)
        self.values[item.descriptor] = item.value
        return DataAccessResult.SUCCESS

    def answer(self, event: object) -> Answer | None:
        """The application's answer to an event, None when it wants none."""
        return Answer(event.key, tuple(map(self.carry_out, event.items))) if isinstance(event, Requested) else None

    def refusal(self, pdu: wrapper.WrapperPdu) -> bytes:
        """Octets that answer this instead of the protocol core; none when that serves it."""
        self.requests[pdu.apdu[:2].hex()] += 1
        if pdu.apdu[:2] != b"\xc0\x03":
            return b""
        answer = self.refuse(self.requests["c003"], pdu.apdu[2])
        if answer is None:
            return b""
        return wrapper.encode(wrapper.WrapperPdu(pdu.destination, pdu.source, encode_apdu(answer)))

    @property
    def gets(self) -> int:
        """How many requests to read there were, the blocks of long answers too."""
        return sum(number for name, number in self.requests.items() if name.startswith(("c0", "05")))


def profile(meter: Meter, **change: object) -> AssociationProfile:
    """Client 1 of logical device 1, without security unless that is changed."""
    plain = AssociationProfile(client_wport=1, server_wport=1, access=meter, conformance=WITH_LISTS)
    return replace(plain, **change)  # type: ignore[arg-type]


def object_list(values: Mapping[AttributeDescriptor, Data], version: int = 0) -> Data:
    """The object list with logical names; everything may be read and written."""

    def right(number: int) -> Data:
        return data.structure(data.integer(number), data.enum(3), data.null())

    places: dict[tuple[int, Obis], list[int]] = {}
    for one in values:
        places.setdefault((one.class_id, one.instance_id), []).append(one.attribute_id)
    return data.array(
        *(
            data.structure(
                data.long_unsigned(class_id),
                data.unsigned(version),
                data.octet_string(obis),
                data.structure(data.array(*map(right, numbers)), data.array()),
            )
            for (class_id, obis), numbers in places.items()
        )
    )


@contextmanager
def served(meter: Meter, *profiles: AssociationProfile) -> Iterator[int]:
    """The port; one connection after the other."""
    profile_of = lookup_among(*profiles or (profile(meter),))

    def talk(near: socket.socket) -> None:
        connection, frames = ServerConnection(profile_of, random_bytes=secrets.token_bytes), wrapper.Deframer()
        while octets := near.recv(65536):
            frames.receive_data(octets)
            while (pdu := frames.next_pdu()) is not None:
                if refusal := meter.refusal(pdu):
                    near.sendall(refusal)
                    continue
                connection.receive_data(wrapper.encode(pdu))
                while (event := connection.next_event()) is not None:
                    if (answer := meter.answer(event)) is not None:
                        near.sendall(connection.send(answer))
                near.sendall(connection.data_to_send())

    with socket.create_server(("127.0.0.1", 0)) as door:
        over = threading.Event()

        def serve() -> None:
            while True:
                near, _ = door.accept()
                with near, suppress(ConnectionError):  # a client may be killed amid a request
                    if over.is_set():
                        return
                    talk(near)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        port = door.getsockname()[1]
        yield port
        over.set()
        with socket.create_connection(("127.0.0.1", port)):
            thread.join(10)
        assert not thread.is_alive()
