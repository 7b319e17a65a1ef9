"""What has to hold whatever is done to the processes; each check gives the words for what did not.

They look from the outside: at the customers' ledger, the wires, the logs, and at the stores, which are read beside the processes that hold
them. Some hold at any moment (`always`), the others when nothing is under way any more (`in_the_end`).
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from sqlite3 import connect

from postgresql_server import rows as rows_of

from ami_hes.audit.chain import Chain, Link, follow
from ami_process.store.places import Place
from chaos.ledger import Ledger
from chaos.wires import Seen

Rows = list[tuple[object, ...]]
NAMES = (
    "no accepted request is lost",
    "each has one final reply",
    "no meter is switched twice without a read",
    "no invocation counter is used twice",
    "the stores are whole",
    "the audit log is whole",
    "no secret is told",
    "what was answered is what the meter shows",
    "no process reports a fault of its own",
)
LOST, ONE_REPLY, BLIND, COUNTERS, STORES, AUDIT, SECRETS, TRUTH, FAULTS = NAMES
OF_OURS = ("traceback (most recent call last)", '"exception": "')
"""In small letters, what a log has of an exception that nobody has foreseen."""


class Broken(Exception):
    """An invariant did not hold; the text says which, and how."""


def rows(place: Place, query: str) -> Rows:
    """What is in a store now; a file is opened to be read and nothing else."""
    if not isinstance(place, Path):
        return rows_of(place, query)
    with closing(connect(f"file:{place}?mode=ro", uri=True, timeout=30)) as store:
        return [tuple(row) for row in store.execute(query)]


# --- at any moment


def overdue(ledger: Ledger, patience_s: float) -> Iterator[str]:
    """Accepted and still without an end after so long."""
    for one in ledger.under_way():
        waited = time.monotonic() - one.asked_at
        if waited > patience_s:
            yield (
                f"{one.what} {one.message_id} ({one.way}) of {one.meter}, asked in step {one.step}: no end after {waited:.0f} s"
            )


def second_replies(ledger: Ledger) -> Iterator[str]:
    """More than one reply that differ; the same one again is at least once, as it is promised."""
    yield from ledger.strange
    for one in ledger.entries.values():
        if len(set(one.finals)) > 1:
            told = ", ".join(f"{final.result} {final.message_id} {final.digest[:8]}" for final in one.finals)
            yield f"{one.what} {one.message_id} ({one.way}) of {one.meter} has different replies: {told}"
        if one.refused and one.finals:
            yield f"{one.what} {one.message_id} ({one.way}) was refused ({one.refused}) and answered"


def not_whole(store: Path) -> Iterator[str]:
    """What SQLite itself finds wrong."""
    for (found,) in rows(store, "PRAGMA integrity_check"):
        if found != "ok":
            yield f"{store.name}: {found}"
    for table, row, parent, _ in rows(store, "PRAGMA foreign_key_check"):
        yield f"{store.name}: row {row} of {table} refers to nothing in {parent}"


def audit_breaks(place: Place) -> Iterator[str]:
    """Of the chain; and an accepted control is in it."""
    (chain,) = rows(place, "SELECT base_seq, base_hash, seq, hash FROM audit_chain") or [(0, "0" * 64, 0, "0" * 64)]
    links = rows(place, f"SELECT seq, entry, hash FROM audit WHERE seq <= {chain[2]} ORDER BY seq")
    yield from follow((Link(*one) for one in links), Chain(*chain)).problems  # type: ignore[arg-type]
    missing = rows(
        place,
        "SELECT request_id FROM requests WHERE verb = 'create' AND noun = 'EndDeviceControls' "
        "AND request_id NOT IN (SELECT request_id FROM audit WHERE request_id IS NOT NULL)",
    )
    yield from (f"request {one} was accepted, and no entry says so" for (one,) in missing)


@dataclass
class Counters:
    """What the store of the head-end says of its counters, look by look."""

    next_values: dict[object, int] = field(default_factory=dict)

    def fallen(self, place: Place) -> Iterator[str]:
        """Keys whose counter is lower than it was: what lies between would be used again."""
        for key_id, value in rows(place, "SELECT key_id, next_value FROM key_counters"):
            assert isinstance(value, int)
            if value < self.next_values.get(key_id, 0):
                yield f"key {key_id}: the counter was {self.next_values[key_id]} and is {value}"
            self.next_values[key_id] = value


@dataclass
class Logs:
    """What the processes print, read on from where the last look has ended."""

    secrets: dict[str, str]
    """What they are, by what must not be anywhere: in small letters."""
    _read: dict[Path, int] = field(default_factory=dict)

    def told(self, files: Iterable[Path]) -> Iterator[tuple[str, str]]:
        """Under the names of the invariants."""
        longest = max(map(len, self.secrets), default=0)
        for file in files:
            begin = self._read.get(file, 0)
            with file.open("rb") as log:
                log.seek(max(begin - longest, 0))
                text = log.read().decode("utf-8", "replace").lower()
                self._read[file] = log.tell()
            yield from ((SECRETS, f"{file.name} has {what}") for secret, what in self.secrets.items() if secret in text)
            if any(one in text for one in OF_OURS):
                fault = next(line for line in text.splitlines() if any(one in line for one in OF_OURS))
                yield FAULTS, f"{file.name}: ... {fault[-300:]}"


def of_wires(seen: Seen) -> Iterator[tuple[str, str]]:
    """What was noticed there, under the name of its invariant."""
    for one in seen.broken:
        yield (BLIND if "ACTION" in one else COUNTERS), one


# --- when nothing is under way any more


def left_open(hes: Place) -> Iterator[str]:
    """What the store of the head-end has without an end."""
    for what, query in LEFT_OPEN.items():
        yield from (f"{what}: {one[0]}" for one in rows(hes, query))


LEFT_OPEN = {
    "a request without an answer": "SELECT request_id FROM requests WHERE answer IS NULL",
    "a command without an end": "SELECT request_id FROM commands WHERE finished_at IS NULL",
    "a reply that was not taken": "SELECT replies.request_id FROM replies LEFT JOIN deliveries "
    "ON deliveries.request_id = replies.request_id WHERE taken_at IS NULL AND given_up_at IS NULL",
    "a reply that was given up": "SELECT request_id FROM deliveries WHERE given_up_at IS NOT NULL",
    "a run of a schedule without an end": "SELECT run_id FROM schedule_runs WHERE ended_at IS NULL",
    "a message that is still kept": "SELECT request_id FROM kept_messages",
    "an event that was not handed on": "SELECT event_id FROM device_event_changes",
}


def denied(ledger: Ledger, hes: Place) -> Iterator[str]:
    """Requests of which a customer was told that nothing was accepted, and which the head-end has."""
    there = {one for (one,) in rows(hes, "SELECT request_id FROM requests")}
    for one in ledger.entries.values():
        if one.refused and one.message_id in there:
            yield f"{one.what} {one.message_id} ({one.way}) was refused ({one.refused}), and the head-end has it"


def book_of_cis(ledger: Ledger, cis: Place) -> Iterator[tuple[str, str]]:
    """Each request of the CIS is answered by one final reply, or was not taken by the head-end."""
    finals: dict[object, int] = {}
    for request, number in rows(cis, "SELECT request, count(*) FROM replies WHERE final GROUP BY request"):
        assert isinstance(number, int)
        finals[request] = number
    for message_id, state, reason in rows(cis, "SELECT message_id, state, reason FROM requests"):
        number = finals.get(message_id, 0)
        if number > 1:
            yield ONE_REPLY, f"the CIS has {number} final replies to {message_id}"
        if state not in ("answered", "failed") or (state == "answered" and not number):
            yield LOST, f"request {message_id} of the CIS is {state} ({reason}), with {number} replies"
    unknown = {one.message_id for one in ledger.entries.values() if one.way.startswith("CIS") and one.accepted}
    for message_id in unknown - set(map(str, finals)):
        yield LOST, f"the CIS has no reply to {message_id}, which it has called answered"


def events_untold(hes: Place, cis: Place) -> Iterator[str]:
    """What has happened to meters, and did not come to the CIS, which subscribes to it."""
    there = {one for (one,) in rows(cis, "SELECT event_id FROM device_events")}
    for (one,) in rows(hes, "SELECT event_id FROM device_events"):
        if one not in there:
            yield f"device event {one} is kept by the head-end and was not told to the CIS"


def differing(ledger: Ledger, shown: Mapping[str, bool]) -> Iterator[str]:
    """Meters whose switch does not show what the last control of its customer has answered. `shown`: whether each is connected."""
    for meter, connected in shown.items():
        last = ledger.last_control(meter)
        if last is not None and last.result == "OK" and last.connects != connected:
            yield f"{meter} shows {connected}, and {last.message_id} was answered OK for {last.connects}"
