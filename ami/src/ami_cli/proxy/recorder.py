"""What becomes of octets that pass: lines on the terminal, a session file, and a capture for Wireshark; all of it behind the traffic.

A frame that carries a secret in clear is in no capture, nor is one that was sent again and may be such a frame; what a ciphered one holds stands behind it only where it holds none.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import BinaryIO

from ami_cli.proxy.passing import Passed, Passing
from ami_cli.proxy.session_file import SessionWriter, new_file
from ami_cli.proxy.taps import Framing, Tap, Tapped, tap_of
from ami_dlms.errors import DlmsError
from ami_dlms.explain import Keyring
from ami_trace.pcapng import Capture, CaptureError, Companion, Direction, Dissector, Endpoint, Message, comment_of

Say = Callable[[str], None]
MOST_REPEATED = 64
"""Frames of HDLC that are known again when they are sent again."""


class CaptureFile:
    """A capture that is written as it happens. SessionFileError when the file can't be made, or is there already."""

    def __init__(self, path: Path, application: str, dissector: Dissector, most_octets: int) -> None:
        self._capture = Capture(application, dissector=dissector, most_octets=most_octets)
        self._file: BinaryIO = os.fdopen(new_file(path), "wb")
        self._file.write(self._capture.begin("ami proxy; synthetic packets"))
        self.full = False

    def frames(
        self, at: datetime, ends: tuple[Endpoint, Endpoint], tapped: Tapped, one: Passed | None, *, outbound: bool
    ) -> None:
        """Frames as they passed, and behind the last one what they hold in clear."""
        if self.full or (one is not None and one.secret_in_clear):
            return
        direction = Direction.OUTBOUND if outbound else Direction.INBOUND
        said = () if one is None else (comment_of(connection=one.connection, client=one.client, server=one.server),)
        last = len(tapped.frames) - 1
        try:
            for place, octets in enumerate(tapped.frames):
                behind: tuple[Companion, ...] = () if one is None or place < last else one.companions
                self._file.write(self._capture.message(Message(at, *ends, octets, said, direction), behind))
        except CaptureError:
            self.full = True
        self._file.flush()

    def close(self) -> None:
        """The end of the file."""
        self._file.close()


@dataclass(slots=True)
class _Side:
    """One direction of a connection; without a tap what passes is not understood any more."""

    tap: Tap | None
    ends: tuple[Endpoint, Endpoint]
    harmless: deque[bytes] = field(default_factory=lambda: deque(maxlen=MOST_REPEATED))
    """What the last frames held that are in the capture."""


@dataclass(slots=True)
class Recorder:
    """Everything that is kept of all connections."""

    framing: Framing
    keyring: Keyring
    say: Say
    """Who sees the lines; once it fails, as a pipe whose reader has gone, nothing more is said.

    A terminal that can't show a character is shown its number.
    """
    session: SessionWriter | None = None
    capture: CaptureFile | None = None
    apdus: int = 0
    unreadable: int = 0
    _passing: dict[int, Passing] = field(default_factory=dict)
    _sides: dict[tuple[int, bool], _Side] = field(default_factory=dict)
    _told_full: bool = False
    _unheard: bool = False

    def tell(self, line: str) -> None:
        """A line for the terminal, if anybody is still there."""
        if self._unheard:
            return
        try:
            try:
                self.say(line)
            except UnicodeError:
                self.say(line.encode("ascii", "backslashreplace").decode("ascii"))
        except (OSError, ValueError):  # ValueError: of a stream that is closed
            self._unheard = True

    def begin(self, number: int, client: Endpoint, meter: Endpoint) -> None:
        """A connection is there."""
        self._passing[number] = Passing(number, self.keyring)
        self._sides[number, True] = _Side(tap_of(self.framing), (client, meter))
        self._sides[number, False] = _Side(tap_of(self.framing), (meter, client))

    def end(self, number: int) -> None:
        """It is gone."""
        self._passing.pop(number, None)
        for from_client in (True, False):
            self._sides.pop((number, from_client), None)

    def take(self, at: datetime, number: int, from_client: bool, octets: bytes) -> None:
        """Octets that have passed; nothing of them raises."""
        side = self._sides.get((number, from_client))
        if side is None or side.tap is None:
            return
        try:
            for tapped in side.tap.take(octets):
                self._tapped(at, number, from_client, side, tapped)
        except DlmsError as error:
            side.tap = None
            self.tell(f"{_clock(at)}  #{number}  what the {_who(from_client)} sends is no {self.framing}: {error}")

    def _tapped(self, at: datetime, number: int, from_client: bool, side: _Side, tapped: Tapped) -> None:
        one = None
        if tapped.pdu is not None:
            one = self._passing[number].explain(at, tapped.pdu, from_client=from_client)
            self.apdus += 1
            self.unreadable += one.clear is None
            self.tell(f"{_clock(at)}  #{number}  {'→' if from_client else '←'} {one.client}/{one.server}  {one.line}")
            if self.session is not None:
                self.session.message(one)
        if self.capture is not None and not (tapped.again and tapped.held[0] not in side.harmless):
            self.capture.frames(at, side.ends, tapped, one, outbound=from_client)
        if one is None or not one.secret_in_clear:
            side.harmless.extend(() if tapped.again else tapped.held)
        self._tell_full()

    def _tell_full(self) -> None:
        full = [kept.full for kept in (self.session, self.capture) if kept is not None]
        if any(full) and not self._told_full:
            self._told_full = True
            self.tell("a file has reached --most-mib: the rest passes and is shown, but not kept there")

    def stop_keeping(self, error: OSError) -> None:
        """A disk is full, or gone: traffic goes on, and is shown."""
        self.tell(f"nothing more is kept: {error.strerror or error}")
        for kept in (self.session, self.capture):
            if kept is not None:
                with suppress(OSError):
                    kept.close()
        self.session = self.capture = None

    def stop_looking(self, number: int, error: Exception) -> None:
        """Something in a connection that nobody has thought of: it goes on passing, unseen."""
        for from_client in (True, False):
            if (side := self._sides.get((number, from_client))) is not None:
                side.tap = None
        self.tell(f"#{number}  passes and is not shown any more: {type(error).__name__}: {error}")

    def close(self) -> None:
        """The end of both files."""
        for kept in (self.session, self.capture):
            if kept is not None:
                kept.close()


def _clock(at: datetime) -> str:
    return at.strftime("%H:%M:%S.%f")[:-3]


def _who(from_client: bool) -> str:
    return "client" if from_client else "meter"
