"""Requests that somebody else sends to the HES of the demo: shown with their end, counted beside the demo's own."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime

import pytest
import story

from ami_cli import plain_text
from ami_cli.demo_state import DemoState
from ami_cli.observed import KEPT

AT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


@pytest.fixture
def model() -> DemoState:
    return DemoState(meters=story.METERS, started_at=AT)


def hear(model: DemoState, *events: tuple[str, story.Event]) -> list[str]:
    """The lines that a person reads of these events."""
    return [plain_text.step(step) for role, event in events for step in model.apply(role, event, AT)]


def test_a_request_of_somebody_else_has_meters_an_end_and_its_own_count(model: DemoState) -> None:
    hear(model, ("hes", story.request_accepted("theirs")))
    (request,) = model.newest_first
    assert (request.status, request.what, request.meters) == ("RUNNING", "Disconnect", story.METERS)
    lines = hear(
        model,
        *(("hes", story.meter_done("theirs", story.DISCONNECT, meter)) for meter in story.METERS),
        ("hes", story.reply_sent("theirs")),
    )
    assert "other → HES" in lines[0]
    assert "HES → other" in lines[-1]
    assert "● OK" in lines[-1]
    assert (request.status, request.own, request.confirmed) == ("OK", False, story.METERS)
    total = model.summary()
    assert (total.requests, total.commands, total.running, total.others) == (0, 0, 0, {"OK": 1})
    assert "1 request of others: 1 OK" in plain_text.summary(total)


def test_a_refused_request_is_shown_with_its_reason(model: DemoState) -> None:
    (line,) = hear(model, ("hes", story.request_refused("theirs")))
    assert "refused" in line
    assert "2.4 No such meter M9" in line
    (request,) = model.newest_first
    assert (request.status, request.reasons, request.own) == ("FAILED", ("2.4 No such meter M9",), False)
    assert model.summary().others == {"FAILED": 1}
    assert model.summary().all_confirmed, "what others ask for wrongly is no failure of the demo"


def test_a_refused_request_may_be_asked_again_and_is_then_worked(model: DemoState) -> None:
    hear(model, ("hes", story.request_refused("theirs", "3.2", "Too many controls are waiting")))
    hear(model, ("hes", story.request_accepted("theirs")))
    assert model.newest_first[0].status == "RUNNING"
    hear(model, ("hes", story.reply_sent("theirs", "PARTIAL")))
    assert model.summary().others == {"PARTIAL": 1}


@pytest.mark.parametrize(
    "event", [story.request_refused(None), {"event": "request_unreadable", "code": "1.8", "reason": "No XML"}]
)
def test_what_has_no_message_id_is_shown_too(model: DemoState, event: story.Event) -> None:
    hear(model, ("hes", event), ("hes", event))
    assert [request.status for request in model.newest_first] == ["FAILED", "FAILED"]
    assert model.newest_first[0].reasons[0].startswith(("2.4", "1.8"))
    assert model.summary().others == {"FAILED": 2}


def test_the_demos_own_request_is_no_others_in_whatever_order_it_is_heard() -> None:
    told = [
        ("cis", story.request_sent("m", story.DISCONNECT, ("M1001",))),
        ("hes", story.request_accepted("m", story.DISCONNECT, ("M1001",))),
        ("hes", story.meter_done("m", story.DISCONNECT, "M1001")),
        ("hes", story.reply_sent("m")),
        ("cis", story.reply_received("m")),
    ]
    for order in itertools.permutations(told):
        model = DemoState(meters=story.METERS, started_at=AT)
        for role, event in order:
            model.apply(role, event, AT)
        total = model.summary()
        assert (total.requests, total.confirmed_commands, total.running, total.others) == (1, 1, 0, {})
        assert "other" not in {end for step in model.steps for end in (step.source, step.target)}


def test_somebody_who_uses_a_message_id_of_the_demo_again_does_not_change_its_outcome(model: DemoState) -> None:
    hear(
        model,
        ("cis", story.request_sent("m", story.DISCONNECT, ("M1001",))),
        ("hes", story.request_accepted("m", story.DISCONNECT, ("M1001",))),
        ("hes", story.request_refused("m", "2.15", "This MessageID was used before")),
        ("hes", story.meter_done("m", story.DISCONNECT, "M1001")),
        ("hes", story.reply_sent("m")),
        ("cis", story.reply_received("m")),
    )
    assert model.newest_first[0].fulfilled
    assert model.summary().others == {}


def test_the_reply_of_the_cis_decides_for_the_demos_own_request(model: DemoState) -> None:
    hear(model, ("cis", story.request_sent("m", story.DISCONNECT)), ("hes", story.request_accepted("m")))
    hear(model, ("hes", story.reply_sent("m")))
    assert (model.newest_first[0].status, model.finished) == ("RUNNING", 0), "sent is not yet received"


def test_requests_of_others_neither_end_a_demo_nor_fill_the_memory(model: DemoState) -> None:
    for number in range(3 * KEPT):
        hear(model, ("hes", story.request_accepted(f"theirs-{number}")))
        if number % 2:
            hear(model, ("hes", story.reply_sent(f"theirs-{number}")))
    assert len(model.requests) <= KEPT
    assert model.finished == 0
    assert sum(model.summary().others.values()) == 3 * KEPT
    assert model.summary().others["OK"] == 3 * KEPT // 2


def test_a_reply_that_cannot_be_delivered_is_said(model: DemoState) -> None:
    postponed = {"event": "reply_postponed", "message_id": "theirs", "reason": "Connection refused", "after_s": 5.0}
    postponed |= {"address": "http://127.0.0.1:1/", "attempts": 1}
    lines = hear(model, ("hes", story.request_accepted("theirs")), ("hes", postponed))
    assert "Connection refused" in lines[-1]
    assert model.newest_first[0].status == "RUNNING"
    for meter in story.METERS:
        hear(model, ("hes", story.meter_done("theirs", story.DISCONNECT, meter)))
    hear(model, ("hes", postponed))
    assert model.newest_first[0].status == "OK", "the work is done, whoever hears of it"
    assert model.newest_first[0].confirmed == story.METERS
    (line,) = hear(model, ("hes", postponed | {"event": "reply_dead_letter"}))
    assert "reply given up" in line
    assert model.newest_first[0].status == "FAILED"
    assert model.summary().others == {"FAILED": 1}


def test_what_the_entrance_does_not_let_in_is_shown(model: DemoState) -> None:
    (line,) = hear(model, ("hes", {"event": "request_refused", "status": 403, "reason": "the Origin is foreign"}))
    assert "403 the Origin is foreign" in line
    assert model.summary().others == {"FAILED": 1}


def test_work_that_the_head_end_begins_by_itself_comes_to_an_end_too(model: DemoState) -> None:
    """Of a campaign and of the run of a schedule no request is accepted and no reply is sent: their meters say how they end."""
    done = {"operation": "read_event_logs", "details": {"entries": 4, "logs": 2}}
    hear(model, ("hes", {"event": "campaign_begun", "campaign": "c-1", "summary": "event logs", "meters": 2}))
    assert model.newest_first[0].status == "RUNNING"
    hear(model, ("hes", story.meter_done("c-1", "", "M1001") | done))
    lines = hear(
        model, ("hes", story.meter_done("c-1", "", "M1002", ok=False, reply_code="5.7", reason="silence") | done)
    )
    (request,) = model.newest_first
    assert (request.status, request.what, request.sender) == ("PARTIAL", "event logs", "HES")
    assert "▲ FAILED" in lines[-1] and "5.7 silence" in lines[-1]
    read = {"operation": "read_meter", "details": {"values": 4, "not_read": []}}
    hear(model, ("hes", story.meter_done("run-1", "", "M1001") | read))
    assert [(one.status, one.what) for one in model.newest_first] == [("OK", "Read"), ("PARTIAL", "event logs")]
    assert model.summary().others == {"OK": 1, "PARTIAL": 1}


def test_an_event_that_a_subscriber_took_is_no_request(model: DemoState) -> None:
    taken = story.reply_sent("event-1", asynchronous=True) | {"result": None}
    assert hear(model, ("hes", taken)) != []
    postponed = {"message_id": "event-2", "reason": "Connection refused", "after_s": 5.0, "attempts": 1}
    postponed |= {"event": "reply_postponed", "address": "http://127.0.0.1:1/"}
    (line,) = hear(model, ("hes", postponed))
    assert "Connection refused" in line
    (line,) = hear(model, ("hes", postponed | {"event": "reply_dead_letter"}))
    assert "given up" in line
    assert model.newest_first == []
    assert model.summary().others == {}


def test_a_message_that_takes_too_much_to_read_is_refused(model: DemoState) -> None:
    hear(model, ("hes", {"event": "request_too_costly", "reason": "it took more than 60 s"}))
    assert model.newest_first[0].status == "FAILED"
    assert "60 s" in model.newest_first[0].reasons[0]


def test_an_order_of_somebody_else_that_is_refused_ends_with_its_reason(model: DemoState) -> None:
    """Of master data and schedules, which no meter is asked for: accepted, refused, answered."""
    accepted = story.request_accepted("theirs", "", ()) | {"verb": "create", "noun": "MeterConfig"}
    hear(model, ("hes", accepted), ("hes", story.request_refused("theirs")))
    hear(model, ("hes", story.reply_sent("theirs", "FAILED")))
    (request,) = model.newest_first
    assert (request.status, request.what, request.size) == ("FAILED", "create MeterConfig", 0)
    assert request.reasons == ("2.4 No such meter M9",)
