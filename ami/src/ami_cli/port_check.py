"""Are the ports of the demo free? Asked before anything starts, so that the answer is one sentence and not a traceback.

A port is tried by binding it, with SO_REUSEADDR for TCP as the services do, so that a connection still in TIME_WAIT does
not count as taken.
"""

import errno
import socket
from collections.abc import Iterable, Sequence
from dataclasses import replace

from ami_cli.configuration import Listener

STATE = "var/second"
METERS = "METER_PORT"
FLEET = 1000
"""Meters follow one another, so they get a thousand of their own."""
OWN_STATE = f"make demo STATE={STATE}   (or: ami demo --state {STATE})"


def taken(listeners: Iterable[Listener]) -> list[tuple[Listener, str]]:
    """Those that cannot be had, each with the reason in words."""
    found = []
    wanted: dict[tuple[str, int, bool], Listener] = {}
    for listener in listeners:
        first = wanted.setdefault((listener.host, listener.port, listener.udp), listener)
        # meters may share an address, as logical devices of their own
        reason = f"is wanted by {first.setting} too" if first.option != listener.option else _reason(listener)
        if reason:
            found.append((listener, reason))
    return found


def advice(trouble: Sequence[tuple[Listener, str]], configuration: str, own_state: bool = False) -> str:
    """What to tell the person who started the demo; with `own_state` it is the second one, and needs that too."""
    lines = [
        f"{listener.address} ({'UDP' if listener.udp else 'TCP'}) {reason}: wanted by {listener.setting}, {listener.what}"
        for listener, reason in trouble
    ]
    options: dict[str, object] = dict(_free_instead([listener for listener, _ in trouble]))
    if own_state:
        options["STATE"] = STATE
    chosen = " ".join(f"{option}={value}" for option, value in options.items())
    flags = " ".join(f"--{option.lower().replace('_', '-')} {value}" for option, value in options.items())
    lines.append(f"To use other ports: make demo {chosen}   (or: ami demo {flags}), or change {configuration}.")
    return "\n".join(lines)


def _free_instead(listeners: Sequence[Listener]) -> dict[str, int]:
    """The first port of each option in a thousand where all of them are free; of several meters the first one counts."""
    for thousand in range(9000, 32000, 1000):
        moved = [
            replace(listener, port=thousand + listener.port % 1000 + (FLEET if listener.option == METERS else 0))
            for listener in listeners
        ]
        if not taken(moved):
            break
    first: dict[str, int] = {}
    for listener in moved:
        first.setdefault(listener.option, listener.port)
    return first


def _reason(listener: Listener) -> str | None:
    kind = socket.SOCK_DGRAM if listener.udp else socket.SOCK_STREAM
    family = socket.AF_INET6 if ":" in listener.host else socket.AF_INET
    with socket.socket(family, kind) as probe:
        if not listener.udp:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((listener.host, listener.port))
        except OSError as error:
            return _words(error)
    return None


def _words(error: OSError) -> str:
    if error.errno == errno.EADDRINUSE:
        return "is taken"
    if error.errno == errno.EADDRNOTAVAIL:
        return "is no address of this machine"
    if error.errno == errno.EACCES:
        return "is not allowed to this user"
    return f"cannot be bound ({error})"
