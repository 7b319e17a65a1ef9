"""The MessageID as the id of a trace, and `traceparent` as its sender may have written it."""

from __future__ import annotations

from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ami_hes.traces.trace_ids import (
    SpanPlace,
    format_traceparent,
    parse_traceparent,
    request_span,
    span_id,
    trace_id,
)

UUID_TEXT = "0af76519-16cd-43dd-8448-eb211c80319c"
TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"


def test_a_uuid_is_the_trace_itself_in_whatever_form() -> None:
    for text in (UUID_TEXT, UUID_TEXT.upper(), f"urn:uuid:{UUID_TEXT}", TRACE):
        assert trace_id(text) == UUID(UUID_TEXT).int


@given(st.text(max_size=80), st.lists(st.text(max_size=20), max_size=3))
def test_any_words_have_an_id_that_a_collector_takes(message_id: str, what: list[str]) -> None:
    assert 0 < trace_id(message_id) < 2**128
    assert 0 < span_id(message_id, *what) < 2**64
    assert parse_traceparent(format_traceparent(message_id)) == SpanPlace(
        trace_id(message_id), request_span(message_id)
    )


def test_what_is_no_uuid_has_an_id_of_its_own() -> None:
    names = ["2026-11-04/17", "2026-11-04/18", "", str(UUID(int=0))]
    assert len({trace_id(one) for one in names}) == len(names)
    assert span_id("a", "b", "c") != span_id("a", "bc")


@pytest.mark.parametrize(
    "value",
    [
        None,
        "",
        "00",
        f"00-{TRACE}-{SPAN}",
        f"00-{TRACE}-{SPAN}-01-more",
        f"ff-{TRACE}-{SPAN}-01",
        f"00-{'0' * 32}-{SPAN}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"00-{TRACE.upper()}-{SPAN}-01",
        f"00-{TRACE}-{SPAN}-01\n00",
        f"01-{TRACE}-{SPAN}-01-{'x' * 300}",
    ],
)
def test_what_is_no_traceparent_is_none(value: str | None) -> None:
    assert parse_traceparent(value) is None


@pytest.mark.parametrize("value", [f"00-{TRACE}-{SPAN}-01", f" 00-{TRACE}-{SPAN}-00\n", f"01-{TRACE}-{SPAN}-03-later"])
def test_a_traceparent_is_read(value: str) -> None:
    assert parse_traceparent(value) == SpanPlace(int(TRACE, 16), int(SPAN, 16))
