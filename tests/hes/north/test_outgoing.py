"""What goes to subscribers again: events as files, replays, dead letters that are retried or dropped; over the API and the command line."""

from __future__ import annotations

import asyncio
import csv
import resource
import threading
import uuid
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from north_bench import SCHEMAS, Cis, North, mrid
from scheduled import DAY, DUE, ORDER, START, Readers, clock_at, collecting, event_of, order, reported

from ami_cim import wire
from ami_cim.envelope import parse_event
from ami_cim.errors import CimError
from ami_cim.message import EventMessage
from ami_cim.payloads.meter_readings import MeterReadings
from ami_cim.xml import parse
from ami_hes import file_drop
from ami_hes.__main__ import main
from ami_hes.file_drop import EventFile, FileDrop, address_of, name_of
from ami_hes.outbox import NotServed
from ami_hes.reply_hosts import NoAnswer

AT = datetime(2026, 3, 28, 23, 30, 0, 5, tzinfo=UTC)


def document(path: Path) -> EventMessage:
    """What a reader of a file gets, which is valid."""
    root = parse(path.read_bytes())
    SCHEMAS.validate(root)
    message = parse_event(root).message
    assert isinstance(message, EventMessage)
    return message


def names_in(path: Path) -> list[str]:
    payload = document(path).payload
    assert isinstance(payload, MeterReadings)
    return [one.meter.names[0].name for one in payload.meter_readings if one.meter is not None]


async def hes_command(hes: North, *arguments: str) -> int:
    return await asyncio.to_thread(main, [*arguments, "--url", hes.url])


async def test_each_event_is_a_file_of_some_meters_whose_name_tells_its_message_id(
    tmp_path: Path, events: list[Any]
) -> None:
    clock, drop, table = clock_at(START), tmp_path / "drop", tmp_path / "table"
    drop.mkdir()
    table.mkdir()
    subscribers = (
        {"name": "mdm", "directory": drop, "meters_per_file": 2, "event": "typed"},
        {"name": "sheet", "directory": table, "file_format": "csv", "groups": ["feeder=F13"]},
    )
    async with collecting(tmp_path, clock, events, Readers(), *subscribers) as hes:
        await order(hes, group=None, meters=["M1", "M2", "M3"])
        await clock.advance_to(DUE)
        await reported(events, "reply_sent", 3)
        listed = (await hes.client.get(f"{hes.url}/api/v1/subscribers")).json()["subscribers"]
    assert [(one["name"], one["target"], one["events"], one["taken"]) for one in listed] == [
        ("mdm", str(drop), 2, 2),
        ("sheet", str(table), 1, 1),
    ]
    files = sorted(drop.iterdir())
    assert sorted(map(names_in, files)) == [["M1", "M2"], ["M3"]]
    for one in files:
        header = document(one).header
        assert one.name == name_of(event(header.message_id or "", DUE), b"<")
    (sheet,) = table.iterdir()
    rows = list(csv.DictReader(sheet.read_text().splitlines()))
    assert {(one["mrid"], one["meter"], one["qualities"]) for one in rows} == {(mrid(3), "M3", "1.0.0")}
    assert (len(rows), rows[-1]["time"], rows[-1]["reading_type"]) == (
        96,
        "2026-03-28T23:00:00Z",
        ORDER["reading_types"][0],
    )


async def test_the_name_of_a_file_goes_by_what_is_in_it_whatever_the_format_is_by_now(tmp_path: Path) -> None:
    with closing(FileDrop({"mdm": tmp_path}, timeout_s=10)) as drop:
        for message_id, octets in (("made-as-xml", b"<?xml version='1.0'?><a/>"), ("made-as-csv", b"mrid,meter\r\n")):
            await drop.write("drop:mdm", event(message_id, DUE), octets)
    assert sorted(one.name.rpartition("-made-as-")[2] for one in tmp_path.iterdir()) == ["csv.csv", "xml.xml"]


async def test_a_directory_that_takes_nothing_is_tried_again_and_keeps_no_other_back(
    tmp_path: Path, events: list[Any]
) -> None:
    clock, drop = clock_at(START), tmp_path / "not-there-yet"
    async with Cis().serving() as mdm:
        subscribers = ({"name": "files", "directory": drop}, {"name": "mdm", "url": mdm.url})
        async with collecting(tmp_path, clock, events, Readers(), *subscribers) as hes:
            (unusable,) = await reported(events, "directory_unusable")
            assert (unusable["subscriber"], unusable["directory"]) == ("files", str(drop))
            assert unusable["reason"] == "No such file or directory", "said at the start, and not at the first event"
            await order(hes)
            await clock.advance_to(DUE)
            await mdm.taken.get()
            (postponed, *_) = await reported(events, "reply_postponed")
            assert (postponed["address"], "did not take the file" in postponed["reason"]) == ("drop:files", True)
            drop.mkdir()
            await reported(events, "reply_sent", 2)
        assert len(list(drop.iterdir())) == 1


async def test_events_are_replayed_from_a_moment_on_under_their_message_ids(
    tmp_path: Path, events: list[Any], capsys: pytest.CaptureFixture[str]
) -> None:
    """To where the subscriber is by then."""
    clock = clock_at(START)
    async with Cis().serving() as before, Cis().serving() as now:
        async with collecting(tmp_path, clock, events, Readers(), {"name": "mdm", "url": before.url}) as hes:
            await order(hes)
            for day in range(3):
                await clock.advance_to(DUE + day * DAY)
                await reported(events, "reply_sent", day + 1)
        clock = clock_at(DUE + 2 * DAY + timedelta(hours=1))
        async with collecting(tmp_path, clock, events, Readers(), {"name": "mdm", "url": now.url}) as hes:
            since = (DUE + DAY).isoformat()
            assert await hes_command(hes, "subscribers", "replay", "mdm", "--from", since) == 0
            assert "2 events are sent again" in capsys.readouterr().out
            replayed = [await now.taken.get() for _ in range(2)]
            until = await hes.client.post(
                f"{hes.url}/api/v1/subscribers/mdm/replay", json={"since": DUE.isoformat(), "until": since}
            )
            assert until.json() == {"messages": 1}
            replayed.insert(0, await now.taken.get())
            assert await hes_command(hes, "subscribers", "replay", "other", "--from", since) == 2
            assert await hes_command(hes, "subscribers", "replay", "mdm", "--from", "yesterday") == 2
    sent = [body for _, body in before.requests]
    assert sorted(replayed) == sorted(sent) and len({event_of(one).header.message_id for one in sent}) == 3


async def test_dead_letters_are_listed_retried_and_dropped(
    tmp_path: Path, events: list[Any], capsys: pytest.CaptureFixture[str]
) -> None:
    clock = clock_at(START)
    async with Cis((404, b"")).serving() as mdm:
        subscriber = {"name": "mdm", "url": mdm.url}
        async with collecting(tmp_path, clock, events, Readers(), subscriber) as hes:
            await order(hes)
            for day in range(2):
                await clock.advance_to(DUE + day * DAY)
                await reported(events, "reply_dead_letter", day + 1)
            listed = (await hes.client.get(f"{hes.url}/api/v1/dead-letters")).json()
            assert (listed["total"], [one["subscriber"] for one in listed["dead_letters"]]) == (2, ["mdm", "mdm"])
            latest, first = (one["message_id"] for one in listed["dead_letters"])
            assert await hes_command(hes, "dead-letters", "list") == 0
            assert first in capsys.readouterr().out
            mdm.answers = [(200, b"")]
            assert await hes_command(hes, "dead-letters", "retry", first, "unknown") == 0
            assert "1 dead letters are delivered again" in capsys.readouterr().out
            assert event_of(await mdm.taken.get()).header.message_id == first
            await reported(events, "reply_sent")
            assert await hes_command(hes, "dead-letters", "drop") == 2
            capsys.readouterr()
            for what in ("retry", "drop"):
                assert await hes_command(hes, "dead-letters", what, "unknown") == 2
                assert capsys.readouterr() == ("", "hes: there is no dead letter with any of these MessageIDs\n")
            assert await hes_command(hes, "dead-letters", "drop", "--all") == 0
            assert await hes_command(hes, "dead-letters", "list") == 0
            assert "There are no dead letters." in capsys.readouterr().out
            gone = await hes.client.get(f"{hes.url}/api/v1/requests/{latest}")
            assert gone.status_code == 404
            assert await hes_command(hes, "subscribers", "list") == 0
            assert [line.split()[:3] for line in capsys.readouterr().out.splitlines()][-1] == ["mdm", mdm.url, "1"]


async def test_what_a_receiver_says_does_nothing_to_the_terminal(
    tmp_path: Path, events: list[Any], capsys: pytest.CaptureFixture[str]
) -> None:
    """A fault may hold the one octet that begins a sequence of control, which XML allows."""
    clock = clock_at(START)
    said = wire.write_fault(CimError("2.5", "no such noun\x9b2J\u202e"))
    async with (
        Cis((500, said)).serving() as mdm,
        collecting(tmp_path, clock, events, Readers(), {"name": "mdm", "url": mdm.url}) as hes,
    ):
        await order(hes)
        await clock.advance_to(DUE)
        await reported(events, "reply_dead_letter")
        for command in (("dead-letters", "list"), ("jobs",)):
            assert await hes_command(hes, *command) == 0
            shown = capsys.readouterr().out
            assert "no such noun" in shown and all(line.isprintable() for line in shown.splitlines())


async def test_a_retry_is_owed_over_a_restart_for_as_long_as_a_new_message(tmp_path: Path, events: list[Any]) -> None:
    """Its age counts from the retry on, or it would be given up with the first failure."""
    clock = clock_at(START)
    options = {"reply_max_age_s": 3600.0, "reply_retry_most_s": 0.05}
    async with Cis((404, b"")).serving() as mdm:
        subscriber = {"name": "mdm", "url": mdm.url}
        async with collecting(tmp_path, clock, events, Readers(), subscriber, **options) as hes:
            await order(hes)
            await clock.advance_to(DUE)
            await reported(events, "reply_dead_letter")
        mdm.answers = [(503, b"")]
        clock = clock_at(DUE + 2 * DAY)
        async with collecting(tmp_path, clock, events, Readers(), subscriber, **options) as hes:
            assert (await hes.client.post(f"{hes.url}/api/v1/dead-letters", json={"all": True})).json() == {
                "messages": 1
            }
            await reported(events, "reply_postponed")
        count = len([one for one in events if one["event"] == "reply_postponed"])
        async with collecting(tmp_path, clock, events, Readers(), subscriber, **options):
            await reported(events, "reply_postponed", count + 1)
        assert len([one for one in events if one["event"] == "reply_dead_letter"]) == 1


OTHER_DIALECT = (
    b'<e:Envelope xmlns:e="http://schemas.xmlsoap.org/soap/envelope/"><e:Body><Taken xmlns="urn:theirs"/></e:Body>'
    b"</e:Envelope>"
)


@pytest.mark.parametrize(
    ("body", "ack_required", "taken"),
    [
        (b"<html>Please sign in</html>", True, False),
        (b"OK", True, False),
        (b"<html>Please sign in</html>", False, True),
        (OTHER_DIALECT, True, True),
        (b"", True, True),
    ],
)
async def test_what_acknowledges_an_event(
    tmp_path: Path, events: list[Any], body: bytes, ack_required: bool, taken: bool
) -> None:
    clock = clock_at(START)
    async with Cis((200, body)).serving() as mdm:
        subscriber = {"name": "mdm", "url": mdm.url, "ack_required": ack_required}
        async with collecting(tmp_path, clock, events, Readers(), subscriber) as hes:
            await order(hes)
            await clock.advance_to(DUE)
            if taken:
                await reported(events, "reply_sent")
                return
            (postponed, *_) = await reported(events, "reply_postponed")
            assert postponed["reason"].startswith("HTTP status 200 with a body that acknowledges nothing: ")
            mdm.answers = [(200, b"")]
            await reported(events, "reply_sent")


@pytest.mark.parametrize(
    ("method", "path", "content", "status"),
    [
        ("POST", "dead-letters", {}, 422),
        ("POST", "dead-letters", {"message_ids": ["a"], "all": True}, 422),
        ("DELETE", "dead-letters", {"message_ids": ["a"] * 1001}, 422),
        ("POST", "subscribers/mdm/replay", {"since": "2026-03-28T00:00:00"}, 422),
        ("POST", "subscribers/mdm/replay", {"since": "2026-03-28T00:00:00Z"}, 404),
        ("POST", "dead-letters", {"message_ids": ["a"]}, 200),
    ],
)
async def test_what_is_no_order_is_refused(
    tmp_path: Path, events: list[Any], method: str, path: str, content: dict[str, Any], status: int
) -> None:
    async with collecting(tmp_path, clock_at(START), events, Readers()) as hes:
        answer = await hes.client.request(method, f"{hes.url}/api/v1/{path}", json=content)
    assert answer.status_code == status, answer.text


@pytest.mark.parametrize(
    ("wanted", "messages"),
    [
        ({"since": "0001-01-01T00:00:00+14:00"}, 1),
        ({"since": "0001-01-01T00:00:00+14:00", "until": "9999-12-31T23:59:59-14:00"}, 1),
        ({"since": "9999-12-31T23:59:59-14:00"}, 0),
    ],
)
async def test_a_moment_that_utc_does_not_have_is_the_first_or_the_last(
    tmp_path: Path, events: list[Any], wanted: dict[str, str], messages: int
) -> None:
    clock, drop = clock_at(START), tmp_path / "drop"
    drop.mkdir()
    async with collecting(tmp_path, clock, events, Readers(), {"name": "mdm", "directory": drop}) as hes:
        await order(hes)
        await clock.advance_to(DUE)
        await reported(events, "reply_sent")
        answer = await hes.client.post(f"{hes.url}/api/v1/subscribers/mdm/replay", json=wanted)
        assert (answer.status_code, answer.json()) == (200, {"messages": messages})


# files


def event(message_id: str, at: datetime | None = None) -> EventFile:
    return EventFile(at or AT, "MeterReadings", "created", message_id)


def drop_at(directory: Path, timeout_s: float = 20.0) -> FileDrop:
    return FileDrop({"mdm": directory}, timeout_s)


async def test_a_file_is_there_as_a_whole_or_not_at_all(tmp_path: Path) -> None:
    """What a disk has no room for leaves nothing behind, and the same event is one file however often it is written."""
    one, other = str(uuid.UUID(int=1)), str(uuid.UUID(int=2))
    drop = drop_at(tmp_path)
    with files_up_to(1_000), pytest.raises(NoAnswer, match="did not take the file: File too large"):
        await drop.write(address_of("mdm"), event(one), b"x" * 2_000)
    assert list(tmp_path.iterdir()) == []
    for octets in (b"<first/>", b"<second/>"):
        await drop.write(address_of("mdm"), event(one), octets)
    await drop.write(address_of("mdm"), event(other), b"<other/>")
    files = sorted(tmp_path.iterdir())
    assert [(file.name, file.read_bytes()) for file in files] == [
        (f"20260328T233000.000005Z-MeterReadings-created-{one}.xml", b"<second/>"),
        (f"20260328T233000.000005Z-MeterReadings-created-{other}.xml", b"<other/>"),
    ]


@contextmanager
def files_up_to(octets: int) -> Iterator[None]:
    """No file of this process may be larger, as on a disk without room."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (octets, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


async def test_nothing_is_written_for_who_is_not_configured_or_under_another_name(tmp_path: Path) -> None:
    drop = drop_at(tmp_path)
    with pytest.raises(NotServed, match="no other with a directory"):
        await drop.write(address_of("other"), event(str(uuid.UUID(int=1))), b"")
    with pytest.raises(NotServed, match="no part of a file's name"):
        await drop.write(address_of("mdm"), event("../../etc/passwd"), b"")
    assert list(tmp_path.iterdir()) == []


async def test_a_directory_that_hangs_is_given_up_for_now(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    released = threading.Event()
    monkeypatch.setattr("ami_hes.file_drop.os.fsync", lambda _: released.wait())
    with pytest.raises(NoAnswer, match=r"within 0\.05 s"):
        await drop_at(tmp_path, 0.05).write(address_of("mdm"), event(str(uuid.UUID(int=1))), b"")
    released.set()


async def test_a_directory_that_hangs_keeps_no_other_waiting(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    released, hanging, there = threading.Event(), tmp_path / "hanging", tmp_path / "there"
    there.mkdir()
    hanging.mkdir()
    write = file_drop._write

    def written(path: Path, octets: bytes) -> None:
        if path.parent == hanging:
            released.wait()
        write(path, octets)

    monkeypatch.setattr(file_drop, "_write", written)
    drop = FileDrop({one.name: one for one in (hanging, there)}, 5.0)
    ids = [str(uuid.UUID(int=number)) for number in range(8)]
    stuck = [asyncio.create_task(drop.write(address_of("hanging"), event(one), b"")) for one in ids]
    try:
        await asyncio.sleep(0)
        await drop.write(address_of("there"), event(ids[0]), b"")
        assert not any(one.done() for one in stuck) and len(list(there.iterdir())) == 1
    finally:
        released.set()
        await asyncio.gather(*stuck)
    assert len(list(hanging.iterdir())) == len(ids)


async def test_no_reply_address_of_the_network_is_a_directory(tmp_path: Path) -> None:
    from test_replies import ask

    async with collecting(tmp_path, clock_at(START), [], Readers(), {"name": "mdm", "directory": tmp_path}) as hes:
        reply = await ask(hes, address_of("mdm"), "m1")
        assert (reply.result, [one.code for one in reply.errors]) == ("FAILED", ["1.5"])
