"""Each invariant can fail: what it forbids is planted, in the stores' own schemas and in the frames as they go over the wire, and it is told."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from sqlite3 import connect

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from ami_cis.store import SCHEMA as CIS
from ami_dlms import apdu, data
from ami_dlms.apdu.action import ActionRequestNormal
from ami_dlms.apdu.get import GetRequestNormal, GetResponseNormal
from ami_dlms.cosem.descriptors import AttributeDescriptor, MethodDescriptor
from ami_dlms.framing import wrapper
from ami_hes.audit import AuditEntry, What
from ami_hes.store import SCHEMA as HES
from ami_hes.store.audit import write
from ami_process.store.places import engine_of
from chaos import invariants
from chaos.ledger import Entry, Final, Ledger
from chaos.wires import SWITCH, Ciphered, Seen, Watcher

KEY, TITLE, OTHER = bytes(range(16)), b"HES00001", b"MET00001"
METER = "M1001"
OK, FAILED = Final("a", "OK", "1"), Final("b", "FAILED", "2")


@pytest.fixture
def hes(tmp_path: Path) -> Path:
    """The store of a head-end, empty."""
    return made(tmp_path / "hes.sqlite", HES)


@pytest.fixture
def cis(tmp_path: Path) -> Path:
    return made(tmp_path / "cis.sqlite", CIS)


def made(place: Path, schema: object) -> Path:
    engine = engine_of(place)
    schema.tables.create_all(engine)  # type: ignore[attr-defined]
    engine.dispose()
    return place


def change(place: Path, statement: str, *values: object) -> None:
    """As no process of ours would: without foreign keys."""
    with closing(connect(place)) as store, store:
        store.execute(statement, values)


def insert(place: Path, table: str, **values: object) -> None:
    """A row with something in each column that has to have a value."""
    with closing(connect(place)) as store, store:
        needed = {
            name: "" for _, name, _, needs, _, key in store.execute(f"PRAGMA table_info({table})") if needs or key
        }
        row = needed | values
        store.execute(
            f"INSERT INTO {table} ({', '.join(row)}) VALUES ({', '.join('?' * len(row))})", list(row.values())
        )


def ledger(**values: object) -> tuple[Ledger, Entry]:
    book = Ledger()
    return book, book.open(Entry("m", "control", "CIS", METER, 3, connects=True, **values))  # type: ignore[arg-type]


# --- the customers' book


def test_a_request_without_an_end_is_lost() -> None:
    book, entry = ledger(asked_at=time.monotonic() - 100)
    assert not list(invariants.overdue(book, 200))
    (told,) = invariants.overdue(book, 50)
    assert "step 3" in told and "no end after 100 s" in told
    entry.reply(OK)
    assert not list(invariants.overdue(book, 50))


def test_the_same_reply_twice_is_allowed_and_another_one_is_not() -> None:
    book, entry = ledger()
    for _ in range(2):
        book.reply("m", OK)
    assert not list(invariants.second_replies(book))
    book.reply("m", OK._replace(message_id="c"))
    (told,) = invariants.second_replies(book)
    assert "different replies" in told
    book.reply("nobody", OK)
    assert any("was not asked" in one for one in invariants.second_replies(book))
    assert entry.result == "OK"


def test_who_was_refused_has_no_answer() -> None:
    book, entry = ledger()
    entry.refuse("the store is away")
    assert not list(invariants.second_replies(book))
    entry.reply(OK)
    (told,) = invariants.second_replies(book)
    assert "was refused" in told and "answered" in told


def test_an_ok_that_the_meter_does_not_show() -> None:
    book, entry = ledger()
    entry.reply(OK)
    assert not list(invariants.differing(book, {METER: True}))
    (told,) = invariants.differing(book, {METER: False})
    assert "answered OK" in told


def test_nothing_is_said_of_a_meter_whose_last_answer_was_a_failure() -> None:
    book, entry = ledger()
    entry.reply(FAILED)
    assert not list(invariants.differing(book, {METER: False}))


# --- the wires


def glo(counter: int, clear: bytes, title: bytes = TITLE) -> bytes:
    """A general-glo-ciphering APDU, encrypted and authenticated."""
    control = bytes([0x30])
    sealed = AESGCM(KEY).encrypt(title + counter.to_bytes(4), clear, control + bytes(16))
    content = control + counter.to_bytes(4) + sealed[:-4]  # of GCM's 16 octets of tag DLMS has 12
    return bytes([0xDB, 8]) + title + bytes([len(content)]) + content


@pytest.fixture
def seen() -> Seen:
    return Seen({METER: KEY})


class Wire:
    """One connection; each frame with the next counter."""

    def __init__(self, seen: Seen, begin: int = 1) -> None:
        self._watcher, self._counter = Watcher(seen, METER), begin

    def hes(self, request: object) -> None:
        self._pass(self._watcher.from_hes, TITLE, request)

    def meter(self, response: object) -> None:
        self._pass(self._watcher.from_meter, OTHER, response)

    def _pass(self, hand_on: object, title: bytes, one: object) -> None:
        octets = wrapper.encode(wrapper.WrapperPdu(1, 1, glo(self._counter, apdu.encode(one), title)))  # type: ignore[arg-type]
        self._counter += 1
        assert callable(hand_on)
        for octet in octets:
            hand_on(bytes([octet]))


ACTION = ActionRequestNormal(0xC1, MethodDescriptor(70, SWITCH, 1), data.integer(0))
READ = GetRequestNormal(0xC1, AttributeDescriptor(70, SWITCH, 2))
STATE = GetResponseNormal(0xC1, data.boolean(False))


def test_what_is_ciphered_is_read() -> None:
    clear = apdu.encode(ACTION)
    one = Ciphered.of(glo(5, clear))
    assert one is not None
    assert (one.title, one.counter, one.clear(KEY)) == (TITLE, 5, clear)


def test_a_second_action_without_a_read(seen: Seen) -> None:
    wire = Wire(seen)
    for one in (ACTION, READ):
        wire.hes(one)
    wire.meter(STATE)
    wire.hes(ACTION)
    assert (seen.switchings, seen.broken) == (2, [])
    Wire(seen, begin=100).hes(ACTION)  # a new connection, as after a kill
    ((name, told),) = invariants.of_wires(seen)
    assert name == invariants.BLIND and "second ACTION" in told


def test_a_read_that_was_not_answered_is_none(seen: Seen) -> None:
    wire = Wire(seen)
    for one in (ACTION, READ, ACTION):
        wire.hes(one)
    assert [name for name, _ in invariants.of_wires(seen)] == [invariants.BLIND]


def test_a_counter_that_is_used_for_two_frames(seen: Seen) -> None:
    wire = Wire(seen, begin=7)
    wire.hes(READ)
    Wire(seen, begin=7).hes(READ)  # the same octets once more are the same frame
    assert seen.broken == []
    Wire(seen, begin=7).hes(ACTION)
    ((name, told),) = invariants.of_wires(seen)
    assert name == invariants.COUNTERS and "counter 7" in told
    Wire(seen, begin=7).meter(STATE)
    assert len(seen.broken) == 1, "the meter has counters of its own"


def test_a_counter_that_falls(hes: Path) -> None:
    counters = invariants.Counters()
    insert(hes, "key_counters", key_id="k", next_value=512, tried_from=0, tried_to=0)
    assert not list(counters.fallen(hes))
    change(hes, "UPDATE key_counters SET next_value = 256")
    (told,) = counters.fallen(hes)
    assert "was 512 and is 256" in told


# --- stores and logs


def test_a_store_that_is_not_whole(hes: Path) -> None:
    assert not list(invariants.not_whole(hes))
    insert(hes, "replies", request_id="nobody's", parts_taken=0)
    (told,) = invariants.not_whole(hes)
    assert "replies refers to nothing in requests" in told


def test_a_file_with_an_index_that_lies(hes: Path) -> None:
    insert(hes, "audit", seq=1, at="x", entry="{}", hash="0")
    with closing(connect(hes, isolation_level=None)) as store:
        store.execute("PRAGMA writable_schema = ON")
        store.execute("UPDATE sqlite_master SET sql = replace(sql, '(at)', '(hash)') WHERE name = 'audit_by_at'")
    assert any("audit_by_at" in told for told in invariants.not_whole(hes))


@pytest.mark.parametrize(
    ("statement", "says"),
    [
        ("UPDATE audit SET entry = replace(entry, 'CIS', 'SIC') WHERE seq = 2", "was changed"),
        ("DELETE FROM audit WHERE seq = 2", "missing"),
        ("DELETE FROM audit WHERE seq = 3", "was written last"),
    ],
)
def test_an_audit_log_that_is_not_whole(hes: Path, statement: str, says: str) -> None:
    engine = engine_of(hes)
    entry = AuditEntry(what=What.REFUSED, at=datetime.now(UTC), principal="CIS", by="header")
    with engine.begin() as connection:
        write(connection, [entry] * 3)
    engine.dispose()
    assert not list(invariants.audit_breaks(hes))
    change(hes, statement)
    assert any(says in told for told in invariants.audit_breaks(hes))


def test_an_accepted_control_that_no_entry_tells_of(hes: Path) -> None:
    insert(hes, "requests", request_id="r", verb="create", noun="EndDeviceControls")
    (told,) = invariants.audit_breaks(hes)
    assert "request r was accepted" in told


def test_a_secret_in_a_log_in_whatever_parts_it_is_read(tmp_path: Path) -> None:
    log = tmp_path / "hes-0001.log"
    log.write_text('{"event": "ready"}\n{"reason": "key 00FFA')
    logs = invariants.Logs({"00ffab12": "the master_key of M1001"})
    assert not list(logs.told([log]))
    with log.open("a") as more:
        more.write('B12 was refused"}\n')
    assert list(logs.told([log])) == [(invariants.SECRETS, "hes-0001.log has the master_key of M1001")]


def test_an_exception_that_nobody_has_foreseen(tmp_path: Path) -> None:
    log, logs = tmp_path / "cis-0001.log", invariants.Logs({})
    log.write_text('{"event": "log", "message": "a warning"}\n')
    assert not list(logs.told([log]))
    with log.open("a") as more:
        more.write('{"event": "reply_failed", "exception": "Traceback (most recent call last):\\n KeyError"}\n')
    ((name, told),) = logs.told([log])
    assert name == invariants.FAULTS and "keyerror" in told


# --- in the end


LEFT = {
    "a request without an answer": ("requests", {"request_id": "x"}),
    "a command without an end": ("commands", {"request_id": "x"}),
    "a reply that was not taken": ("replies", {"request_id": "x"}),
    "a reply that was given up": ("deliveries", {"request_id": "x", "given_up_at": "now"}),
    "a run of a schedule without an end": ("schedule_runs", {"run_id": "x"}),
    "a message that is still kept": ("kept_messages", {"request_id": "x"}),
    "an event that was not handed on": ("device_event_changes", {"number": 1, "event_id": "x"}),
}


@pytest.mark.parametrize("what", invariants.LEFT_OPEN)
def test_what_is_left_open(hes: Path, what: str) -> None:
    assert not list(invariants.left_open(hes))
    table, values = LEFT[what]
    insert(hes, table, **values)
    assert f"{what}: x" in list(invariants.left_open(hes))


def test_a_request_that_was_denied_and_is_there(hes: Path) -> None:
    book, entry = ledger()
    entry.refuse("nothing was accepted")
    assert not list(invariants.denied(book, hes))
    insert(hes, "requests", request_id="m")
    (told,) = invariants.denied(book, hes)
    assert "the head-end has it" in told


def book_of_cis(cis: Path, book: Ledger) -> Iterator[str]:
    return (f"{name}: {told}" for name, told in invariants.book_of_cis(book, cis))


@pytest.mark.parametrize("state", ["sent", "acknowledged", "unknown", "answered"])
def test_a_request_of_the_cis_without_a_final_reply(cis: Path, state: str) -> None:
    insert(cis, "requests", message_id="m", state=state)
    assert any(f"request m of the CIS is {state}" in told for told in book_of_cis(cis, Ledger()))


def test_a_request_of_the_cis_with_two_final_replies_or_with_none_that_is_kept(cis: Path) -> None:
    book, entry = ledger()
    insert(cis, "requests", message_id="m", state="answered")
    insert(cis, "replies", number=1, request="m", digest="1", final=True)
    entry.reply(OK)
    assert not list(book_of_cis(cis, book))
    insert(cis, "replies", number=2, request="m", digest="2", final=True)
    assert list(book_of_cis(cis, book)) == [f"{invariants.ONE_REPLY}: the CIS has 2 final replies to m"]
    change(cis, "DELETE FROM replies")
    change(cis, "DELETE FROM requests")
    assert any("has called answered" in told for told in book_of_cis(cis, book))


def test_an_event_that_was_not_told(hes: Path, cis: Path) -> None:
    insert(hes, "device_events", event_id="e")
    (told,) = invariants.events_untold(hes, cis)
    assert "device event e" in told
    insert(cis, "device_events", event_id="e")
    assert not list(invariants.events_untold(hes, cis))


async def test_a_customer_waits_for_what_was_promised() -> None:
    book, entry = ledger()
    waiting = asyncio.ensure_future(entry.ended.wait())
    assert list(book.under_way()) == [entry]
    book.reply("m", OK)
    await waiting
    assert not list(book.under_way())
