"""The demo in lines of text: one per step, for pipes, logs and people without a terminal. Pure: steps in, text out."""

import shlex
from urllib.parse import quote

from ami_cli import formatting
from ami_cli.configuration import Listener
from ami_cli.observations import UNNAMED, Request, Step
from ami_cli.simulators import ALL, CONSOLE
from ami_cli.totals import DemoSummary
from ami_hes.events import Apdu

CONSOLES = {"CIS": "cis.port", "HES": "hes.port"}
DEFAULT_HES = "http://127.0.0.1:8081"
"""The head-end that `ami trace` asks when no `--url` is given."""
OTHERS = {"RUNNING": "without an answer yet"}


def opening(listeners: tuple[Listener, ...], meters: int, security: str) -> str:
    """What has been started, where."""
    where = {listener.setting: listener.address for listener in listeners}
    north = f"CIS {where['cis.port']}  HES {where['hes.port']}, meters dial in at {where['hes.dlms_port']}"
    head = f"ami demo  {north}  {formatting.count(meters, 'meter')}, {security}"
    return f"{head}\nconsoles  {consoles(listeners)}"


def consoles(listeners: tuple[Listener, ...]) -> str:
    """Where the web consoles are, of those processes that serve one."""
    where = {listener.setting: listener.url for listener in listeners}
    found = [f"{name} {where[setting]}" for name, setting in CONSOLES.items() if setting in where]
    if of_meters := [listener for listener in listeners if listener.setting.startswith(CONSOLE)]:
        first, *others = of_meters
        named = [
            f"{_meters_of(first)} {first.url}".removeprefix(f"{ALL} "),
            *(f"{_meters_of(one)} :{one.port}" for one in others),
        ]
        found.append("meters " + ", ".join(named))
    return "  ".join(found)


def _meters_of(listener: Listener) -> str:
    return listener.setting.removeprefix(CONSOLE)


def places(listeners: tuple[Listener, ...]) -> str:
    """Where the processes are, short."""
    ports = {listener.setting: listener.port for listener in listeners}
    meters = [str(port) for setting, port in ports.items() if setting.startswith("the address")]
    shown = " ".join(f":{port}" for port in meters[:2]) + (f" and {len(meters) - 2} more" if len(meters) > 2 else "")
    return f"CIS :{ports['cis.port']}   HES :{ports['hes.port']}   meters {shown}   dial-in :{ports['hes.dlms_port']}"


def next_steps(listeners: tuple[Listener, ...], request: Request) -> tuple[str, ...]:
    """What says more about a request of the demo."""
    url = next(listener.url for listener in listeners if listener.setting == "hes.port")
    return steps_at(url, request)


def steps_at(url: str, request: Request) -> tuple[str, ...]:
    """What says more about a request, of the head-end at a URL: its trace, in the terminal and in the console; of one that was refused, who has asked for it."""
    where, name = "" if url == DEFAULT_HES else f" --url {url}", shlex.quote(request.message_id)
    if request.has_trace:
        return (f"ami trace{where} {name}", f"{url}/traces/{quote(request.message_id, safe='')}")
    return () if request.message_id.startswith(UNNAMED) else (f"ami audit show{where} --request {name}",)


def step(one: Step) -> str:
    """One line: when, who, to whom, what, which code, before and after, outcome, how long."""
    parts = [
        formatting.clock(one.at),
        f"{one.source + ' → ' + one.target:<14}",
        one.text,
        one.cim,
        one.cosem,
        formatting.change(one.before, one.after),
        f"{formatting.GLYPHS[one.outcome]} {one.outcome}" if one.outcome in formatting.GLYPHS else one.outcome,
        formatting.took(one.ms),
        one.note,
        one.remark,
    ]
    return "  ".join(part for part in parts if part)


def apdu(event: Apdu) -> str:
    """One framed APDU of the wire between HES and meter."""
    outgoing = event.direction == "request"
    route = f"HES → {event.meter}" if outgoing else f"{event.meter} → HES"
    parts = (" " * 8, f"{route:<14}", event.name, event.hex, "" if outgoing else formatting.took(event.ms))
    return "  ".join(part for part in parts if part)


def summary(total: DemoSummary) -> str:
    """The end: how much was confirmed, and how fast."""
    rounds = " and ".join(formatting.count(number, name.lower()) for name, number in total.counts.items())
    lines = [
        f"{formatting.count(total.cycles, 'cycle')}: {rounds or 'nothing'} confirmed; "
        f"{total.confirmed_commands} of {formatting.count(total.commands, 'command')} confirmed by the meters"
    ]
    if total.median_ms is not None:
        lines.append(
            f"request to reply: median {formatting.took(total.median_ms)}, longest {formatting.took(total.max_ms)}"
        )
    if total.reads:
        lines.append(f"{formatting.count(total.reads, 'reading')} of registers, {total.reads_ok} of them in full")
    if total.reads > total.reads_ok:
        lines.append(
            f"▲ {formatting.count(total.reads - total.reads_ok, 'reading')} without every value of every meter"
        )
    if total.unfulfilled:
        lines.append(f"▲ {formatting.count(total.unfulfilled, 'request')} not confirmed by every meter")
    if total.others:
        ended = ", ".join(f"{number:,} {OTHERS.get(how, how)}" for how, number in sorted(total.others.items()))
        lines.append(f"{formatting.count(sum(total.others.values()), 'request')} of others: {ended}")
    if total.running:
        lines.append(f"◌ {formatting.count(total.running, 'request')} without an answer yet")
    return "\n".join(lines)
