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
Error <!DOCTYPE <!ENTITY xmlns: <![CDATA[ soap:Envelope soap:Body soap:Header mustUnderstand"""


@dataclass(frozen=True, slots=True)
class Target:
    """One thing to fuzz; `words` are pieces that the fuzzer may put together."""

    take: Callable[[bytes], None]
    seeds: Callable[[], Iterable[bytes]]
    longest: int = 1024
    words: tuple[str, ...] = ()


TARGETS = {
    "apdu": Target(decoders.decode_apdu, seeds.apdus),
    "data": Target(decoders.decode_data, seeds.values),
    "profile": Target(decoders.decode_profile, seeds.tables),
    "table": Target(decoders.decode_table, seeds.tables),
    "tree": Target(decoders.explain_octets, seeds.anything),
    "wrapper": Target(links.wrapper, seeds.wrapped),
    "hdlc-stream": Target(links.hdlc_stream, seeds.lines),
    "hdlc-server": Target(links.hdlc_server, partial(seeds.frames_from, "C")),
    "hdlc-client": Target(links.hdlc_client, partial(seeds.frames_from, "S")),
    "mode-e": Target(links.mode_e, seeds.sign_ons, longest=256),
    "server": Target(ends.server, partial(seeds.sessions, "client"), longest=2048),
    "client": Target(ends.client, partial(seeds.sessions, "server"), longest=2048),
    "cim": Target(decoders.read_cim, seeds.messages, longest=8192, words=tuple(WORDS.split())),
}


def findings() -> Iterator[tuple[str, str, bytes]]:
    """What the fuzzer has found so far: identifier, target, octets."""
    for finding in json.loads(FINDINGS.read_text("utf-8")):
        yield finding["id"], finding["target"], bytes.fromhex(finding["hex"])
