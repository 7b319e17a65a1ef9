"""The demo in lines of text: one a step, for pipes, logs and people without a terminal. Pure: steps in, text out."""

from ami_cli import words
from ami_cli.configuration import Listener
from ami_cli.heard import Step
from ami_cli.totals import Summary
from ami_hes.events import Apdu

OTHERS = {"RUNNING": "without an answer yet"}


def opening(listeners: tuple[Listener, ...], meters: int, security: str) -> str:
    """What has been started, where."""
    where = {listener.setting: listener.address for listener in listeners}
    north = f"CIS {where['cis.port']}  HES {where['hes.port']}, meters dial in at {where['hes.dlms_port']}"
    return f"ami demo  {north}  {words.count(meters, 'meter')}, {security}"


def step(one: Step) -> str:
    """One line: when, who, to whom, what, which code, before and after, outcome, how long."""
    parts = [
        words.clock(one.at),
        f"{one.source + ' → ' + one.target:<14}",
        one.said,
        one.cim,
        one.cosem,
        words.change(one.before, one.after),
        f"{words.GLYPHS[one.outcome]} {one.outcome}" if one.outcome in words.GLYPHS else one.outcome,
        words.took(one.ms),
        one.note,
    ]
    return "  ".join(part for part in parts if part)


def apdu(event: Apdu) -> str:
    """One framed APDU of the wire between HES and meter."""
    outgoing = event.direction == "request"
    route = f"HES → {event.meter}" if outgoing else f"{event.meter} → HES"
    parts = (" " * 8, f"{route:<14}", event.name, event.hex, "" if outgoing else words.took(event.ms))
    return "  ".join(part for part in parts if part)


def summary(total: Summary) -> str:
    """The end: how much was confirmed, and how fast."""
    rounds = " and ".join(words.count(number, name.lower()) for name, number in total.counts.items())
    lines = [
        f"{words.count(total.cycles, 'cycle')}: {rounds or 'nothing'} confirmed; "
        f"{total.confirmed_commands} of {words.count(total.commands, 'command')} confirmed by the meters"
    ]
    if total.median_ms is not None:
        lines.append(f"request to reply: median {words.took(total.median_ms)}, longest {words.took(total.max_ms)}")
    if total.unfulfilled:
        lines.append(f"▲ {words.count(total.unfulfilled, 'request')} not confirmed by every meter")
    if total.others:
        ended = ", ".join(f"{number:,} {OTHERS.get(how, how)}" for how, number in sorted(total.others.items()))
        lines.append(f"{words.count(sum(total.others.values()), 'request')} of others: {ended}")
    if total.running:
        lines.append(f"◌ {words.count(total.running, 'request')} without an answer yet")
    return "\n".join(lines)
