"""The guard against mass switching: limits in a sliding hour, approval by a second person, protected meters, the stop of all controls."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from north_bench import (
    CONNECT,
    DISCONNECT,
    GENERIC,
    Cis,
    North,
    StandIn,
    control,
    entries,
    north,
    octets,
    request,
    texts,
)
from patience import PATIENCE_S
from sqlalchemy import Connection
from stored_values import NOW, a_request, some_commands

from ami_cim.control_parameters import KeyChange
from ami_cim.message import RequestMessage, ResponseMessage
from ami_cim.payloads.operation_set import Operation, OperationSet
from ami_hes.askers import Asker
from ami_hes.audit import Chain, Link, MetersOf, follow
from ami_hes.commands import Command, MeterId
from ami_hes.enums import ApprovalOf, ApprovalState, Guarded
from ami_hes.guard import OPERATIONS, RECIPES, Approvals, ControlStop, book, guarded_by, kind_of_control
from ami_hes.operations import change_key, commission, contactor, long_controls, transfer_firmware
from ami_hes.operations import control as recipes
from ami_hes.served import OPERATIONS as SERVED
from ami_hes.store import (
    ControlsStopped,
    Database,
    Gate,
    LimitReached,
    SqlAudit,
    SqlGuard,
    SqlResults,
    Stop,
    StoredAnswer,
    StoredApproval,
    StoreUnavailable,
    Use,
)
from ami_hes.store.results import _accept
from ami_mapping.controls import CONTROLS, SWITCH
from ami_process.clocks import SteppedClock
from ami_process.environment import Environment
from ami_process.store.places import Place, engine_of

START = datetime(2026, 11, 20, 12, tzinfo=UTC)
FEW = {"disconnects": {"per_principal": 2, "in_all": 3}}
TOKENS = ("a" * 40, "b" * 40)
CLASSES = {
    "disconnect": Guarded.DISCONNECTS,
    "limit-set": Guarded.LOAD_LIMITS,
    "emergency-limit-set": Guarded.LOAD_LIMITS,
    "key-change": Guarded.KEYS,
    "firmware-activate": Guarded.FIRMWARE,
}


# --- the tables


def test_every_operation_and_every_control_is_of_a_kind() -> None:
    """What is served and has no row here is a way around the guard."""
    assert OPERATIONS.keys() == SERVED.keys()
    assert RECIPES.keys() | {SWITCH} == {row.recipe for row in CONTROLS.values()}
    assert {row.name: kind_of_control(row) for row in CONTROLS.values()} == {
        row.name: CLASSES.get(row.name) for row in CONTROLS.values()
    }


def test_what_changes_no_meter_has_no_limit_and_what_has_one_is_stopped() -> None:
    meter = MeterId("M1", "1")
    bodies = {contactor.NAME: [DISCONNECT], recipes.NAME: [], long_controls.NAME: []}
    for row in CONTROLS.values():
        if not row.is_switch:
            bodies[long_controls.NAME if row.is_long else recipes.NAME].append(recipes.format_body(row))
    for name, operation in SERVED.items():
        kinds = {guarded_by(Command("r", meter, name, body)) for body in bodies.get(name, [""])}
        assert operation.acts or kinds == {None}, f"{name} has a limit and is not stopped"
    assert guarded_by(Command("r", meter, change_key.NAME, "encryption_key")) is Guarded.KEYS
    assert guarded_by(Command("r", meter, commission.NAME, "{}")) is Guarded.KEYS
    assert guarded_by(Command("r", meter, transfer_firmware.NAME, "{}")) is Guarded.FIRMWARE
    assert guarded_by(Command("r", meter, "of a later version", "")) is Guarded.DISCONNECTS
    assert guarded_by(Command("r", meter, contactor.NAME, "of a later version")) is Guarded.DISCONNECTS


# --- the store


def a_gate(meters: int, limit: int = 50, scope: str = "all", **more: Any) -> Gate:
    uses = (Use("disconnects", scope, meters, limit),)
    return Gate(**({"uses": uses, "since": NOW - timedelta(hours=1)} | more))


async def test_what_is_beyond_a_limit_is_not_kept_and_uses_nothing(place: Place) -> None:
    async with Database(place) as database:
        results, guard = SqlResults(database), SqlGuard(database)
        since = NOW - timedelta(hours=1)
        await results.accept(a_request("r1", principal="CIS"), some_commands("r1", "M1"), gate=a_gate(30))
        with pytest.raises(LimitReached) as beyond:
            await results.accept(a_request("r2", principal="CIS"), some_commands("r2", "M1"), gate=a_gate(21))
        assert (beyond.value.used, beyond.value.use.meters) == (30, 21)
        assert await results.find("r2") is None and await guard.used(since) == {("disconnects", "all"): 30}
        again = await results.accept(a_request("r1", principal="CIS"), some_commands("r1", "M1"), gate=a_gate(30))
        assert again is not None and await guard.used(since) == {("disconnects", "all"): 30}
        await results.accept(a_request("r2", principal="CIS"), some_commands("r2", "M1"), gate=a_gate(20))
        later = NOW + timedelta(minutes=61)
        hour_later = a_gate(50, since=later - timedelta(hours=1))
        await results.accept(a_request("r3", accepted_at=later), some_commands("r3", "M1"), gate=hour_later)
        page = await SqlAudit(database).page(0, 99)
        assert follow(page.links, page.chain).is_whole


@pytest.mark.needs("postgresql")
async def test_of_two_processes_one_passes_and_the_other_is_refused(postgresql) -> None:  # type: ignore[no-untyped-def]
    """Each asks for 30 of 50 with a connection of its own, again and again at the same moment."""
    place = postgresql.new_place()
    async with Database(place) as database:
        engines = [engine_of(place) for _ in range(2)]

        def asking(process: int, turn: int) -> bool:
            name = f"r{process}-{turn}"
            request = a_request(name, principal="CIS")
            gate = a_gate(30, scope=f"turn {turn}")

            def accept(connection: Connection) -> None:
                _accept(connection, request, some_commands(name, "M1"), None, gate)

            try:
                with engines[process].begin() as connection:
                    accept(connection)
            except LimitReached:
                return False
            return True

        for turn in range(10):
            passed = await asyncio.gather(*(asyncio.to_thread(asking, process, turn) for process in range(2)))
            assert sorted(passed) == [False, True]
        for one in engines:
            one.dispose()
        page = await SqlAudit(database).page(0, 99)
        assert len(page.links) == 10 and follow(page.links, page.chain).is_whole


def an_approval(request_id: str = "r1", **changes: Any) -> StoredApproval:
    meters = MetersOf.of([("M1", "1"), ("M2", "2")])
    assert meters is not None
    approval = StoredApproval(
        request_id=request_id,
        kind=ApprovalOf.REQUEST,
        guarded="disconnects",
        principal="CIS",
        summary="create EndDeviceControls 3.31.0.23",
        meters=meters,
        why="too many",
        asked_at=NOW,
        expires_at=NOW + timedelta(hours=1),
    )
    return replace(approval, **changes)


async def test_an_approval_is_decided_once(place: Place) -> None:
    async with Database(place) as database:
        results, guard = SqlResults(database), SqlGuard(database)
        gate = a_gate(0, uses=(), approval=an_approval())
        await results.accept(a_request("r1", principal="CIS"), [], gate=gate)
        assert await guard.approval("r1") == an_approval() and await guard.approval("r2") is None
        assert await guard.overdue(NOW) == [] and await guard.overdue(NOW + timedelta(hours=1)) == [an_approval()]
        assert await guard.decide("r1", ApprovalState.APPROVED, "Ada", NOW, "seen", "bearer")
        assert not await guard.decide("r1", ApprovalState.REJECTED, "Eve", NOW)
        (decided,) = await guard.approvals((ApprovalState.APPROVED,), 9)
        assert (decided.state, decided.decided_by, decided.note) == (ApprovalState.APPROVED, "Ada", "seen")
        await guard.want_approval(an_approval("r3"), "header")
        await guard.want_approval(an_approval("r3", why="another"), "header")
        assert [one.request_id for one in await guard.approvals(tuple(ApprovalState), 9)] == ["r1", "r3"]
        await guard.forget(NOW + timedelta(days=1))
        known = [one.request_id for one in await guard.approvals(tuple(ApprovalState), 9)]
        assert known == ["r1", "r3"], "its request is for a time ahead, and has yet to hear of it"
        await results.answer({"r1": StoredAnswer("OK", b"<a/>")}, NOW)
        await guard.forget(NOW + timedelta(days=1))
        assert [one.request_id for one in await guard.approvals(tuple(ApprovalState), 9)] == ["r3"]
        entries = [json.loads(one.text) for one in (await SqlAudit(database).page(0, 9)).links]
        assert [one["what"] for one in entries] == [
            "accepted",
            "approval-wanted",
            "approved",
            "approval-wanted",
            "ended",
        ]
        assert (entries[2]["principal"], entries[2]["meters"]) == ("Ada", 2)


async def test_while_controls_are_stopped_nothing_begins(place: Place) -> None:
    async with Database(place) as database:
        results, guard = SqlResults(database), SqlGuard(database)
        await results.accept(a_request("r1"), some_commands("r1", "M1", "M2"))
        await results.attempt("r1", "M1", NOW)
        assert await guard.stopped() is None
        assert await guard.say_stop(Stop(True, "Ada", NOW, "drill"), "bearer")
        assert not await guard.say_stop(Stop(True, "Eve", NOW, ""), "bearer")
        for attempted in ("M1", "M2"):
            with pytest.raises(ControlsStopped, match="drill"):
                await results.attempt("r1", attempted, NOW)
        with pytest.raises(ControlsStopped):
            await results.accept(a_request("r2"), some_commands("r2", "M1"), gate=a_gate(0, uses=()))
        assert await results.find("r2") is None
        assert await guard.say_stop(Stop(False, "Ada", NOW, "over"), "bearer")
        await results.attempt("r1", "M2", NOW)
        found = await guard.stopped()
        assert found is not None and not found.stopped
        entries = [json.loads(one.text) for one in (await SqlAudit(database).page(0, 9)).links]
        assert [one["what"] for one in entries] == ["controls-stopped", "controls-resumed"]


# --- the head-end


def names(first: int, last: int) -> list[str]:
    return [f"M{number}" for number in range(first, last + 1)]


def late(cis: Cis, *meters: str, code: str = DISCONNECT, **more: Any) -> RequestMessage:
    begins = more.pop("start_at", None)
    head = {"async_reply_flag": True, "reply_address": cis.url} | more
    return request(replace(control(code, *meters), start_at=begins), **head)


async def asked(hes: North, message: RequestMessage) -> tuple[list[str], str]:
    """The codes and the first reason of what comes at once."""
    octets_ = (await hes.post(octets(message, GENERIC), GENERIC)).content
    return texts(octets_, "code"), " ".join(texts(octets_, "reason"))


async def said(hes: North, path: str, body: dict[str, Any] | None = None, token: str = "") -> Any:
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    url = f"{hes.url}/api/v1/{path}"
    answer = await (
        hes.client.get(url, headers=headers) if body is None else hes.client.post(url, json=body, headers=headers)
    )
    return answer.json() | {"status": answer.status_code}


async def audited(hes: North, token: str = "") -> list[dict[str, Any]]:
    """The entries, once the chain was checked."""
    given = await said(hes, "audit?after=0&limit=1000", token=token)
    links = [Link(one["seq"], one["entry"], one["hash"]) for one in given["entries"]]
    report = follow(links, Chain(**given["chain"]))
    assert report.is_whole, report.problems
    return [json.loads(one["entry"]) for one in given["entries"]]


async def test_meters_count_and_not_requests_and_connects_never(tmp_path: Path) -> None:
    async with north(tmp_path, meters=8, guard=FEW) as hes:
        assert (await hes.ask(request(control(DISCONNECT, "M1", "M2")))).reply.result == "OK"
        refused = (await hes.ask(request(control(DISCONNECT, "M3")))).reply
        assert (refused.result, refused.errors[0].code) == ("FAILED", "5.2")
        reason = str(refused.errors[0].reason)
        assert "1 disconnects beside 2 in the last hour would be more than the 2 of the principal CIS" in reason
        assert "AsyncReplyFlag and ReplyAddress" in reason
        others = (await hes.ask(request(control(DISCONNECT, "M3", "M4"), source="another"))).reply
        assert "more than the 3 in all" in str(others.errors[0].reason)
        assert (await hes.ask(request(control(DISCONNECT, "M3"), source="another"))).reply.result == "OK"
        assert (await hes.ask(request(control(CONNECT, *names(1, 8))))).reply.result == "OK"
        assert [one.meter.name for one in hes.meters.commands] == ["M1", "M2", "M3", *names(1, 8)]


async def test_the_same_request_again_and_what_names_no_meter_use_nothing(tmp_path: Path) -> None:
    async with north(tmp_path, meters=3, guard=FEW) as hes:
        once = request(control(DISCONNECT, "M1", "nobody"), message_id="once")
        for _ in range(3):
            assert (await hes.ask(once)).reply.result == "PARTIAL"
        assert (await said(hes, "guard?principal=CIS"))["limits"][0]["used"] == 1
        assert (await hes.ask(request(control(DISCONNECT, "M2")))).reply.result == "OK"
        assert (await hes.ask(request(control(DISCONNECT, "M3")))).reply.result == "FAILED"


async def test_of_many_at_the_same_moment_only_so_many_pass(tmp_path: Path) -> None:
    async with north(tmp_path, meters=20, guard={"disconnects": {"per_principal": 7}}) as hes:
        answers = await asyncio.gather(*(hes.ask(request(control(DISCONNECT, name))) for name in names(1, 20)))
        results = [one.reply.result for one in answers]
        assert (results.count("OK"), results.count("FAILED")) == (7, 13)
        assert len(hes.meters.commands) == 7


async def test_the_hour_slides_and_limits_survive_a_restart(tmp_path: Path) -> None:
    clock = SteppedClock(START)
    environment = Environment(emit=lambda _: None).by(clock)
    async with north(tmp_path, environment=environment, meters=4, guard=FEW) as hes:
        assert (await hes.ask(request(control(DISCONNECT, "M1", "M2")))).reply.result == "OK"
    async with north(tmp_path, environment=environment, meters=4, guard=FEW) as hes:
        assert (await hes.ask(request(control(DISCONNECT, "M3")))).reply.result == "FAILED"
        await clock.advance_to(START + timedelta(minutes=59))
        assert (await hes.ask(request(control(DISCONNECT, "M3")))).reply.result == "FAILED"
        await clock.advance_to(START + timedelta(minutes=61))
        assert (await hes.ask(request(control(DISCONNECT, "M3")))).reply.result == "OK"


async def test_a_second_person_approves_and_it_is_done(tmp_path: Path) -> None:
    cis = Cis()
    async with cis.serving(), north(tmp_path, meters=5, guard=FEW) as hes:
        message = late(cis, *names(1, 5), message_id="many")
        codes, reason = await asked(hes, message)
        assert codes == ["0.3"] and "for the approval of a second person: 5 disconnects beside 0" in reason
        assert (await asked(hes, message)) == (codes, reason) and not hes.meters.commands
        (waiting,) = (await said(hes, "approvals?state=waiting"))["approvals"]
        assert (waiting["id"], waiting["meters"], waiting["asked_by"], waiting["kinds"]) == (
            "many",
            5,
            "CIS",
            ["disconnects"],
        )
        assert (await said(hes, "approvals/none/approve", {}))["status"] == 404
        approved = await said(hes, "approvals/many/approve", {"note": "feeder F1 is on fire"})
        assert (approved["state"], approved["decided_by"]) == ("approved", "local")
        reply = await cis.taken.get()
        assert (texts(reply, "Result"), texts(reply, "CorrelationID")) == (["OK"], ["many"])
        assert sorted(one.meter.name for one in hes.meters.commands) == names(1, 5)
        assert (await said(hes, "approvals/many/reject", {}))["status"] == 409
        assert (await hes.ask(request(control(DISCONNECT, "M1", "M2")))).reply.result == "OK"  # it has used up nothing
        entries = await audited(hes)
        of_it = [(one["what"], one.get("approved_by"), one.get("meters")) for one in entries if one["by"] != "loopback"]
        assert of_it[:2] == [("accepted", None, None), ("approval-wanted", None, 5)]
        assert ("accepted", "local", 5) in of_it
        (approved,) = [one for one in entries if one["what"] == "approved"]
        assert (approved["principal"], approved["meters"], approved["reason"]) == ("local", 5, "feeder F1 is on fire")
        assert [one["outcome"] for one in entries if one["what"] == "ended"] == ["OK", "OK", "OK"]


@pytest.mark.parametrize("how", ["rejected", "expired", "withdrawn"])
async def test_what_is_not_approved_is_not_done(tmp_path: Path, how: str) -> None:
    cis, clock = Cis(), SteppedClock(START)
    environment = Environment(emit=lambda _: None).by(clock)
    guard = FEW | {"approval_hours": 2}
    async with cis.serving(), north(tmp_path, environment=environment, meters=5, guard=guard) as hes:
        assert (await asked(hes, late(cis, *names(1, 5), message_id="many")))[0] == ["0.3"]
        if how == "rejected":
            await said(hes, "approvals/many/reject", {"note": "wrong feeder"})
        elif how == "expired":
            await clock.advance_to(START + timedelta(hours=2))
        else:
            from test_timed_requests import cancel

            assert (await hes.ask(cancel("many"), GENERIC)).reply.result == "OK"
        reply = await cis.taken.get()
        code, reason = texts(reply, "code"), texts(reply, "reason")[0]
        assert texts(reply, "Result") == ["FAILED"] and not hes.meters.commands
        assert code == (["6.5"] if how == "withdrawn" else ["5.2"])
        if how == "rejected":
            assert "rejected by local: wrong feeder" in reason
        if how == "expired":
            assert "it was expired: nobody has approved it by 2026-11-20T14:00:00" in reason
        assert (await said(hes, "approvals/many"))["state"] == how


@pytest.mark.parametrize("decided", ["before the restart", "behind it"])
async def test_a_request_waits_for_approval_over_a_restart(tmp_path: Path, decided: str) -> None:
    cis = Cis()
    async with cis.serving():
        async with north(tmp_path, meters=5, guard=FEW) as hes:
            hes.meters.open.clear()
            await asked(hes, late(cis, *names(1, 5), message_id="many"))
            if decided == "before the restart":
                await said(hes, "approvals/many/approve", {})
        async with north(tmp_path, meters=5, guard=FEW) as hes:
            if decided == "behind it":
                await said(hes, "approvals/many/approve", {})
            assert texts(await cis.taken.get(), "Result") == ["OK"]
            assert sorted(one.meter.name for one in hes.meters.commands) == names(1, 5)


async def test_an_approval_holds_for_the_meters_that_were_looked_at(tmp_path: Path) -> None:
    """The group has grown in between."""
    cis = Cis()
    tagged = [one | {"tags": {"feeder": "F1"}} for one in entries(4)]
    by_group = replace(control(DISCONNECT), end_device_groups=(_group("F1"),))
    message = request(by_group, message_id="many", async_reply_flag=True)
    async with cis.serving():
        message = replace(message, header=replace(message.header, reply_address=cis.url))
        async with north(tmp_path, registry=tagged, guard=FEW) as hes:
            assert (await asked(hes, message))[0] == ["0.3"]
        grown = [*tagged, entries(5)[-1] | {"tags": {"feeder": "F1"}}]
        async with north(tmp_path, registry=grown, guard=FEW) as hes:
            await said(hes, "approvals/many/approve", {})
            reply = await cis.taken.get()
            assert texts(reply, "code") == ["5.2"] and not hes.meters.commands
            assert "no longer those that were approved" in texts(reply, "reason")[0]


async def test_an_approval_is_for_who_is_disconnected_and_not_for_all_that_are_named(tmp_path: Path) -> None:
    """Tags have changed in between: of the same meters, those are disconnected now that were to be connected."""
    cis = Cis()

    def registry(first: int) -> list[dict[str, Any]]:
        return [one | {"tags": {"feeder": "F1" if place < first else "F2"}} for place, one in enumerate(entries(4))]

    off = replace(control(DISCONNECT), end_device_groups=(_group("F1"),))
    on = replace(control(CONNECT), end_device_groups=(_group("F2"),))
    guard = {"disconnects": {"in_all": 0}}
    async with cis.serving():
        message = request(off, on, message_id="many", async_reply_flag=True, reply_address=cis.url)
        async with north(tmp_path, registry=registry(1), guard=guard) as hes:
            assert (await asked(hes, message))[0] == ["0.3"]
            assert (await said(hes, "approvals/many"))["meters_listed"] == ["M1"]
        async with north(tmp_path, registry=registry(3), guard=guard) as hes:
            await said(hes, "approvals/many/approve", {})
            assert texts(await cis.taken.get(), "code") == ["5.2"] and not hes.meters.commands


def test_of_several_kinds_each_meter_is_approved_for_its_own() -> None:
    def approved(*codes: str) -> MetersOf | None:
        bodies = [recipes.format_body(CONTROLS[one]) if one != DISCONNECT else one for one in codes]
        names = [contactor.NAME if one == DISCONNECT else recipes.NAME for one in codes]
        commands = [
            Command("r", MeterId(f"M{place}", str(place)), name, body)
            for place, (name, body) in enumerate(zip(names, bodies, strict=True))
        ]
        return book._approved(commands)

    limit = next(code for code, row in CONTROLS.items() if row.name == "limit-set")
    first, second = approved(DISCONNECT, limit), approved(limit, DISCONNECT)
    assert first is not None and second is not None
    assert first.number == second.number == 2 and first.digest != second.digest
    assert approved(DISCONNECT, DISCONNECT) == MetersOf.of([("M0", "0"), ("M1", "1")])


def _group(value: str) -> Any:
    from ami_cim.identity import Identified, Name

    return Identified(names=(Name(name=value),))


async def test_protected_meters_need_approval_however_few(tmp_path: Path) -> None:
    cis = Cis()
    hospital = entries(3)
    hospital[1]["tags"] = {"protected": "yes"}
    async with cis.serving(), north(tmp_path, registry=hospital) as hes:
        refused = (await hes.ask(request(control(DISCONNECT, "M1", "M2")))).reply
        assert "M2: protected, so a second person has to approve it" in str(refused.errors[0].reason)
        assert (await hes.ask(request(control(CONNECT, "M2")))).reply.result == "OK"
        assert (await hes.ask(request(control(DISCONNECT, "M1")))).reply.result == "OK"
        codes, reason = await asked(hes, late(cis, "M2", message_id="one/of us"))
        assert codes == ["0.3"] and "M2: protected" in reason
        assert (await said(hes, "approvals/one%2Fof%20us"))["state"] == "waiting"
        await said(hes, "approvals/one%2Fof%20us/approve", {})
        assert texts(await cis.taken.get(), "Result") == ["OK"]


async def test_a_group_has_a_limit_of_its_own(tmp_path: Path) -> None:
    tagged = [one | {"tags": {"feeder": f"F{1 + number % 2}"}} for number, one in enumerate(entries(6))]
    guard = {"disconnects": {"groups": [{"tag": "feeder", "meters": 2}]}}
    async with north(tmp_path, registry=tagged, guard=guard) as hes:
        assert (await hes.ask(request(control(DISCONNECT, "M1", "M2", "M3")))).reply.result == "OK"
        refused = (await hes.ask(request(control(DISCONNECT, "M5"), source="another"))).reply
        assert "more than the 2 of the group feeder=F1" in str(refused.errors[0].reason)
        assert (await hes.ask(request(control(DISCONNECT, "M4")))).reply.result == "OK"


@pytest.mark.parametrize("decided", ["reject", "approve"])
async def test_a_decision_about_what_is_for_later_is_not_forgotten_before_its_time(
    tmp_path: Path, decided: str
) -> None:
    """Requests are kept for a quarter of an hour here, and limits are those of an hour all the same."""
    cis, clock, guard = Cis(), SteppedClock(START), {"disconnects": {"in_all": 1}}
    environment = Environment(emit=lambda _: None).by(clock)
    short = {"environment": environment, "keep_answers_days": 0.01, "meters": 5}
    later, message = START + timedelta(hours=40), ["M2", "M3"]
    async with cis.serving():
        async with north(tmp_path, guard=guard, **short) as hes:
            assert (await hes.ask(request(control(DISCONNECT, "M1")))).reply.result == "OK"
            await asked(hes, late(cis, *message, message_id="later", start_at=later))
            assert (await said(hes, f"approvals/later/{decided}", {}))["status"] == 200
            await clock.advance_to(START + timedelta(minutes=40))
        async with north(tmp_path, guard=guard, **short) as hes:
            used = (await said(hes, "guard"))["limits"]
            assert {one["used"] for one in used if (one["kind"], one["scope"]) == ("disconnects", "in all")} == {1}
            await clock.advance_to(later - timedelta(hours=1))
        async with north(tmp_path, **short) as hes:  # without the limit
            await clock.advance_to(later)
            assert texts(await cis.taken.get(), "Result") == (["FAILED"] if decided == "reject" else ["OK"])


async def test_each_operation_of_a_set_is_guarded(tmp_path: Path) -> None:
    from ami_cim.payloads.end_device_controls import EndDeviceControls

    operations = tuple(
        Operation(operation_id=number, verb="create", noun="EndDeviceControls", payload=EndDeviceControls((one,)))
        for number, one in enumerate((control(DISCONNECT, "M1", "M2"), control(DISCONNECT, "M3")), 1)
    )
    message = replace(request(verb="execute", noun="OperationSet"), payload=OperationSet(operations=operations))
    async with north(tmp_path, meters=3, guard=FEW) as hes:
        reply = (await hes.ask(message, GENERIC)).reply
        assert reply.result == "PARTIAL" and [one.meter.name for one in hes.meters.commands] == ["M1", "M2"]
        assert any("more than the 2 of the principal CIS" in str(one.reason) for one in reply.errors)


async def test_what_is_for_later_counts_when_it_begins(tmp_path: Path) -> None:
    cis, clock = Cis(), SteppedClock(START)
    environment = Environment(emit=lambda _: None).by(clock)
    later = START + timedelta(hours=3)
    async with cis.serving(), north(tmp_path, environment=environment, meters=5, guard=FEW) as hes:
        codes, reason = await asked(hes, late(cis, "M1", "M2", message_id="later", start_at=later))
        assert codes == ["0.3"] and "counts for limits when it begins, at 2026-11-20T15:00:00" in reason
        assert (await said(hes, "guard?principal=CIS"))["limits"][0]["used"] == 0
        await clock.advance_to(later - timedelta(minutes=1))
        assert (await hes.ask(request(control(DISCONNECT, "M3")))).reply.result == "OK"
        await clock.advance_to(later)  # by now there is room for one more
        waiting: list[Any] = []
        while not waiting:
            waiting = (await said(hes, "approvals?state=waiting"))["approvals"]
        assert waiting[0]["id"] == "later" and [one.meter.name for one in hes.meters.commands] == ["M3"]
        await said(hes, "approvals/later/approve", {})
        assert texts(await cis.taken.get(), "Result") == ["OK"]
        assert len(hes.meters.commands) == 3


async def test_what_is_for_later_and_beyond_a_limit_by_itself_is_approved_ahead(tmp_path: Path) -> None:
    cis, clock = Cis(), SteppedClock(START)
    environment = Environment(emit=lambda _: None).by(clock)
    later = START + timedelta(hours=3)
    async with cis.serving(), north(tmp_path, environment=environment, meters=5, guard=FEW) as hes:
        for name in ("approved", "forgotten"):
            codes, reason = await asked(hes, late(cis, *names(1, 5), message_id=name, start_at=later))
            assert codes == ["0.3"] and "waits until 2026-11-20T15:00:00+00:00 for the approval" in reason
        await said(hes, "approvals/approved/approve", {})
        assert not hes.meters.commands
        await clock.advance_to(later)
        replies = [await cis.taken.get(), await cis.taken.get()]
        results = {texts(one, "CorrelationID")[0]: texts(one, "Result")[0] for one in replies}
        assert results == {"approved": "OK", "forgotten": "FAILED"} and len(hes.meters.commands) == 5


async def test_a_change_of_what_is_for_later_passes_the_guard_again(tmp_path: Path) -> None:
    from test_timed_requests import Identifier

    cis, clock = Cis(), SteppedClock(START)
    environment = Environment(emit=lambda _: None).by(clock)
    later = START + timedelta(hours=3)
    async with cis.serving(), north(tmp_path, environment=environment, meters=5, guard=FEW) as hes:
        assert (await asked(hes, late(cis, "M1", message_id="one", start_at=later)))[0] == ["0.3"]
        larger = late(cis, *names(1, 5), message_id="many", start_at=later)
        named = (Identifier(value="one", kind="transaction"),)
        change = replace(larger, header=replace(larger.header, verb="change"), request_identifiers=named)
        codes, reason = await asked(hes, change)
        assert codes == ["0.3"] and "approval of a second person" in reason
        await clock.advance_to(later)
        replies = [await cis.taken.get(), await cis.taken.get()]
        assert {tuple(texts(one, "Result")) for one in replies} == {("FAILED",)} and not hes.meters.commands


# --- the stop of all controls


async def test_the_stop_refuses_what_comes_what_waits_and_what_is_for_later(tmp_path: Path) -> None:
    cis, clock = Cis(), SteppedClock(START)
    environment = Environment(emit=lambda _: None).by(clock)
    stand_in = StandIn(acts=False)
    stand_in.open.clear()
    later = START + timedelta(hours=1)
    async with cis.serving(), north(tmp_path, stand_in, environment, 5, max_sessions=1, deadline_s=86_400.0) as hes:
        assert (await asked(hes, late(cis, "M5", message_id="later", start_at=later)))[0] == ["0.3"]
        assert (await asked(hes, late(cis, "M1", "M2", message_id="now")))[0] == ["0.3"]
        await stand_in.began.wait()  # M1 is in hand, M2 waits for its place
        state = await said(hes, "guard/stop", {"reason": "drill"})
        assert (state["stopped"], state["changed"], state["by"]) == (True, True, "local")
        for code in (DISCONNECT, CONNECT):
            refused = (await hes.ask(request(control(code, "M3")))).reply
            assert refused.errors[0].code == "5.2" and "stopped by local since" in str(refused.errors[0].reason)
        assert "all controls are stopped" in (await asked(hes, late(cis, "M4", start_at=later)))[1]
        stand_in.open.set()
        reply = await cis.taken.get()
        assert texts(reply, "Result") == ["PARTIAL"] and "all controls are stopped at the head-end" in str(reply)
        assert [one.meter.name for one in stand_in.commands] == ["M1"]
        await clock.advance_to(later)
        reply = await cis.taken.get()
        assert texts(reply, "code") == ["5.2"] and "stopped by local" in texts(reply, "reason")[0]
    async with north(tmp_path, meters=5) as hes:  # it survives the restart
        assert (await hes.ask(request(control(DISCONNECT, "M1")))).reply.result == "FAILED"
        assert (await said(hes, "guard/resume", {}))["changed"]
        assert not (await said(hes, "guard/resume", {}))["changed"]
        assert (await hes.ask(request(control(DISCONNECT, "M1")))).reply.result == "OK"
        stops = [one["what"] for one in await audited(hes) if one["what"].startswith("controls-")]
        assert stops == ["controls-stopped", "controls-resumed"]


async def test_what_has_begun_is_asked_before_each_further_step(tmp_path: Path) -> None:
    """The recipe of a meter that comes to its second ACTION behind the stop."""
    stand_in = StandIn()
    second: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    class TwoSteps(StandIn):
        async def __call__(self, assignment: Any) -> Any:
            outcome = await super().__call__(assignment)
            try:
                await assignment.attempt.begin()
            except Exception as problem:  # noqa: BLE001  # what it says is looked at
                second.set_result(str(problem))
            return outcome

    stand_in = TwoSteps()
    stand_in.open.clear()
    async with north(tmp_path, stand_in) as hes:
        asking = asyncio.create_task(hes.ask(request(control(DISCONNECT, "M1"))))
        await stand_in.began.wait()
        while stand_in.at_work == 0:
            await asyncio.sleep(0)
        await said(hes, "guard/stop", {})
        stand_in.open.set()
        assert "stopped" in await second
        await asking


# --- campaigns, and two persons by their tokens


@asynccontextmanager
async def with_tokens(tmp_path: Path, **more: Any) -> AsyncIterator[North]:
    tokens = tmp_path / "tokens"
    tokens.write_text("\n".join(TOKENS))
    tokens.chmod(0o600)
    async with north(tmp_path, token_file=tokens, **more) as hes:
        yield hes


async def ended(hes: North, campaign: str) -> dict[str, Any]:
    found: dict[str, Any] = {"done": -1, "meters": 0}
    while found["done"] != found["meters"]:
        found = await said(hes, f"campaigns/{campaign}", token=TOKENS[0])
    return found


async def test_who_has_asked_does_not_approve(tmp_path: Path) -> None:
    guard = {"keys": {"per_principal": 2}}
    async with with_tokens(tmp_path, meters=4, guard=guard) as hes:
        few = await said(hes, "campaigns/keys", {"meters": ["M1", "M2"]}, TOKENS[0])
        assert (await ended(hes, few["id"]))["state"] == "ended"
        many = await said(hes, "campaigns/keys", {"meters": ["M3", "M4"]}, TOKENS[0])
        assert many["state"] == "waiting for approval"
        (waiting,) = (await said(hes, "approvals?state=waiting", token=TOKENS[1]))["approvals"]
        assert (waiting["id"], waiting["of"], waiting["meters"]) == (many["id"], "campaign", 2)
        own = await said(hes, f"approvals/{many['id']}/approve", {}, TOKENS[0])
        assert own["status"] == 409 and "somebody else has to approve it" in own["error"]
        signed_in = await hes.client.post(f"{hes.url}/session", json={"token": TOKENS[0]})
        assert signed_in.status_code == 204  # in a browser it is the same person
        assert (await said(hes, f"approvals/{many['id']}/approve", {}))["status"] == 409
        assert len(hes.meters.commands) == 2
        assert (await said(hes, f"approvals/{many['id']}/approve", {}, TOKENS[1]))["status"] == 200
        assert (await ended(hes, many["id"]))["ok"] == 2
        entries = await audited(hes, TOKENS[0])
        assert len({one["principal"] for one in entries if one["what"] in ("approval-wanted", "approved")}) == 2


async def test_where_no_token_is_asked_for_everybody_is_one_person(tmp_path: Path) -> None:
    async with north(tmp_path, guard={"keys": {"per_principal": 0}}) as hes:
        waiting = await said(hes, "campaigns/keys", {"meters": ["M1"]}, TOKENS[0])
        assert (await said(hes, f"approvals/{waiting['id']}/approve", {}, TOKENS[1]))["status"] == 409


@pytest.mark.parametrize("restarted", [False, True])
async def test_a_campaign_that_is_rejected_ends_with_the_reason(tmp_path: Path, restarted: bool) -> None:
    guard = {"keys": {"per_principal": 0}}
    async with with_tokens(tmp_path, guard=guard) as hes:
        many = await said(hes, "campaigns/keys", {"meters": ["M1", "M2"]}, TOKENS[0])
        if not restarted:
            await said(hes, f"approvals/{many['id']}/reject", {"note": "not today"}, TOKENS[1])
            found = await ended(hes, many["id"])
    if restarted:
        async with with_tokens(tmp_path, guard=guard) as hes:
            assert (await said(hes, f"campaigns/{many['id']}", token=TOKENS[0]))["state"] == "waiting for approval"
            await said(hes, f"approvals/{many['id']}/reject", {"note": "not today"}, TOKENS[1])
            found = await ended(hes, many["id"])
    assert not hes.meters.commands and {one["reply_code"] for one in found["failures"]} == {"5.2"}
    assert all("not today" in one["reason"] for one in found["failures"])


async def test_the_stop_holds_for_campaigns(tmp_path: Path) -> None:
    async with north(tmp_path) as hes:
        await said(hes, "guard/stop", {})
        refused = await said(hes, "campaigns/keys", {"meters": ["M1"]})
        assert refused["status"] == 409 and "controls are stopped by local" in refused["error"]
        assert (await said(hes, "campaigns/event-logs", {"meters": ["M1"]}))["status"] == 200  # it only reads


async def test_keys_by_cim_count_for_their_own_limit(tmp_path: Path) -> None:
    keyed = control("3.12.32.13", "M1", "M2")
    message = replace(request(keyed), query=_parameters(KeyChange(key="encryption")))
    async with north(tmp_path, guard={"keys": {"in_all": 1}}) as hes:
        refused: ResponseMessage = await hes.ask(message, GENERIC)
        assert "2 changes of keys beside 0" in str(refused.reply.errors[0].reason)


def _parameters(taken: KeyChange) -> Any:
    from ami_cim.payloads.control_parameters import ControlParameters

    return ControlParameters(key_change=taken)


# --- what would become of it


async def test_a_dry_run_says_what_would_become_of_it_and_counts_nothing(tmp_path: Path) -> None:
    tagged = [one | {"tags": {"feeder": "F1"}} for one in entries(4)]
    tagged[3]["tags"]["protected"] = "yes"
    async with north(tmp_path, registry=tagged, guard=FEW) as hes:
        for _ in range(2):
            many = await said(hes, "guard/check", {"kind": "disconnects", "group": "feeder=F1"})
            assert (many["verdict"], many["meters"], many["protected"]) == ("needs-approval", 4, ["M4"])
            assert [(one["would_be"], one["beyond"]) for one in many["limits"]] == [(4, True), (4, True)]
        one = await said(hes, "guard/check", {"kind": "disconnects", "meters": ["M1"], "principal": "CIS"})
        assert one["verdict"] == "passes"
        await said(hes, "guard/stop", {})
        assert (await said(hes, "guard/check", {"kind": "keys", "meters": ["M1"]}))["verdict"] == "stopped"
        assert (await said(hes, "guard/check", {"kind": "disconnects", "meters": ["nobody"]}))["status"] == 422
        assert (await said(hes, "guard/check", {"kind": "connects", "meters": ["M1"]}))["status"] == 422


ADA = Asker("Ada", "bearer")


class AwayGuard:
    """A store that takes what is said once `back`, and answers questions when `answers` is set."""

    def __init__(self) -> None:
        self.kept: Stop | None = None
        self.back = True
        self.asked = asyncio.Event()
        self.answers = asyncio.Event()
        self.answers.set()

    async def stopped(self) -> Stop | None:
        if not self.back:
            raise StoreUnavailable("it is away")
        found = self.kept
        self.asked.set()
        await self.answers.wait()
        return found

    async def say_stop(self, stop: Stop, principal_by: str) -> bool:
        if not self.back:
            raise StoreUnavailable("it is away")
        changed = (self.kept is not None and self.kept.stopped) != stop.stopped
        self.kept = stop if changed else self.kept
        return changed


async def test_a_stop_that_the_store_takes_late_is_not_put_behind_what_resumes_controls() -> None:
    store: Any = AwayGuard()
    stop = ControlStop(store, Environment(emit=lambda _: None, now=lambda: NOW))
    store.back = False
    with pytest.raises(StoreUnavailable):
        await stop.say(ADA, "drill", stopped=True)
    assert stop.now is not None, "it is in force here"
    store.back = True
    assert await stop.say(ADA, "over", stopped=False)
    assert await stop.look() is None and not store.kept.stopped


async def test_an_answer_from_before_a_stop_does_not_end_it() -> None:
    store: Any = AwayGuard()
    stop = ControlStop(store, Environment(emit=lambda _: None, now=lambda: NOW))
    store.answers.clear()
    looking = asyncio.create_task(stop.look())
    await store.asked.wait()
    store.back = False
    with pytest.raises(StoreUnavailable):
        await stop.say(ADA, "drill", stopped=True)
    store.answers.set()
    assert await looking is not None and stop.now is not None


async def test_who_could_not_be_told_of_a_decision_is_told_later() -> None:
    approval = an_approval("m-1")

    class Goes:
        """A store that is away right behind the decision."""

        def __init__(self) -> None:
            self.away = False

        async def approval(self, request_id: str) -> StoredApproval:
            if self.away:
                self.away = False
                raise StoreUnavailable("it is away")
            return approval

        async def decide(self, *_: object) -> bool:
            self.away = True
            return True

        async def overdue(self, now: datetime) -> list[StoredApproval]:
            return []

    told: asyncio.Queue[str] = asyncio.Queue()

    async def tell(found: StoredApproval) -> None:
        told.put_nowait(found.request_id)

    store: Any = Goes()
    approvals = Approvals(store, Environment(emit=lambda _: None, now=lambda: NOW))
    approvals.tell(tell)
    with pytest.raises(StoreUnavailable):
        await approvals.decide("m-1", ADA, "", approved=False)
    assert told.empty()
    working = asyncio.create_task(approvals.work())
    async with asyncio.timeout(PATIENCE_S):
        assert await told.get() == "m-1"
    working.cancel()
    await asyncio.gather(working, return_exceptions=True)
    assert told.empty()


async def test_where_principals_have_names_nobody_approves_as_two_persons(tmp_path: Path) -> None:
    """Ada has a token of the process beside her own: with or without a name, it makes her nobody else."""
    own, ben = "ada-0123456789-0123456789-0123456789-01", "ben-0123456789-0123456789-0123456789-01"
    entry = '[[principals]]\nname = "{}"\nroles = ["admin"]\ntoken_sha256 = "{}"\n'
    named = tmp_path / "principals.toml"
    named.write_text(
        "".join(entry.format(name, sha256(one.encode()).hexdigest()) for name, one in (("Ada", own), ("Ben", ben)))
    )
    named.chmod(0o644)
    guard = {"keys": {"per_principal": 0}}
    async with with_tokens(tmp_path, meters=2, guard=guard, principals=named) as hes:
        hers = (await said(hes, "campaigns/keys", {"meters": ["M1"]}, own))["id"]
        nobodys = (await said(hes, "campaigns/keys", {"meters": ["M2"]}, TOKENS[0]))["id"]
        for campaign, token, why in (
            (hers, own, "somebody else has to approve it"),
            (hers, TOKENS[0], "may be the same person"),
            (nobodys, TOKENS[1], "may be the same person"),
            (nobodys, own, "who is not in the file of principals"),
        ):
            refused = await said(hes, f"approvals/{campaign}/approve", {}, token)
            assert refused["status"] == 409 and why in refused["error"]
        assert not hes.meters.commands
        assert (await said(hes, f"approvals/{nobodys}/reject", {}, own))["status"] == 200
        assert (await said(hes, f"approvals/{hers}/approve", {}, ben))["status"] == 200


async def test_a_token_of_the_process_that_is_a_principals_counts_as_the_principal(tmp_path: Path) -> None:
    entry = '[[principals]]\nname = "Ada"\nroles = ["security-officer"]\ntoken_sha256 = "{}"\n'
    named = tmp_path / "principals.toml"
    named.write_text(entry.format(sha256(TOKENS[0].encode()).hexdigest()))
    named.chmod(0o644)
    async with with_tokens(tmp_path, principals=named) as hes:
        assert (await said(hes, "guard", token=TOKENS[0]))["principal"] == "Ada"
        assert (await said(hes, "guard", token=TOKENS[1]))["principal"].startswith("token ")
        session = await hes.client.post(f"{hes.url}/session", json={"token": TOKENS[0]})
        assert session.status_code == 204
        assert (await said(hes, "guard"))["principal"] == "Ada", "in a session too"


async def test_a_request_that_nothing_proves_is_approved_by_nobody_who_may_have_sent_it(tmp_path: Path) -> None:
    named = tmp_path / "principals.toml"
    digest = sha256(b"ada-0123456789-0123456789-0123456789-01").hexdigest()
    named.write_text(f'[[principals]]\nname = "Ada"\nroles = ["admin"]\ntoken_sha256 = "{digest}"\n')
    named.chmod(0o644)
    guard = {"disconnects": {"per_principal": 0}}
    async with Cis().serving() as cis, north(tmp_path, guard=guard, principals=named, anonymous=("controller",)) as hes:
        message = request(control(DISCONNECT, "M1"), message_id="r1", async_reply_flag=True, reply_address=cis.url)
        assert texts((await hes.post(octets(message))).content, "code") == ["0.3"]
        token = "ada-0123456789-0123456789-0123456789-01"
        refused = await said(hes, "approvals/r1/approve", {}, token)
        assert refused["status"] == 409 and "who is not in the file of principals" in refused["error"]
