"""Keys of the terminal by their names, as they are pressed. Without a terminal, or in the background of one, there are none."""

import asyncio
import os
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from ami_process.platforms import NeedsPosix

try:
    import termios
    import tty
except ModuleNotFoundError as missing:
    raise NeedsPosix(missing) from None

AT_ONCE = 1_024
NAMES = {
    "\x1b[A": "up",
    "\x1bOA": "up",
    "\x1b[B": "down",
    "\x1bOB": "down",
    "\x1b[5~": "page up",
    "\x1b[6~": "page down",
    "\x1b[H": "home",
    "\x1bOH": "home",
    "\x1b[1~": "home",
    "\x1b": "escape",
    "\r": "enter",
    "\n": "enter",
}
_KEY = re.compile(r"\x1b[\[O][0-9;]*[A-Za-z~]|.", re.DOTALL)


def keys_of(text: str) -> Iterator[str]:
    """The names of the keys that a terminal has sent; keys without a name here are what they send."""
    for found in _KEY.findall(text):
        yield NAMES.get(found, found)


@contextmanager
def pressed(take: Callable[[str], None]) -> Iterator[bool]:
    """Keys go to `take` while this is entered, one by one and without being shown; whether there can be any."""
    descriptor = _terminal()
    if descriptor is None:
        yield False
        return
    loop, before = asyncio.get_running_loop(), termios.tcgetattr(descriptor)

    def read() -> None:
        try:
            octets = os.read(descriptor, AT_ONCE)
        except OSError:
            octets = b""
        if not octets:  # the terminal has gone
            loop.remove_reader(descriptor)
        for key in keys_of(octets.decode(errors="replace")):
            take(key)

    tty.setcbreak(descriptor)
    loop.add_reader(descriptor, read)
    try:
        yield True
    finally:
        loop.remove_reader(descriptor)
        with suppress(termios.error):
            termios.tcsetattr(descriptor, termios.TCSADRAIN, before)


def _terminal() -> int | None:
    """That of standard input, if it is ours: who reads in the background is stopped by the system."""
    try:
        descriptor = sys.stdin.fileno()
        return descriptor if os.isatty(descriptor) and os.tcgetpgrp(descriptor) == os.getpgrp() else None
    except (OSError, ValueError, AttributeError):
        return None
