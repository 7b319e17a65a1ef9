"""Run with the packages of the version that brought schema 0026: a store of the HES, as `make.py` asks for it."""

from __future__ import annotations

import asyncio
import sys
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path

from sqlalchemy import update

from ami_hes.audit import MetersOf
from ami_hes.commands import Command, CommandJob, Lane, MeterId, Outcome
from ami_hes.enums import ApprovalOf, MeterState, StepResult
from ami_hes.store import (
    CampaignState,
    CommissioningStep,
    Database,
    Happened,
    KeptArrival,
    KeptAttempt,
    KeptMark,
    NotedChange,
    ReceivedKey,
    RegistryChange,
    Sealed,
    SqlCampaigns,
    SqlCommissioning,
    SqlConsoleSessions,
    SqlCounters,
    SqlDeliveries,
    SqlDeviceEvents,
    SqlDialledIn,
    SqlFirmware,
    SqlGuard,
    SqlKeptMessages,
    SqlOutgoing,
    SqlQuarantine,
    SqlReadings,
    SqlReceivedCounters,
    SqlRegistry,
    SqlResults,
    SqlScalerUnits,
    SqlSchedules,
    SqlSeenMessages,
    SqlTraces,
    SqlUsagePoints,
    Stop,
    StoredAnswer,
    StoredApproval,
    StoredCaller,
    StoredCampaign,
    StoredCommissioning,
    StoredDeviceEvent,
    StoredImage,
    StoredMeter,
    StoredRequest,
    StoredResult,
    StoredRun,
    StoredSchedule,
    StoredSeries,
    StoredSession,
    StoredSource,
    StoredTransfer,
    StoredUsagePoint,
    TransferStage,
    recognise,
)
from ami_hes.store.tables import counter_mark
from ami_process.store.mark import MarkFile

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
NOBODY = "http://127.0.0.1:9/cim"
ACKNOWLEDGEMENT = (
    b'<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"><s:Body>'
    b'<ResponseMessage xmlns="http://iec.ch/TC57/2011/schema/message"/>'
    b"</s:Body></s:Envelope>"
)
MRID = "00000000-0000-4000-8000-00000000{}"
KEYS = (Sealed("encryption_key", "a master key", bytes(range(44))), Sealed("secret", "a master key", bytes(range(36))))
METERS = (
    StoredMeter(MRID.format("1001"), "M1001", "a.json", '{"name": "M1001"}', KEYS),
    StoredMeter(MRID.format("1002"), "M1002", "import", '{"name": "M1002"}', ()),
)
READINGS = StoredSeries(
    reading_type="0.0.2.1.1.1.12.0.0.0.0.0.0.0.0.0.72.0",
    times=(900_000, 1_800_000),
    values=("4711.10", None),
    qualities=("1.0.0 1.4.16", "2.5.259"),
    received=(5, 6),
    by_meter=(True, True),
)
SCHEDULE = StoredSchedule(
    schedule_id=MRID.format("5001"), name="daily", definition='{"at": "00:30"}', enabled=True, next_due_at=NOW
)
RUN = StoredRun(
    run_id=MRID.format("6001"),
    schedule_id=SCHEDULE.schedule_id,
    due_at=NOW - timedelta(days=1),
    period_start=NOW - timedelta(days=2),
    period_end=NOW - timedelta(days=1),
    deadline_at=NOW - timedelta(hours=23),
    parts=1,
    meters=2,
)
CHANGED_KEYS = {MRID.format("1001"): [Sealed("sent encryption_key", "a master key", bytes(range(44)))]}
CAMPAIGN = StoredCampaign(
    campaign_id="open",
    kind="keys",
    summary="roll encryption keys",
    state=CampaignState.PAUSED,
    created_at=NOW,
    at_once=7,
)
FIRMWARE = bytes(range(100))
IMAGE = StoredImage(
    identifier="fw-2",
    version="2.0",
    version_object="1-0:0.2.0*255",
    size=len(FIRMWARE),
    sha256=sha256(FIRMWARE).hexdigest(),
    imported_at=NOW,
)
TRANSFER = StoredTransfer(
    mrid=MRID.format("1001"),
    request_id="open",
    identifier="fw-2",
    sha256=IMAGE.sha256,
    stage=TransferStage.TRANSFERRING,
    blocks=4,
    there=3,
    changed_at=NOW,
    named="5632",
)
POINT = StoredUsagePoint(MRID.format("9001"), "House 5", '{"names": [{"name": "House 5"}]}')
NOTED = NotedChange(MRID.format("9101"), "usage-point", "created", '{"tags": {}}')
ALARM = StoredDeviceEvent(
    event_id=MRID.format("8001"),
    mrid=MRID.format("1001"),
    meter_name="M1001",
    code="0.12.0.257",
    source="alarm",
    created_at=NOW,
    by_meter=True,
    received_at=NOW + timedelta(seconds=2),
    secured=True,
    reason="fraud attempt",
    details='[["bit", "13"]]',
    alarm="0-0:97.98.0*255/13",
)
COMMISSIONING = StoredCommissioning(
    mrid=MRID.format("1001"),
    state=MeterState.FAILED,
    request_id="open",
    changed_at=NOW,
    steps=(CommissioningStep("identity", StepResult.DONE, "LDN1"), CommissioningStep("clock", StepResult.FAILED, "no")),
)
CALLER = StoredCaller("XYZ0000000007001", "58595a0000001b59", "192.0.2.9:40000", NOW, NOW + timedelta(hours=1), 3)
APPROVAL = StoredApproval(
    request_id="open",
    kind=ApprovalOf.REQUEST,
    guarded="disconnects",
    principal="CIS",
    summary="create EndDeviceControls 3.31.0.23",
    meters=MetersOf(1, "f" * 64, ("M1001",)),
    why="protected",
    asked_at=NOW,
    expires_at=NOW + timedelta(days=1),
)
SESSION = StoredSession("d" * 64, "Ada", ("operator",), "token", NOW + timedelta(hours=12))
SCALER_UNITS = "3 1-0:1.8.0*255 3 0 30; 3 1-0:2.8.0*255 3 0 30"
EVENT = StoredRequest(
    request_id="event",
    digest="",
    verb="created",
    noun="MeterReadings",
    correlation_id=MRID.format("7001"),
    reply_address=NOBODY,
    accepted_at=NOW,
    deadline_at=NOW + timedelta(days=3),
    errors="[]",
    answer=b"<event>" + b"<value>1.000</value>" * 500 + b"</event>",
    result="OK",
)
REQUESTS = (
    ("answered", None),
    ("owed", NOBODY),
    ("open", NOBODY),
)


def request(name: str, second: int, reply_address: str | None) -> StoredRequest:
    at = NOW + timedelta(seconds=second)
    return StoredRequest(
        request_id=name,
        digest=f"digest of {name}",
        verb="create",
        noun="EndDeviceControls",
        source="CIS",
        principal="CIS",
        principal_by="header",
        correlation_id=f"{name}-correlation",
        reply_address=reply_address,
        accepted_at=at,
        deadline_at=at + timedelta(seconds=30),
        errors="[]",
        acknowledgement=None if reply_address is None else ACKNOWLEDGEMENT,
    )


def command(name: str, meter: str, second: int = 0) -> CommandJob:
    mrid = MRID.format(meter[1:])
    asked = Command(name, MeterId(meter, mrid), "disconnect_control", "3.31.0.23")
    return CommandJob(asked, Lane.CONTROL, NOW + timedelta(seconds=second + 30))


def result(name: str, meter: str) -> StoredResult:
    outcome = Outcome(True, reason="disconnected", payload='{"before": "connected"}', attempted=True)
    return StoredResult(request_id=name, meter_name=meter, outcome=outcome, took_ms=12.5, finished_at=NOW)


async def write_hes(path: Path) -> None:
    async with Database(path) as database:
        results, deliveries = SqlResults(database), SqlDeliveries(database)
        for second, (name, address) in enumerate(REQUESTS):
            commands = [command(name, "M1001", second), command(name, "M1002", second)]
            await results.accept(request(name, second, address), commands, nonce=f"nonce of {name}")
        for name in ("answered", "owed"):
            await results.save([result(name, "M1001"), result(name, "M1002")])
            await results.answer({name: StoredAnswer("OK", f"<answer of='{name}'/>".encode(), (b"<part/>",))}, NOW)
        await results.attempt("open", "M1001", NOW)
        await results.save([result("open", "M1002")])
        dialled_in = SqlDialledIn(database)
        await dialled_in.take_number()
        await dialled_in.claim(MRID.format("1001"))
        await results.accept(request("old", 5, None), [command("old", "M1001")])
        await results.save([result("old", "M1001")])
        await results.answer({"old": StoredAnswer("OK", b"<old/>")}, NOW - timedelta(days=1))
        assert await results.forget(NOW, ids_kept=9) == 1
        await deliveries.failed("owed", "connection refused", NOW)
        mark = MarkFile(path.with_name("hes.mark"))
        assert await recognise(database, mark, lambda length: bytes(range(length))) is None
        counters, received = SqlCounters(database, KeptMark(mark)), SqlReceivedCounters(database)
        await counters.reserve_counters("key of two meters", 0, 300)
        await counters.reserve_counters("another key", 7, 1)
        await received.keep(ReceivedKey("LDN1", "key of two meters", "push"), 17)
        sources = [StoredSource("a.json", Sealed("digest", "a master key", bytes(range(60))))]
        await SqlRegistry(database).change(RegistryChange(meters=METERS, sources=sources, changed_keys=CHANGED_KEYS))
        await SqlReadings(database).keep(MRID.format("1001"), [READINGS])
        schedules = SqlSchedules(database)
        await schedules.put(SCHEDULE)
        await schedules.begin(RUN, NOW)
        await schedules.completed(SCHEDULE.schedule_id, {MRID.format("1001"): NOW})
        await SqlCampaigns(database).put(CAMPAIGN)
        outgoing = SqlOutgoing(database)
        await outgoing.publish(EVENT, "mdm")
        await results.replied("event", NOW)
        await outgoing.owe_again(["event"], NOW + timedelta(hours=1), whole=True, addresses={})
        await results.replied("event", NOW + timedelta(hours=1))
        await SqlScalerUnits(database).keep("LDN1", SCALER_UNITS)
        await SqlKeptMessages(database).keep("open", b"<message of='open'/>")
        device_events = SqlDeviceEvents(database)
        await device_events.keep(Happened(mrid=ALARM.mrid, at=NOW, events=[ALARM]))
        await device_events.mark_log(ALARM.mrid, "0-0:99.98.1*255", seen_at=NOW, read_at=NOW)
        await SqlCommissioning(database).keep(COMMISSIONING)
        await SqlQuarantine(database).keep([CALLER], [])
        firmware = SqlFirmware(database)
        await firmware.declare(IMAGE)
        for offset in (0, 60):
            await firmware.add_part("fw-2", offset, FIRMWARE[offset : offset + 60])
        await firmware.keep_transfer(TRANSFER)
        await SqlUsagePoints(database).put(POINT, [MRID.format("9001"), "house 5"], [NOTED])
        attempts = [
            KeptAttempt("answered", "M1001", NOW, True, b"packed"),
            KeptAttempt("open", "M1002", NOW, False, b""),
        ]
        await SqlTraces(database).keep(attempts, [KeptArrival("answered", NOW, b"packed")])
        guard = SqlGuard(database)
        await guard.want_approval(APPROVAL, "header")
        for stopped in (True, False):
            await guard.say_stop(Stop(stopped, "Ada", NOW, "drill"), "bearer")
        await SqlConsoleSessions(database).begin(SESSION, NOW, 9)
        assert await SqlSeenMessages(database, 9, timedelta(minutes=6), lambda: NOW).claim(bytes(range(32)))
        await database.transaction(lambda c: c.execute(update(counter_mark).values(identity="- 4711")))
        mark.path.unlink()
        await database.check()


directory, suffix = Path(sys.argv[1]), sys.argv[2]
asyncio.run(write_hes(directory / f"hes-{suffix}.sqlite"))
