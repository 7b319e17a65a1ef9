"""Which answer belongs to which request; what a request must say."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from ami_cim.codes import VERBS, Level, Verb, reply_codes
from ami_cim.correlation import correlates, demand_header, reply_header
from ami_cim.errors import CimError, InvalidMessage, LocalError
from ami_cim.message import Header
from ami_cim.payloads.opaque import OpaquePayload

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def test_the_reply_repeats_the_correlation_id_or_the_message_id(header: Header) -> None:
    reply = reply_header(header, message_id="new", timestamp=NOW, source="HES")
    assert (reply.verb, reply.noun, reply.message_id, reply.correlation_id) == (
        "reply",
        "EndDeviceControls",
        "new",
        "c-1",
    )
    without = replace(header, correlation_id=None)
    assert reply_header(without, message_id="new", timestamp=NOW).correlation_id == "m-1"
    nothing = replace(without, message_id=None)
    assert reply_header(nothing, message_id="new", timestamp=NOW).correlation_id == "new"
    assert reply_header(header, message_id="new", timestamp=NOW, verb=Verb.CREATED).verb == "created"


def test_either_id_is_a_match(header: Header) -> None:
    assert correlates(replace(header, correlation_id="c-1"), header)
    assert correlates(replace(header, correlation_id="m-1"), header)
    assert not correlates(replace(header, correlation_id="other"), header)
    assert not correlates(replace(header, correlation_id=None), replace(header, correlation_id=None))


def test_what_a_request_must_say(header: Header) -> None:
    demand_header(header)
    demand_header(replace(header, async_reply_flag=True, reply_address="http://h/"))
    for broken in (replace(header, message_id=None), replace(header, async_reply_flag=True)):
        with pytest.raises(InvalidMessage) as caught:
            demand_header(broken)
        assert caught.value.code == "1.5"


def test_the_table_of_codes() -> None:
    assert len(reply_codes()) == 60
    assert reply_codes()["4.1"].meaning == "Request timed out"
    assert reply_codes()["2.10"].category == "Parameter invalid"
    assert all(row.code and row.category and row.meaning for row in reply_codes().values())
    assert "1.1" not in reply_codes()


def test_verbs_and_levels() -> None:
    assert "canceled" in VERBS
    assert "cancelled" not in VERBS
    assert len(VERBS) == 14
    assert list(Level) == ["INFORM", "WARNING", "FATAL", "CATASTROPHIC"]


def test_errors_read_like_sentences() -> None:
    assert str(CimError("1.8", "No", "line 1")) == "No (line 1)"
    assert str(InvalidMessage("1.8", "No")) == "No"
    assert str(LocalError("No")) == "No"


def test_an_opaque_payload_does_not_show_its_content() -> None:
    assert "secret" not in repr(OpaquePayload("x", b"secret"))
