"""All that is fuzzed, by name: the function that takes the octets, and the seeds that the fuzzer starts from."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path += [str(HERE), str(HERE.parent / "dlms" / "association")]

import decoders  # noqa: E402
import ends  # noqa: E402
import links  # noqa: E402
import seeds  # noqa: E402

FINDINGS = HERE.parent / "vectors" / "fuzz.json"
WORDS = """Header Verb Noun Revision Context Timestamp Source AsyncReplyFlag ReplyAddress MessageID CorrelationID Payload
Compressed Request ID EndDeviceControls EndDeviceControl EndDeviceControlType EndDevices UsagePoints Names mRID Reply Result
Error <!DOCTYPE <!ENTITY xmlns: <![CDATA[ soap:FastCiphering soap:Body soap:Header mustUnderstand"""


@dataclass(frozen=True, slots=True)
class Target:
    """One thing to fuzz; `words` are pieces that the fuzzer may put together, `runs` inputs take about a second."""

    take: Callable[[bytes], None]
    seeds: Callable[[], Iterable[bytes]]
    runs: int
    longest: int = 1024
    words: tuple[str, ...] = ()


TARGETS = {
    "apdu": Target(decoders.decode_apdu, seeds.apdus, 20_000),
    "data": Target(decoders.decode_data, seeds.values, 20_000),
    "profile": Target(decoders.decode_profile, seeds.tables, 15_000),
    "table": Target(decoders.decode_table, seeds.tables, 15_000),
    "tree": Target(decoders.explain_octets, seeds.anything, 2_000),
    "capture": Target(decoders.annotate_capture, seeds.captures, 1_000, longest=4096),
    "wrapper": Target(links.wrapper, seeds.wrapped, 15_000),
    "hdlc-stream": Target(links.hdlc_stream, seeds.lines, 1_500),
    "hdlc-server": Target(links.hdlc_server, partial(seeds.frames_from, "C"), 1_500),
    "hdlc-client": Target(links.hdlc_client, partial(seeds.frames_from, "S"), 1_500),
    "mbus": Target(links.mbus_frames, seeds.segments, 10_000),
    "mode-e": Target(links.mode_e, seeds.sign_ons, 12_000, longest=256),
    "server": Target(ends.server, partial(seeds.sessions, "client"), 500, longest=2048),
    "client": Target(ends.client, partial(seeds.sessions, "server"), 500, longest=2048),
    "cim": Target(decoders.read_cim, seeds.messages, 12_000, longest=8192, words=tuple(WORDS.split())),
}


def findings() -> Iterator[tuple[str, str, bytes]]:
    """What the fuzzer has found so far: identifier, target, octets."""
    for finding in json.loads(FINDINGS.read_text("utf-8")):
        yield finding["id"], finding["target"], bytes.fromhex(finding["hex"])
