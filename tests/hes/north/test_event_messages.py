"""Messages to subscribers: what makes none alone keeps nothing else back."""

from __future__ import annotations

from collections.abc import Sequence

from stored_values import NOW

from ami_cim.errors import InvalidMessage
from ami_hes.schedules import EventHead, written


def test_one_that_is_not_valid_keeps_the_others_of_its_message_not_back() -> None:
    lost: list[int] = []

    def write(some: Sequence[int]) -> tuple[EventHead, bytes]:
        if {13, 77} & set(some):
            raise InvalidMessage("1.8", "it would not be valid")
        message_id = "-".join(map(str, some))
        return EventHead(verb="created", noun="N", message_id=message_id, source="HES", at=NOW), bytes(some)

    messages = [octets for _, octets in written(range(100), write, lambda one, _: lost.append(one))]
    assert lost == [13, 77]
    assert b"".join(messages) == bytes(one for one in range(100) if one not in (13, 77)), "each once, in their order"
    assert len(messages) < 15
    assert [octets for _, octets in written([1, 2], write, lambda one, _: lost.append(one))] == [b"\x01\x02"]
