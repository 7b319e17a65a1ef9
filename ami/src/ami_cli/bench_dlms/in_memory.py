"""What needs no sockets: decoding a load profile, protecting, whole sessions, and what a round trip leaves in memory.

Contenders are timed in small batches that take turns; the figure of each is the median of its batches.
"""

from __future__ import annotations

import sys
import tracemalloc
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from hmac import compare_digest
from itertools import count
from statistics import median
from time import perf_counter
from typing import Any

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from ami_cli.bench_dlms import samples
from ami_cli.bench_dlms.ends import BenchMeter, DlmsBenchError, ReadingClient
from ami_cli.bench_dlms.peers import Peer
from ami_dlms import data
from ami_dlms.association import AssociationOpened, AssociationReleased, Open, Opened, Release, Released
from ami_dlms.security import AUTHENTICATED, ENCRYPTED, protect, unprotect
from ami_dlms.security.aead import TAG_LENGTH

MICRO = 1e6
BATCH_S = 0.002
BATCHES = 100
SIZES = (13, 3000)
CONTROL = AUTHENTICATED | ENCRYPTED


@dataclass(frozen=True, slots=True)
class Sessions:
    """Seconds of each end for one AARQ, HLS-GMAC, RLRQ and their answers."""

    client_s: float
    server_s: float


@dataclass(frozen=True, slots=True)
class Allocations:
    """One ciphered GET at both ends: octets in use at its height, and blocks that are still there afterwards."""

    peak_octets: float
    blocks_left: float


def timed(contenders: Mapping[str, Callable[[], object]]) -> dict[str, float]:
    """Seconds of one call of each, measured in turns."""
    sizes = {name: _calls_in(BATCH_S, call) for name, call in contenders.items()}
    seconds: dict[str, list[float]] = {name: [] for name in contenders}
    for _ in range(BATCHES):
        for name, call in contenders.items():
            seconds[name].append(_batch(call, sizes[name]) / sizes[name])
    return {name: median(runs) for name, runs in seconds.items()}


def _batch(call: Callable[[], object], times: int) -> float:
    started = perf_counter()
    for _ in range(times):
        call()
    return perf_counter() - started


def _calls_in(seconds: float, call: Callable[[], object]) -> int:
    times = 1
    while (took := _batch(call, times)) < seconds / 2:
        times = max(2 * times, int(times * seconds / 2 / took)) if took else 2 * times
    return times


def decoding(peers: dict[str, Peer]) -> dict[str, float]:
    """Seconds for a load profile of 96 rows and 4 columns: to Data, to columns, and by foreign stacks."""
    octets = data.encode(samples.load_profile())
    found = timed({"generic": lambda: data.decode(octets), "columnar": lambda: data.decode_columns(octets)})
    for name, peer in peers.items():
        found[name] = median(peer.run({"measure": "decode", "octets": octets.hex(), "runs": BATCHES})["seconds"])
    return found


def protecting() -> dict[str, dict[int, float]]:
    """Seconds by size: protect, unprotect, and what the library alone takes for the same octets."""
    found: dict[str, dict[int, float]] = {}
    for size in SIZES:
        for name, seconds in timed(_protections(bytes(size))).items():
            found.setdefault(name, {})[size] = seconds
    return found


def _protections(plaintext: bytes) -> dict[str, Callable[[], object]]:
    keys, title = samples.KEYS, samples.client_title(1)
    cipher, iv = AESGCM(samples.ENCRYPTION_KEY), title + bytes(4)
    additional = bytes((CONTROL,)) + samples.AUTHENTICATION_KEY
    content = protect(CONTROL, keys, title, 0, plaintext)
    sealed = cipher.encrypt(iv, plaintext, additional)
    body, tag = sealed[: len(plaintext)], sealed[len(plaintext) :][:TAG_LENGTH]

    def decrypt_and_check() -> bool:
        clear = cipher.encrypt(iv, body, None)[: len(body)]
        return compare_digest(cipher.encrypt(iv, clear, additional)[len(clear) :][:TAG_LENGTH], tag)

    return {
        "protect": lambda: protect(CONTROL, keys, title, 0, plaintext),
        "bare encrypt": lambda: cipher.encrypt(iv, plaintext, additional),
        "unprotect": lambda: unprotect(keys, title, content),
        "bare decrypt, tag of 12 octets": decrypt_and_check,
        "bare decrypt, tag of 16 octets": lambda: cipher.decrypt(iv, sealed, additional),
    }


def sessions() -> Sessions:
    """The median of whole sessions in memory, the time of each end apart."""
    numbers = count(1)
    timings = [_session(next(numbers)) for _ in range(BATCHES)]
    return Sessions(median(client for client, _ in timings), median(server for _, server in timings))


def _session(number: int) -> tuple[float, float]:
    clock = perf_counter
    started = clock()
    client = samples.client(number)
    octets = client.send(Open())
    at = clock()
    client_s, server = at - started, samples.server(number)
    server_s = clock() - at
    events: list[type] = []
    while octets:
        at = clock()
        octets = _take(server, octets, events)
        server_s, at = server_s + clock() - at, clock()
        octets = _take(client, octets, events)
        if events[-1:] == [Opened]:
            octets = client.send(Release())
        client_s += clock() - at
    if events != [AssociationOpened, Opened, AssociationReleased, Released]:
        raise DlmsBenchError(f"no whole session: {events}")
    return client_s, server_s


def _take(end: Any, octets: bytes, events: list[type]) -> bytes:
    end.receive_data(octets)
    while (event := end.next_event()) is not None:
        events.append(type(event))
    sent: bytes = end.data_to_send()
    return sent


def allocations(round_trips: int = 1000) -> Allocations:
    """What ciphered round trips of one pair in memory take and leave."""
    client, server = ReadingClient(1), BenchMeter(1)
    octets = _carry(client, server, client.first(), 50)
    blocks = sys.getallocatedblocks()
    octets = _carry(client, server, octets, round_trips)
    left = sys.getallocatedblocks() - blocks
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    tracemalloc.reset_peak()
    _carry(client, server, octets, 1)
    peak = tracemalloc.get_traced_memory()[1] - before
    tracemalloc.stop()
    return Allocations(peak, left / round_trips)


def _carry(client: ReadingClient, server: BenchMeter, octets: bytes, times: int) -> bytes:
    for _ in range(times):
        octets = client.receive(server.receive(octets))
    return octets
