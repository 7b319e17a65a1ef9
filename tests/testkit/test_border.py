"""Each fault of the border happens on real sockets, to a client that is naive in just that, and is caught by what the kit knows."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from datetime import timedelta

import httpx
import pytest
from naive import NaiveClient
from patience import PATIENCE_S

from ami_testkit import KitError, Message, System, ami
from ami_testkit.border import KINDS, Leg
from ami_testkit.http import place_of
from ami_testkit.waiting import Arrivals

ACTION, DISCONNECT_CONTROL = b"\xc3\x01", (70).to_bytes(2, "big")
"""How an action-request-normal begins, and the class behind its invoke-id-and-priority."""
METERS = ["M1001", "M1002", "M1003", "M1004"]


@pytest.fixture(scope="module")
def running() -> Iterator[System]:
    with ami(meters=4, seed=7, replies_to="http://127.0.0.1:9/nobody") as system:
        yield system


@pytest.fixture
def system(running: System) -> System:
    running.reset()
    return running


@pytest.fixture
def client(system: System) -> Iterator[NaiveClient]:
    one = NaiveClient(system)
    yield one
    system.border.reset()
    one.close()


def is_reply(message: Message) -> bool:
    return message.is_reply


def late(system: System, client: NaiveClient) -> None:
    """It says that nothing was done, and the meter has switched."""
    fault = system.border.fault("late", on="answer", verb="reply")
    assert not client.switched("M1001", limit_s=0.5)
    fault.wait(within=PATIENCE_S)
    system.expect.switch("M1001", connected=False)


def never(system: System, client: NaiveClient) -> None:
    """It has no limit of its own, and waits for as long as the connection is there."""
    fault = system.border.fault("never", on="answer")
    waiting = threading.Thread(target=pytest.raises, args=(Exception, client.values, METERS), daemon=True)
    waiting.start()
    fault.wait(within=PATIENCE_S)
    waiting.join(0.2)
    assert waiting.is_alive() and system.journal.messages[-1].went is None
    system.border.reset()
    waiting.join(PATIENCE_S)
    assert not waiting.is_alive()


def twice(system: System, client: NaiveClient) -> None:
    """One order has two replies for it."""
    system.border.fault("twice", on="reply", noun="MeterReadings")
    order = client.reading(["M1001"], later=True)
    client.post(order)
    replies = client.take(2, is_reply)
    assert [one.correlation_id for one in replies] == [order.message_id] * 2


def out_of_order(system: System, client: NaiveClient) -> None:
    """The first reply is for the first order: so the first meter gets the value of the second."""
    fault = system.border.fault("out-of-order", on="reply")
    orders = [client.reading([name], later=True) for name in METERS[:2]]
    client.post(orders[0])
    fault.wait(within=PATIENCE_S)
    client.post(orders[1])
    believed = dict(zip(METERS, client.take(2, is_reply), strict=False))
    assert {name: one.readings[0].meter for name, one in believed.items()} == {"M1001": "M1002", "M1002": "M1001"}


def wrong_correlation(system: System, client: NaiveClient) -> None:
    """It takes a reply that is for nothing that was asked."""
    system.border.fault("wrong-correlation", on="reply")
    order = client.reading(["M1001"], later=True)
    client.post(order)
    (believed,) = client.take(1, is_reply)
    assert believed.correlation_id not in {one.message_id for one in system.journal.requests}
    assert believed.readings and believed.schema_problem is None, "and everything else is right"


def wrong_noun(system: System, client: NaiveClient) -> None:
    """It finds values in what says that it is something else."""
    system.border.fault("wrong-noun", on="answer")
    assert len(client.values(METERS)) == len(METERS)
    went = system.journal.messages[-1].went
    assert went is not None and went.noun == "UsagePointConfig"


def wrong_verb(system: System, client: NaiveClient) -> None:
    """It keeps an event that is said to be none any more."""
    system.border.fault("wrong-verb", on="event", noun="EndDeviceEvents")
    client.switched("M1001", PATIENCE_S)
    (believed, *_) = client.take(1, lambda one: bool(one.device_events))
    assert believed.verb == "deleted" and believed.device_events[0].code == "3.31.0.68"


def partial(system: System, client: NaiveClient) -> None:
    """HTTP said 200, so both were done."""
    system.border.fault("partial", on="answer", failed="M1002")
    assert client.switched("M1002", PATIENCE_S)
    went = system.journal.messages[-1].went
    assert went is not None and went.schema_problem is None
    went.expect(result="PARTIAL", codes={"M1002": "4.1"})


def malformed(system: System, client: NaiveClient) -> None:
    """It has read values out of what is no XML."""
    system.border.fault("malformed", on="answer")
    assert len(client.values(METERS)) == len(METERS)
    went = system.journal.messages[-1].went
    assert went is not None and went.problem is not None


def oversized(system: System, client: NaiveClient) -> None:
    """It has taken all of it."""
    system.border.fault("oversized", on="reply", octets=9_000_000)
    client.post(client.reading(["M1001"], later=True))
    (believed,) = client.take(1)
    assert len(believed.octets) == 9_000_000


def slow(system: System, client: NaiveClient) -> None:
    """While one reply trickles in, no other is taken."""
    fault = system.border.fault("slow", on="reply", pause_s=60, first=1)
    client.post(client.reading(["M1001"], later=True))
    fault.wait(within=PATIENCE_S)
    other = client.reading(["M1002"], later=True)
    client.post(other)
    is_other = system.border.passed.wait(
        lambda all_of: next(
            (one for one in all_of if one.leg == "reply" and one.came.correlation_id == other.message_id), None
        ),
        PATIENCE_S,
    )
    assert is_other is not None and is_other.faults == ()
    with client.more:
        assert not client.more.wait_for(lambda: client.taken, 0.3)


def http_500(system: System, client: NaiveClient) -> None:
    """One order was carried out twice, under two MessageIDs."""
    system.border.fault("http-500", on="answer", first=1)
    assert client.switched_for_sure("M1001") == 2
    assert len({one.message_id for one in system.journal.requests}) == 2
    switching = [one for one in system.journal.apdus(meter="M1001") if (one.clear or b"").startswith(ACTION)]
    assert [one.clear[3:5] for one in switching if one.clear].count(DISCONNECT_CONTROL) == 2


def http_503(system: System, client: NaiveClient) -> None:
    """It was told to come back in a minute, and came back three times at once."""
    system.border.fault("http-503", on="request", first=3, retry_after_s=60)
    assert client.switched_for_sure("M1001") == 4
    assert [one.went is None for one in system.journal.messages if one.leg == "request"] == [True] * 3 + [False]


def cut(system: System, client: NaiveClient) -> None:
    """It takes what there was for all."""
    system.border.fault("cut", on="answer")
    assert 0 < len(client.values(METERS)) < len(METERS)


def wrong_namespace(system: System, client: NaiveClient) -> None:
    """It finds no error, so there is none."""
    system.border.fault("wrong-namespace", on="answer")
    assert client.says_ok(["M1001", "M9"])
    assert system.journal.messages[-1].came.codes == {"M9": "2.4"}
    system.border.faults[0].remove()
    assert not client.says_ok(["M1001", "M9"])


def edit(system: System, client: NaiveClient) -> None:
    """It believes any number; by an XPath, and by a function."""
    value = system.border.fault("edit", on="answer", select="//*[local-name()='value']", text="-17")
    assert client.values(["M1001"]) == ["-17"]
    value.remove()
    system.border.edit(lambda one: one.octets.replace(b"<value>", b"<value>9"), on="answer", meter="M1002")
    assert client.values(["M1002"])[0].startswith("9") and not client.values(["M1001"])[0].startswith("9")


CAUGHT: dict[str, Callable[[System, NaiveClient], None]] = {
    one.__name__.replace("_", "-"): one
    for one in (
        *(late, never, twice, out_of_order, wrong_correlation, wrong_noun, wrong_verb, partial, malformed, oversized),
        *(slow, http_500, http_503, cut, wrong_namespace, edit),
    )
}


@pytest.mark.parametrize("name", CAUGHT)
def test_a_naive_client_is_caught(name: str, system: System, client: NaiveClient) -> None:
    CAUGHT[name](system, client)


def test_values_of_a_meter_that_has_failed_are_gone(system: System) -> None:
    system.border.fault("partial", on="answer", failed="M1002", code="5.3")
    answer = system.hes.read(METERS[:3])
    answer.expect(result="PARTIAL", codes={"M1002": "5.3"})
    assert [one.meter for one in answer.readings] == ["M1001", "M1003"] and answer.schema_problem is None


def test_each_fault_has_its_naive_client() -> None:
    assert set(KINDS) == {*CAUGHT, "tls"}


def test_on_the_way_there_nothing_is_done_and_the_head_end_says_what_it_does_not_take(system: System) -> None:
    """Faults of requests: what the head-end makes of them."""
    order = system.hes.order("disconnect", ["M1001"])
    for name in ("malformed", "wrong-noun", "wrong-verb", "oversized"):
        fault = system.border.fault(name, on="request")
        assert system.hes.send(order).is_fault, name
        fault.remove()
    with pytest.raises(httpx.HTTPError):
        system.border.fault("cut", on="request", first=1)
        system.hes.send(order)
    system.expect.switch("M1001", connected=True)
    system.border.fault("twice", on="request", first=1)
    system.hes.send(order).expect(result="OK", codes={})
    system.expect.switch("M1001", connected=False)
    assert len(system.hes.rest.get("/api/v1/requests/" + str(order.message_id))["commands"]) == 1, "it was done once"


def test_the_head_end_brings_a_reply_again_whose_receipt_was_lost(system: System, client: NaiveClient) -> None:
    """The client has it and the head-end does not know: the clock has to move until it asks again."""
    fault = system.border.fault("http-503", on="receipt", first=1)
    order = client.reading(["M1001"], later=True)
    client.post(order)
    fault.wait(within=PATIENCE_S)
    system.clock.advance_until(lambda: len(client.taken) >= 2, most=timedelta(days=3))
    assert {one.correlation_id for one in client.taken if one.is_reply} == {order.message_id}


def test_the_description_of_the_service_names_the_border(system: System) -> None:
    text = httpx.get(f"{system.hes.url}/cim/GetMeterReadings?wsdl", timeout=PATIENCE_S).text
    assert f'location="{system.hes.url}/cim/GetMeterReadings"' in text
    assert httpx.get(f"{system.hes.url}/api/v1/jobs", timeout=PATIENCE_S).status_code == 404


def test_a_client_that_looks_at_no_certificate_is_caught_and_the_head_end_is_not() -> None:
    """Of each wrong certificate; and late replies wait until the border has a right one again."""
    with ami(meters=1, tls=True) as system:
        client = NaiveClient(system)
        system.hes.read(["M1001"]).expect(result="OK")
        for how in ("expired", "wrong-name", "unknown-issuer", "handshake"):
            fault = system.border.fault("tls", on="request", how=how)
            with pytest.raises(httpx.ConnectError):
                system.hes.read(["M1001"])
            if how != "handshake":
                assert client.over_any_tls() == 200
            fault.remove()
        wrong = system.border.fault("tls", on="reply", how="expired")
        system.hes.send(client.reading(["M1001"], later=True))
        wrong.wait(within=PATIENCE_S)
        assert client.taken == []
        wrong.remove()
        system.clock.advance_until(lambda: bool(client.taken), most=timedelta(days=3))
        client.close()


def test_conditions_and_chance_choose_the_messages(system: System) -> None:
    """Without sockets: what is chosen of a row of messages."""
    reads = [system.hes.reading([name]) for name in METERS]
    rows: list[tuple[dict[str, object], list[int]]] = [
        ({"meter": "M1002"}, [1]),
        ({"noun": "MeterReadings", "skip": 1, "first": 2}, [1, 2]),
        ({"noun": "EndDeviceControls"}, []),
        ({"verb": "create"}, []),
        ({"xpath": "//*[local-name()='name']='M1003'"}, [2]),
        ({"since": system.clock.now + timedelta(hours=1)}, []),
        ({"until": system.clock.now + timedelta(hours=1)}, [0, 1, 2, 3]),
    ]
    for conditions, expected in rows:
        fault = system.border.fault("never", on="request", **conditions)  # type: ignore[arg-type]
        now = system.clock.now
        assert [place for place, one in enumerate(reads) if fault.chosen(one, now)] == expected, conditions
        assert fault.happened == len(expected)
        fault.remove()
    drawn = []
    for seed in (1, 1, 2):
        fault = system.border.fault("twice", on="request", probability=0.5, seed=seed)
        drawn.append([fault.chosen(reads[0], system.clock.now) for _ in range(200)])
        fault.remove()
    assert drawn[0] == drawn[1] != drawn[2] and 60 < sum(drawn[0]) < 140


def test_an_edit_that_fails_says_so_where_the_test_waits_for_it(system: System) -> None:
    fault = system.border.edit(lambda one: one.octets[:"no number"], on="answer")  # type: ignore[misc]
    with pytest.raises(httpx.HTTPError):
        system.hes.read(["M1001"])
    with pytest.raises(AssertionError, match="the function of this edit failed: TypeError"):
        fault.wait()


def test_what_only_a_message_shows_to_be_wrong_is_said_where_the_test_waits_for_it(system: System) -> None:
    unseen = system.border.fault("never", on="answer", xpath="//m:Noun[q:none]")
    system.hes.read(["M1001"])
    with pytest.raises(AssertionError, match="never on answer failed: XPathEvalError"):
        unseen.wait()
    assert "Undefined namespace prefix" in unseen.described()["problem"] and unseen.happened == 0
    unseen.remove()
    fault = system.border.fault("edit", on="answer", select="//m:Noun[q:none]", text="x")
    with pytest.raises(httpx.HTTPError):
        system.hes.read(["M1001"])
    with pytest.raises(AssertionError, match="edit on answer failed: XPathEvalError"):
        fault.wait()


def test_what_is_looked_for_at_length_keeps_nothing_from_coming() -> None:
    """A message comes while a look is under way, and is seen by the next one."""
    came: Arrivals[int] = Arrivals(lambda one: 1)
    came.add(1)

    def find(there: list[int]) -> list[int] | None:
        if len(there) == 1:
            adding = threading.Thread(target=came.add, args=[2])
            adding.start()
            adding.join(PATIENCE_S)
            assert not adding.is_alive()
        return there if len(there) == 2 else None

    assert came.wait(find, PATIENCE_S) == [1, 2]
    assert came.wait(lambda _: None, 0) is None


def test_a_receiver_is_an_address_of_http(system: System) -> None:
    assert place_of("http://cis.example/cim") == ("cis.example", 80)
    assert place_of("https://[::1]:9000") == ("::1", 9000) and place_of("https://cis.example")[1] == 443
    for url in ("cis.example:9000", "ftp://cis.example", "http://", "http://cis.example:port"):
        with pytest.raises(KitError, match=r"is no URL of http or https"):
            system.border.deliver_to(url)


def test_what_can_not_be_set_is_refused_with_what_there_is(system: System) -> None:
    for name, leg, parameters, said in (
        ("tiwce", "reply", {}, "there is no fault 'tiwce' of the border; there are late, never"),
        ("twice", "answer", {}, "twice can't happen on='answer'; it can on request, reply, event"),
        ("twice", "sideways", {}, "'twice': on:"),
        ("late", "reply", {"minutes": 3}, "'late': minutes: Extra inputs"),
        ("late", "reply", {"probability": 0}, "'late': probability:"),
        ("partial", "reply", {}, "'partial': failed: Field required"),
        ("edit", "reply", {}, "edit needs select"),
        ("edit", "reply", {"select": "//["}, "Invalid expression in an XPath"),
        ("never", "reply", {"xpath": "//["}, "Invalid expression in an XPath"),
        ("edit", "reply", {"select": "//p:MeterReading"}, "Undefined namespace prefix in an XPath"),
        ("never", "reply", {"xpath": "//q:MeterReading"}, "Undefined namespace prefix in an XPath"),
        ("never", "reply", {"xpath": "upper-case(//m:Noun)"}, "Unregistered function in an XPath"),
        (
            "edit",
            "reply",
            {"select": "//m:Noun", "text": "a\x00b"},
            "'edit': text: has characters that XML does not allow",
        ),
        ("wrong-noun", "reply", {"says": "a\x1bb"}, "'wrong-noun': says: has characters that XML does not allow"),
        ("partial", "reply", {"failed": "M1001", "reason": "\x07"}, "'partial': reason: has characters that XML"),
        ("tls", "reply", {}, "needs a border with https"),
    ):
        with pytest.raises(KitError, match=said):
            system.border.fault(name, on=leg, **parameters)  # type: ignore[arg-type]
    assert system.border.faults == [] and set(Leg) == {"request", "answer", "reply", "event", "receipt"}
