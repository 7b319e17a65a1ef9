"""All faults by name: what a meter does, and what a head-end should do about it."""

from collections.abc import Mapping
from typing import NamedTuple

from ami_meter_sim.faults import answers, connections, image, keys, line, octets, pushes, times
from ami_meter_sim.faults.fault import Fault


class FaultRow(NamedTuple):
    """One line of the table."""

    name: str
    kind: type[Fault]
    does: str
    advice: str


_ROWS = (
    FaultRow(
        "silent",
        connections.Silent,
        "answers nothing, though connections open",
        "wait no longer than a time limit, retry later; never take silence after an ACTION for 'not done'",
    ),
    FaultRow(
        "slow",
        connections.Slow,
        "takes seconds for each answer",
        "keep a time limit per answer and a deadline per request, and let other meters go on meanwhile",
    ),
    FaultRow(
        "slow-then-double-answer",
        connections.SlowThenDoubleAnswer,
        "answers after the time limit, and twice",
        "match answers by invoke id and counter; drop unexpected answers instead of taking it for the next answer",
    ),
    FaultRow(
        "reset-after-action",
        connections.ResetAfterAction,
        "carries out an ACTION and resets the connection before the answer",
        "read the state back over a new connection before saying anything; repeat only what can be repeated",
    ),
    FaultRow(
        "accepts-but-does-not-switch",
        answers.AcceptsButDoesNotSwitch,
        "answers success and does nothing",
        "report success only for a state that was read back",
    ),
    FaultRow(
        "refuses",
        answers.Refuses,
        "refuses an ACTION with the result of your choice",
        "translate the result into a reason, and tell a lasting refusal from one that may pass",
    ),
    FaultRow(
        "busy",
        answers.Busy,
        "refuses everything with temporary-failure for a while",
        "try again later, with growing pauses, and not at the next meter's cost",
    ),
    FaultRow(
        "half-open",
        connections.HalfOpen,
        "leaves a connection open on which nothing comes any more; a new one works",
        "close it at the time limit and open a new one; send keep-alives where connections live long",
    ),
    FaultRow(
        "address-changed",
        connections.AddressChanged,
        "is no longer at its address: connections are reset",
        "report it as unreachable at that address, ask the address service again, do not hammer",
    ),
    FaultRow(
        "counter-ahead",
        keys.CounterAhead,
        "accepts only higher invocation counters than the head-end uses, as after another client",
        "read the counter (0-0:43.1.x) or take the one of the exception-response, go on above it, and keep it",
    ),
    FaultRow(
        "counter-behind",
        keys.CounterBehind,
        "shows a lower invocation counter than it accepts",
        "go on above the higher one of the shown counter and your own; never go back",
    ),
    FaultRow(
        "replays",
        keys.Replays,
        "sends an earlier ciphered answer again",
        "refuse what has an old counter, say so in a security log, and go on waiting for the true answer",
    ),
    FaultRow(
        "wrong-key",
        keys.WrongKey,
        "has other keys than the head-end",
        "stop after few attempts (meters lock out), report a key problem and not an unreachable meter",
    ),
    FaultRow(
        "key-change-half-done",
        keys.KeyChangeHalfDone,
        "answers a key transfer with success and takes only half of the keys, or none",
        "keep the old keys until a dialogue under the new ones has worked, and try both",
    ),
    FaultRow(
        "wrong-title",
        keys.WrongTitle,
        "has another system title than the registry says",
        "refuse it: another device may be at the address; let somebody decide whether it was exchanged",
    ),
    FaultRow(
        "tampered-tag",
        keys.TamperedTag,
        "sends answers whose authentication tag does not fit",
        "discard them, report a security error, never use the plaintext",
    ),
    FaultRow(
        "wrong-device-id",
        answers.WrongDeviceId,
        "names itself otherwise than the registry says",
        "compare before acting: the wrong customer may be switched",
    ),
    FaultRow(
        "loses-image-blocks",
        image.LosesImageBlocks,
        "confirms blocks of a firmware image and forgets some",
        "read image_transferred_blocks_status, send the missing blocks again, verify before activating",
    ),
    FaultRow(
        "reboots-in-image-transfer",
        image.RebootsInImageTransfer,
        "restarts in the middle of an image transfer",
        "connect again later and go on at image_first_not_transferred_block_number",
    ),
    FaultRow(
        "clock-off",
        times.ClockOff,
        "shows a time that is off",
        "compare with your own time at each reading, mark the values, set the clock within the rules",
    ),
    FaultRow(
        "clock-jumps",
        times.ClockJumps,
        "shows a time that jumps at each reading",
        "do not follow each jump: after a few, stop setting the clock and have the meter looked at",
    ),
    FaultRow(
        "profile-gap",
        times.ProfileGap,
        "leaves out rows of a profile without a word",
        "count intervals against the capture period, read again, estimate by the rules, mark as estimated",
    ),
    FaultRow(
        "profile-overlap",
        times.ProfileOverlap,
        "has rows whose intervals overlap",
        "do not add both: keep one by a rule and mark the interval",
    ),
    FaultRow(
        "profile-duplicate",
        times.ProfileDuplicate,
        "gives rows twice",
        "store by meter and time, so that the same row twice is one",
    ),
    FaultRow(
        "wrong-scaler",
        answers.WrongScaler,
        "has a scaler that does not fit its values",
        "check against the model and against yesterday's values before anything is billed",
    ),
    FaultRow(
        "garbage",
        octets.Garbage,
        "sends octets without meaning",
        "end in a reported error, in bounded time and memory, and open a new connection",
    ),
    FaultRow(
        "truncated",
        octets.Truncated,
        "sends the first part of an answer",
        "wait no longer than the time limit for the rest, and take nothing of it",
    ),
    FaultRow(
        "oversized",
        octets.Oversized,
        "sends longer APDUs than were negotiated",
        "refuse what is longer than you said you take, before you store it",
    ),
    FaultRow(
        "splits-every-byte",
        octets.SplitsEveryByte,
        "sends octet by octet",
        "read until the length of the header is there, whatever a single read returns",
    ),
    FaultRow(
        "late-push",
        pushes.LatePush,
        "sends a push long after what it reports",
        "go by the time in the push and not by that of its arrival",
    ),
    FaultRow(
        "duplicate-push",
        pushes.DuplicatePush,
        "sends a push twice",
        "recognise it by invocation counter or invoke id, and report the event once",
    ),
    FaultRow(
        "last-gasp-lost",
        pushes.LastGaspLost,
        "loses power without its last gasp",
        "infer an outage from neighbours at the same transformer and from a ping, not from gasps alone",
    ),
    FaultRow(
        "brown-out",
        connections.BrownOut,
        "reads low voltage and restarts in the middle of requests",
        "retry with pauses, and report low voltage instead of a broken meter",
    ),
    FaultRow(
        "latency",
        line.Latency,
        "answers later, each time by another time",
        "measure time limits per line, not per world",
    ),
    FaultRow(
        "bandwidth",
        line.Bandwidth,
        "has a line of few octets per second",
        "count the time of transfer into the time limit; read by range, in blocks, and not everything at once",
    ),
    FaultRow(
        "cut",
        line.Cut,
        "loses the connection after a number of octets",
        "connect again and go on at the block that is missing",
    ),
    FaultRow("drop", line.Drop, "loses frames", "repeat what can be repeated, with a new invoke id and counter"),
    FaultRow(
        "duplicate",
        line.Duplicate,
        "delivers frames twice",
        "take the first, and drop the second by its invoke id or counter",
    ),
    FaultRow("slice", octets.Slice, "delivers frames in pieces", "put frames together by their length before decoding"),
)

FAULTS: Mapping[str, FaultRow] = {row.name: row for row in _ROWS}
