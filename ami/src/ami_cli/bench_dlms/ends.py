"""What answers and what asks in the round trips: objects that take octets and give octets, whatever carries them."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count
from typing import Protocol

from ami_cli.bench_dlms import samples
from ami_dlms.association import Answer, Get, GetResult, Open, Opened, Requested

CIPHERED_REQUEST_OCTETS = 8 + 10 + 1 + 5 + 13 + 12
CIPHERED_RESPONSE_OCTETS = 8 + 10 + 1 + 5 + 9 + 12


class DlmsBenchError(Exception):
    """The figure would not be honest; the text says why."""


class Answering(Protocol):
    """The served side of one connection."""

    def receive(self, octets: bytes) -> bytes:
        """What to write."""


class Asking(Protocol):
    """The asking side of one connection; it asks again as soon as it has its answer."""

    answered: int

    def first(self) -> bytes:
        """What to write first."""

    def receive(self, octets: bytes) -> bytes:
        """What to write."""


class Echo:
    """As many octets as a ciphered answer has."""

    answer = bytes(CIPHERED_RESPONSE_OCTETS)

    def receive(self, octets: bytes) -> bytes:
        return self.answer


class EchoAsking:
    """As many octets as a ciphered request has."""

    request = bytes(CIPHERED_REQUEST_OCTETS)

    def __init__(self) -> None:
        self.answered = 0

    def first(self) -> bytes:
        return self.request

    def receive(self, octets: bytes) -> bytes:
        self.answered += 1
        return self.request


class BenchMeter:
    """A meter of the `dlms` package."""

    def __init__(self, number: int) -> None:
        self._connection = samples.server(number)

    def receive(self, octets: bytes) -> bytes:
        connection = self._connection
        connection.receive_data(octets)
        answer = b""
        while (event := connection.next_event()) is not None:
            if isinstance(event, Requested):
                answer += connection.send(Answer(event.key, (samples.ENERGY_VALUE,)))
        return connection.data_to_send() + answer


class ReadingClient:
    """A client of the `dlms` package: opens its association, then reads one value over and over."""

    request = Get(samples.ENERGY)
    expected = GetResult(samples.ENERGY_VALUE, result=samples.SUCCESS)

    def __init__(self, number: int) -> None:
        self._connection = samples.client(number)
        self.answered = 0

    def first(self) -> bytes:
        return self._connection.send(Open())

    def receive(self, octets: bytes) -> bytes:
        connection = self._connection
        connection.receive_data(octets)
        event = connection.next_event()
        if event is None:
            return connection.data_to_send()
        if isinstance(event, GetResult):
            self.answered += 1
            if event != self.expected:
                raise DlmsBenchError(f"a wrong answer: {event}")
        elif not isinstance(event, Opened):
            raise DlmsBenchError(f"not an answer: {event}")
        return connection.data_to_send() + connection.send(self.request)


_numbers = count(1)
ANSWERING: dict[str, Callable[[], Answering]] = {"echo": Echo, "meter": lambda: BenchMeter(next(_numbers))}
ASKING: dict[str, Callable[[], Asking]] = {"echo": EchoAsking, "meter": lambda: ReadingClient(next(_numbers))}
