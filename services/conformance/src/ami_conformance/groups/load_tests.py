"""Octets without sense, spoiled messages, connections that come and go (RB): afterwards the meter serves as before.

The octets come of a seed, so that a finding can be made again; they are few enough for a line and many enough for a parser.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import suppress

from ami_conformance.bench import Bench
from ami_conformance.findings import Judge, Unsettled
from ami_conformance.groups.service_tests import a_name
from ami_conformance.object_list import OBJECT_LIST
from ami_conformance.safety import Safety
from ami_dlms import apdu
from ami_dlms.apdu.get import GetRequestNormal

MESSAGES = 200
CONNECTIONS = 200
LONGEST = 60
QUICK_S = 0.05


def octets_of(seed: str, count: int) -> Iterator[bytes]:
    """Octets without sense, always the same ones."""
    for number in range(count):
        digest = hashlib.sha512(f"{seed}/{number}".encode()).digest()
        yield digest[: 1 + digest[0] % LONGEST]


def garbage(bench: Bench, judge: Judge) -> None:
    """RB-01: without an association and within one."""
    for seed, open_first in (("idle", False), ("open", True)):
        client = bench.client()
        if open_first:
            with suppress(Unsettled):  # where none opens, the end of the test says so
                client.open()
        for octets in octets_of(seed, MESSAGES):
            if client.wire.closed:
                client.close()
                client = bench.client()
                if open_first:
                    client.open()
            answer = client.send_octets(octets, "octets without sense", safety=Safety.S3, wait_s=QUICK_S)
            judge.expect(not answer.has_data, f"{octets.hex()} is answered by data")
        client.close()
    bench.still_serves(judge)


def spoiled(bench: Bench, judge: Judge) -> None:
    """RB-02: one bit of each octet of good messages."""
    client = bench.client()
    messages = [
        client.aarq(),
        apdu.encode(GetRequestNormal(0xC1, a_name(bench))),
        apdu.encode(GetRequestNormal(0xC2, OBJECT_LIST)),
    ]
    for message in messages:
        for place in range(len(message)):
            octets = bytearray(message)
            octets[place] ^= 1 << place % 8
            if client.wire.closed:
                client.close()
                client = bench.client()
            client.send_octets(bytes(octets), "a message with a bit wrong", safety=Safety.S3, wait_s=QUICK_S)
            judge.expect(True, "")
    client.close()
    bench.still_serves(judge)


def churn(bench: Bench, judge: Judge) -> None:
    """RB-03."""
    bench.allow(Safety.S3, f"{CONNECTIONS} connections")
    refused = 0
    for _ in range(CONNECTIONS if not bench.dry else 0):
        try:
            bench.link().close()
        except Unsettled:
            refused += 1
    judge.note(f"{refused} of {CONNECTIONS} connections were refused")
    began = bench.way.clock()
    bench.still_serves(judge)
    judge.note(f"it serves again after {bench.way.clock() - began:.1f} s")


TESTS = {
    "RB-01": garbage,
    "RB-02": spoiled,
    "RB-03": churn,
}
