"""Serial lines to meters: a port of this machine as a channel, with the sign-on of IEC 62056-21 mode E where a meter wants it.

A line is half duplex and one meter's at a time (`ami_hes.meters.session_slots`), also where several meters share it (RS-485): each
session opens the port and closes it. The settings of the port are pyserial's; octets are read and written as the event loop finds
the port ready.
"""

import asyncio
import os
from importlib import import_module
from typing import Any

from ami_dlms.association.client.steps import run_async
from ami_dlms.errors import DlmsError
from ami_dlms.framing import mode_e
from ami_dlms.framing.mode_e import ChangeRate, Receive, Send, SignOnStep
from ami_hes.meters.association import Timeouts
from ami_hes.meters.channels import Waiting
from ami_hes.meters.link import Link
from ami_hes.meters.registry import Meter
from ami_hes.meters.trace import ApduTrace
from ami_process.environment import real_sleep, real_time
from ami_registry import Parity

PARITIES = {Parity.NONE: "N", Parity.EVEN: "E", Parity.ODD: "O"}
"""As pyserial names them."""
_AT_ONCE = 4_096  # octets that one look at the port takes
_MOST_OCTETS = 65_536  # that wait to be read; then the port has to wait


class SerialChannel:
    """An open port, as a Channel."""

    def __init__(self, port: Any) -> None:
        self.closed = False
        self._port = port
        self._descriptor: int = port.fileno()
        self._loop = asyncio.get_running_loop()
        self._reading, self._writing = Waiting(), Waiting()
        self._came = b""
        self._error: OSError | None = None
        self._loop.add_reader(self._descriptor, self._read_port)

    async def write(self, octets: bytes, until: float) -> None:
        while octets and not self.closed:
            try:
                octets = octets[os.write(self._descriptor, octets) :]
            except BlockingIOError:
                await self._wait_to_write(until)

    def offer(self, octets: bytes) -> bool:
        """Never: on a line one speaks after the other, and the link layer says who."""
        return False

    def keep_alive(self) -> None:
        return

    async def read(self, until: float | None) -> bytes:
        while not self._came and self._error is None and not self.closed:
            await self._reading.wait(until)
        if not self._came and self._error is not None:
            raise self._error
        octets, self._came = self._came, b""
        if len(octets) >= _MOST_OCTETS and self._error is None and not self.closed:
            self._loop.add_reader(self._descriptor, self._read_port)
        return octets

    def change_to(self, baud: int, early: bytes) -> None:
        """Go on at this speed; `early` has been read already and comes again."""
        self._port.baudrate = baud
        self._came = early

    def close(self) -> None:
        if self.closed:
            return
        self.closed = True
        self._loop.remove_reader(self._descriptor)
        self._loop.remove_writer(self._descriptor)
        self._port.close()
        self._reading.stop()
        self._writing.stop()

    def _read_port(self) -> None:
        try:
            octets = os.read(self._descriptor, _AT_ONCE)
        except BlockingIOError:
            return
        except OSError as error:  # as when the adapter is pulled out
            self._end(error)
        else:
            self._came += octets
            if not octets:
                self._end(ConnectionResetError("the serial line has ended"))
            elif len(self._came) >= _MOST_OCTETS:
                self._loop.remove_reader(self._descriptor)
        self._reading.wake()

    def _end(self, error: OSError) -> None:
        self._error = error
        self._loop.remove_reader(self._descriptor)

    async def _wait_to_write(self, until: float) -> None:
        self._loop.add_writer(self._descriptor, self._writing.wake)
        try:
            await self._writing.wait(until)
        finally:
            self._loop.remove_writer(self._descriptor)


async def connect_serial(meter: Meter, device: str, timeouts: Timeouts, trace: ApduTrace | None = None) -> Link:
    """A link over the meter's line, signed on if it wants that. OSError, or TimeoutError when no meter names itself."""
    channel = SerialChannel(_open_port(device, mode_e.FIRST_BAUD_RATE if meter.mode_e else meter.baud, meter.parity))
    try:
        if meter.mode_e:
            await _sign_on(channel, meter.baud, timeouts)
    except BaseException:
        channel.close()
        raise
    return Link(channel, device, "serial", trace)


def _open_port(device: str, baud: int, parity: Parity) -> Any:
    """pyserial's port; it is ours alone."""
    try:
        serial, termios = import_module("serial"), import_module("termios")
    except ImportError:
        raise OSError("pyserial is not installed: pip install 'ami-hes[serial]'") from None
    try:
        return serial.Serial(device, baudrate=baud, parity=PARITIES[parity], timeout=0, exclusive=True)
    except (ValueError, termios.error) as error:  # a speed or a parity that the port does not have
        raise OSError(str(error)) from None


async def _sign_on(channel: SerialChannel, baud: int, timeouts: Timeouts) -> None:
    attempt_s = (timeouts.next_answer - real_time()) / mode_e.ATTEMPTS

    async def perform(step: SignOnStep) -> bytes | None:
        match step:
            case Send(octets):
                await channel.write(octets, timeouts.next_answer)
            case Receive():
                return await _read_in_time(channel, attempt_s)
            case ChangeRate(rate, early):
                await real_sleep(mode_e.CHANGE_S)
                channel.change_to(rate, early)
        return None

    try:
        async with asyncio.timeout_at(timeouts.next_answer):
            switch = await run_async(mode_e.sign_on(baud), perform)
    except DlmsError as error:
        raise OSError(f"sign-on by mode E: {error}") from None
    if switch is None:
        raise TimeoutError


async def _read_in_time(channel: SerialChannel, timeout_s: float) -> bytes | None:
    try:
        return await channel.read(real_time() + timeout_s)
    except TimeoutError:
        return None
