"""Somebody's capture once more, with the clear APDU behind each packet that completes a ciphered one: `ami decode --pcapng`.

Packets keep their octets, times, link types and comments, and a comment says what is wrong with a frame. The file is written
beside its place and takes it when it is whole; nobody but its owner reads it, for it holds clear text.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from tempfile import mkstemp
from typing import BinaryIO

from ami_cli.decode.captures.files import Record
from ami_cli.decode.captures.layers import UDP
from ami_cli.decode.captures.seen import Seen
from ami_cli.decode.captures.streams import Message, packets
from ami_cli.decode.errors import NotOctets
from ami_cli.decode.inputs import Input
from ami_cli.decode.keyrings import Keyrings
from ami_cli.decode.reading import Sessions
from ami_cli.decode.writing import Progress
from ami_cli.formatting import count
from ami_dlms.explain import Node, is_sound, nodes
from ami_trace.pcapng import Capture, Dissector, Endpoint, Transport, companions

CLEAR_SUFFIX = ".clear.pcapng"
MOST_TROUBLES = 10


@dataclass(slots=True)
class Written:
    """What is in the file: packets, frames of DLMS found in them, and clear APDUs; and whether all was understood."""

    packets: int = 0
    frames: int = 0
    clear: int = 0
    good: bool = True

    def line(self, path: Path) -> str:
        """For a person."""
        found = f"{count(self.frames, 'frame')} found, {count(self.clear, 'clear APDU')} added"
        return f"{path}: {count(self.packets, 'packet')}, {found}"


def write_annotated(
    inputs: Sequence[Input], keyrings: Keyrings, seen: Seen, path: Path, dissector: Dissector
) -> Written:
    """NotOctets when the input is no single capture, CaptureError when the file would be too large, OSError for files."""
    if len(inputs) != 1 or inputs[0].capture is None:
        raise NotOctets("--pcapng takes one capture, pcap or pcapng")
    (given,) = inputs
    written, progress = Written(), Progress(given.name, given.size, into_file=True)
    handle, name = mkstemp(dir=path.parent, prefix=f".{path.name}.")  # mode 0600
    try:
        with os.fdopen(handle, "wb") as file:
            assert given.capture is not None
            with given.capture as capture:
                for octets in _annotated(
                    capture, keyrings, seen, Capture(_application(), dissector=dissector), written
                ):
                    file.write(octets)
                    progress(capture)
        Path(name).replace(path)
    finally:
        progress.end()
        Path(name).unlink(missing_ok=True)
    written.good = written.good and written.frames > 0
    return written


def _application() -> str:
    return f"ami decode {version('ami-reference')}"


def _annotated(file: BinaryIO, keyrings: Keyrings, seen: Seen, capture: Capture, written: Written) -> Iterator[bytes]:
    sessions, last = Sessions(file, keyrings), 0
    yield capture.begin()
    for record, found in packets(file, seen):
        explained = [(message, sessions.explain(message)) for message in found]
        if record is not None:
            written.packets += 1
            last = record.nanoseconds or last
            yield _original(capture, record, last, [tree for _, trees in explained for tree in trees])
        for message, trees in explained:
            written.frames += len(trees)
            written.good = written.good and all(map(is_sound, trees))
            for tree in trees:
                yield _behind(capture, message, last, tree, written)


def _original(capture: Capture, record: Record, nanoseconds: int, trees: Sequence[Node]) -> bytes:
    comments = [*record.comments, *(f"ami: {trouble}" for trouble in troubles(trees))]
    return capture.original(record.link, nanoseconds, record.octets, record.length, comments)


def troubles(trees: Sequence[Node]) -> list[str]:
    """What is wrong, or does not hold, in the trees of a packet: the first of it."""
    found = list[str]()
    for node in (node for tree in trees for node in nodes(tree)):
        found += [node.trouble] if node.trouble else []
        found += [derived.how for derived in node.derived if derived.good is False]
        if len(found) >= MOST_TROUBLES:
            break
    return found


def _behind(capture: Capture, message: Message, nanoseconds: int, tree: Node, written: Written) -> bytes:
    clear = companions(tree)
    written.clear += len(clear)
    transport = Transport.UDP if message.protocol == UDP else Transport.TCP
    return capture.behind(clear, nanoseconds, _end(message.source), _end(message.destination), transport)


def _end(text: str) -> Endpoint:
    host, _, port = text.rpartition(":")
    return Endpoint(host.strip("[]"), int(port)) if port.isdecimal() else Endpoint(text, 0)
