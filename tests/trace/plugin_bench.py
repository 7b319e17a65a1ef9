"""tshark with the plug-in over a capture, and what our own decoder makes of the same octets, in the same words: for a comparison."""

from __future__ import annotations

import os
import subprocess
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from functools import cache
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

from patience import PATIENCE_S
from recorded_traffic import AT, CLIENT, METER, Recording

from ami_cli.wireshark.assembling import plugin
from ami_dlms import data
from ami_dlms.data import CompactArray, Data
from ami_dlms.data.compact import expand
from ami_dlms.enums import ActionResult, DataAccessResult, DataTag
from ami_dlms.errors import DecodeError
from ami_dlms.explain import DecodingSession, Keyring, Node, explain, nodes
from ami_dlms.framing.wrapper import WrapperPdu, encode
from ami_dlms.obis import Obis
from ami_trace.pcapng import Capture, Endpoint, Message, Transport

NUMERIC = frozenset(
    DataTag[name] for name in (
        "DOUBLE_LONG", "DOUBLE_LONG_UNSIGNED", "INTEGER", "LONG", "UNSIGNED", "LONG_UNSIGNED", "LONG64",
        "LONG64_UNSIGNED", "ENUM", "FLOAT32", "FLOAT64", "DELTA_INTEGER", "DELTA_LONG", "DELTA_DOUBLE_LONG",
        "DELTA_UNSIGNED", "DELTA_LONG_UNSIGNED", "DELTA_DOUBLE_LONG_UNSIGNED",
    )
)  # fmt: skip
FIELDS = (
    "service", "invoke_id", "long_invoke_id", "class_id", "obis", "attribute", "method", "short_name", "selector",
    "result", "block.number", "block.last", "block.data", "data", "number", "state_error", "service_error",
    "conformance", "max_pdu_size", "association_result", "sec.suite", "sec.ic", "sec.ok", "clear", "system_title",
)  # fmt: skip
EXPERTS = (
    "malformed", "tag_wrong", "not_deciphered", "counter_not_rising", "unexpected_invoke_id", "block_gap", "refused",
    "hdlc.check_wrong",
)  # fmt: skip
PLACES: dict[str, str] = {
    "invoke_id_and_priority": "invoke_id", "long_invoke_id_and_priority": "long_invoke_id", "class_id": "class_id",
    "instance_id": "obis", "attribute_id": "attribute", "method_id": "method", "selector": "selector",
    "block_number": "block.number", "last_block": "block.last", "conformance": "conformance",
    "client_max_receive_pdu_size": "max_pdu_size", "server_max_receive_pdu_size": "max_pdu_size",
    "state_error": "state_error", "service_error": "service_error", "raw_data": "block.data",
    "block_data": "block.data", "system_title": "system_title", "originator_system_title": "system_title",
    "recipient_system_title": "system_title", "calling_ap_title": "system_title",
    "responding_ap_title": "system_title",
}  # fmt: skip
MASKS = {"invoke_id": 0x0F, "long_invoke_id": 0xFFFFFF}
Found = dict[str, list[str]]


@cache
def plugin_file() -> Path:
    """The plug-in in one file, made once for each test process."""
    path = Path(mkdtemp(prefix="ami-plugin-")) / "amidlms.lua"
    path.write_text(plugin(), "utf-8")
    return path


def tshark(capture: Path, *options: str, keys: Path | None = None, program: Sequence[str] = ("tshark",)) -> str:
    """What it writes; without plug-ins that somebody has installed."""
    given = ["-o", f"amidlms.keys:{keys}"] if keys else []
    command = [*program, "-n", "-X", f"lua_script:{plugin_file()}", *given, "-r", str(capture), *options]
    environment = os.environ | {"HOME": str(plugin_file().parent), "XDG_CONFIG_HOME": str(plugin_file().parent)}
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_S, check=False, env=environment)
    assert done.returncode == 0, done.stderr
    assert "Lua: " not in done.stderr, done.stderr
    assert "Lua Error" not in done.stdout
    return done.stdout


def shown(
    capture: Path,
    fields: Sequence[str] = FIELDS,
    *,
    keys: Path | None = None,
    program: Sequence[str] = ("tshark",),
) -> dict[int, Found]:
    """The values of fields by frame, sorted: an APDU that holds another one is shown before or behind it."""
    asked = [part for name in ("frame.number", *(f"amidlms.{one}" for one in fields)) for part in ("-e", name)]
    form = ("-T", "fields", "-E", "separator=|", "-E", "aggregator=;")
    out = tshark(capture, "-Y", "amidlms", *form, *asked, keys=keys, program=program)
    found = {}
    for line in out.splitlines():
        number, *values = line.split("|")
        found[int(number)] = {
            name: sorted(map(_plain, value.split(";"))) for name, value in zip(fields, values, strict=True) if value
        }
    return found


def _plain(text: str) -> str:
    """Numbers in one spelling, whatever the version of Wireshark writes."""
    if text.startswith("0x"):
        return str(int(text, 16))
    if text in ("True", "False"):
        return str(int(text == "True"))
    return text


def said(trees: Iterable[Node]) -> Found:
    """The same of our own trees."""
    found: defaultdict[str, list[str]] = defaultdict(list)
    for tree in trees:
        for node in nodes(tree):
            for name, value in _of_node(node):
                found[name].append(value)
        for item in _data_of(tree):
            found["data"].append(_without_choice(item).hex())
            found["number"] += map(_number, _numbers(item.value))
    return {name: sorted(values) for name, values in found.items()}


def _without_choice(item: Node) -> bytes:
    """A value without the octets before it that say that it is there, and that it is a value."""
    for start in range(3):
        try:
            if repr(data.decode(item.octets[start:])) == repr(item.value):
                return item.octets[start:]
        except DecodeError:
            continue
    raise AssertionError(item.octets.hex())


def _of_node(node: Node) -> Iterator[tuple[str, str]]:
    if node.type == "apdu":
        yield "service", node.name.replace("_", "-")
        yield from _opened(node)
    if isinstance(node.value, DataAccessResult | ActionResult):
        yield "result", str(int(node.value))
    if node.name == "invocation_counter" and node.type == "octets":
        yield "sec.ic", str(int.from_bytes(node.octets, "big"))
    if node.name == "security_control":
        yield "sec.suite", str(node.octets[0] & 0x0F)
    name = PLACES.get(node.name)
    if name is not None and node.value is not None and not node.parts:
        yield from _place(name, node.value)
    if node.name == "result" and type(node.value).__name__ == "AssociationResult":
        yield "association_result", str(int(node.value))
    if node.name == "result" and isinstance(node.value, bytes):
        yield "block.data", node.value.hex()
    if node.name == "block_control":
        yield "block.last", str(int(node.value.last_block))
    if node.name == "name" and node.type == "number":
        yield "short_name", str(node.value)


def _place(name: str, value: Any) -> Iterator[tuple[str, str]]:
    if isinstance(value, Obis):
        yield name, str(value)
    elif isinstance(value, bytes):
        if value:
            yield name, value.hex()
    else:
        yield name, str(int(value) & MASKS.get(name, -1))


def _opened(root: Node) -> Iterator[tuple[str, str]]:
    content = root.part("content")
    for derived in content.derived if content is not None else ():
        if derived.good is not None:
            yield "sec.ok", str(int(derived.good))
        if derived.tree is not None:
            yield "clear", derived.tree.octets.hex()
    for part in content.parts if content is not None else ():
        if part.type == "apdu" and root.name != "general_signing":
            yield "clear", part.octets.hex()  # authenticated and not encrypted


def _data_of(node: Node) -> Iterator[Node]:
    """The outermost values."""
    if isinstance(node.value, Data):
        yield node
        return
    for part in node.parts:
        yield from _data_of(part)
    for derived in node.derived:
        if derived.tree is not None:
            yield from _data_of(derived.tree)


def _numbers(item: Data) -> Iterator[float]:
    if isinstance(item.value, CompactArray):
        for element in expand(item.value):
            yield from _numbers(element)
    elif item.tag in (DataTag.ARRAY, DataTag.STRUCTURE):
        for part in item.value:
            yield from _numbers(part)
    elif item.tag in NUMERIC:
        yield float(item.value)


def _number(value: float) -> str:
    return f"{value:.15g}"


@dataclass
class Together:
    """Several recordings as one capture, each between two ends of its own; what is expected of each frame; a key file."""

    content: bytes = b""
    keys: list[str] = field(default_factory=list)
    expected: dict[int, Found] = field(default_factory=dict)
    frames: list[list[int]] = field(default_factory=list)
    """Of each recording, those with its messages."""


def together(recordings: Sequence[Recording]) -> Together:
    """The lines of the key file name addresses, because all meters have one title."""
    capture, found = Capture("test", clear_text=False), Together()
    found.content = capture.begin()
    for number, one in enumerate(recordings):
        client, meter = Endpoint(f"10.0.{number}.1", 40000), Endpoint(f"10.0.{number}.5", 4059)
        session = DecodingSession(one.keyring)
        found.keys.append(key_line(one.keyring, f"address=10.0.{number}.5") if one.keyring.encryption_key else "")
        found.frames.append([])
        for count, (from_client, octets) in enumerate(one.frames):
            ends = (client, meter) if from_client else (meter, client)
            at = AT + timedelta(seconds=number, milliseconds=count)
            found.content += capture.message(Message(at, *ends, octets, transport=one.transport))
            found.frames[-1].append(capture.frames)
            found.expected[capture.frames] = said(explain(octets, session))
    return found


def key_line(keyring: Keyring, *more: str) -> str:
    """A line of the key file."""
    titles = {"title": keyring.title_peer, "ek": keyring.encryption_key, "ak": keyring.authentication_key}
    titles["client"] = keyring.title
    known = [f"{name}={octets.hex()}" for name, octets in titles.items() if octets is not None]
    return " ".join((*known, *more)) + "\n"


def differences(
    expected: Mapping[int, Found], found: Mapping[int, Found]
) -> list[tuple[int, str, list[str], list[str]]]:
    """Frame, field, what our decoder says, what the plug-in says."""
    return [
        (number, name, ours.get(name, []), found.get(number, {}).get(name, []))
        for number, ours in expected.items()
        for name in FIELDS
        if ours.get(name, []) != found.get(number, {}).get(name, [])
    ]


def datagrams(apdus: Sequence[bytes]) -> bytes:
    """Each APDU in a wrapper, as a datagram of the meter: one a frame."""
    capture = Capture("test", clear_text=False)
    written = capture.begin()
    for number, octets in enumerate(apdus):
        at = AT + timedelta(milliseconds=number)
        message = Message(at, METER, CLIENT, encode(WrapperPdu(1, 1, octets)), transport=Transport.UDP)
        written += capture.message(message)
    return written
