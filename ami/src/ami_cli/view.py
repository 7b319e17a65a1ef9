"""The demo on a terminal: the model drawn with rich, calm, nothing scrolls away. Pure: model in, renderable out.

Words, shapes and colours are those of the console: state is shown by shape and word and colour, never by colour alone.
Below 120 columns the codes of the steps are left out, below 100 the events are, below 30 rows the wire is.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from rich.console import Group, RenderableType
from rich.layout import Layout
from rich.padding import Padding
from rich.table import Table
from rich.text import Text
from rich.theme import Theme

from ami_cim.reading_type_names import name_of
from ami_cli import formatting, plain_text
from ami_cli.configuration import Listener
from ami_cli.demo_state import DemoState
from ami_cli.observations import OTHER, Octets, Request, Step

THEME = Theme(
    {
        "ok": "green4",
        "partial": "dark_orange3",
        "failed": "red3",
        "running": "dodger_blue2",
        "ready": "medium_purple2",
        "quiet": "grey58",
        "line": "grey27",
    }
)
STATES = (
    ("connected", "connected", "ok"),
    ("disconnected", "disconnected", ""),
    ("ready for reconnection", "ready", "ready"),
    ("no answer", "no answer", "failed"),
)
STATE_STYLES = {word: style for word, _, style in STATES}
WIDE, ROOMY, TALL = 100, 120, 30
LONGEST_EVENT = 72
REQUEST = 32
"""Columns of a request at most: beyond them nothing is left for how long it took and its MessageID."""
WHAT = 17
"""Columns of what a step is, where its states or its outcome are beside it."""
BAR = 10
HEAD, FOOT = 5, 1


@dataclass(frozen=True, slots=True)
class Frame:
    """What a picture needs beside the model."""

    now: datetime
    width: int
    height: int
    listeners: tuple[Listener, ...]
    security: str
    notice: str = ""
    """What the demo itself is doing: starting, stopping, waiting."""
    configuration: str = ""


def draw(model: DemoState, frame: Frame) -> RenderableType:
    """One picture of the whole; where there is more than fits, the newest is what is seen."""
    wide, tall = frame.width >= WIDE, frame.height >= TALL
    shares = (3, 3, 2) if tall else (3, 3)
    room = [max((frame.height - HEAD - FOOT) * share // sum(shares), 1) for share in shares]
    newest = model.newest_first
    layout, middle = Layout(), Layout(ratio=3)
    requests = _requests(newest[: room[0]], wide and frame.width < ROOMY)
    left = Layout(_padded(_title("Requests", "newest first"), requests), ratio=2)
    right = Layout(_padded(_title("Events", "newest first"), _events(model, room[0])), ratio=1)
    middle.split_row(*([left, right] if wide else [left]))
    steps = _steps(model, newest, frame.width >= ROOMY, max(room[1] - 2, 4))
    rows = [
        Layout(_padded(_head(model, frame), _consoles(frame), _states(model)), size=HEAD),
        middle,
        Layout(_padded(_title("Steps", _of(newest)), steps), ratio=3, minimum_size=6),
    ]
    if tall:
        title = _title("Wire", f"HES and meters, wrapper over TCP, {frame.security}")
        rows.append(Layout(_padded(title, _wire(model, room[2] - 1)), ratio=2))
    rows.append(Layout(_padded(_foot(frame)), size=FOOT))
    layout.split_column(*rows)
    return layout


def closing(model: DemoState, trouble: Sequence[str]) -> RenderableType:
    """What stays on the screen when the demo is over."""
    total = model.summary()
    good = total.all_confirmed and total.requests and not trouble
    mark = Text(formatting.GLYPHS["OK"], "ok") if good else Text(formatting.GLYPHS["FAILED"], "failed")
    return Group(Text.assemble(mark, " ", plain_text.summary(total)), *(Text(line, "failed") for line in trouble))


def _head(model: DemoState, frame: Frame) -> Table:
    ports = {listener.setting: listener.port for listener in frame.listeners}
    meters = [str(port) for setting, port in ports.items() if setting.startswith("the address")]
    shown = " ".join(f":{port}" for port in meters[:2]) + (f" and {len(meters) - 2} more" if len(meters) > 2 else "")
    places = (
        f"   CIS :{ports['cis.port']}   HES :{ports['hes.port']}   meters {shown}   dial-in :{ports['hes.dlms_port']}"
    )
    head = Table.grid(expand=True)
    head.add_column(no_wrap=True, overflow="ellipsis", ratio=1)
    head.add_column(justify="right", no_wrap=True)
    up = int((frame.now - model.started_at).total_seconds())
    head.add_row(
        Text.assemble(("ami demo", "bold"), (places, "quiet")),
        Text(f" {formatting.clock(frame.now)}  up {up} s", "quiet"),
    )
    return head


def _consoles(frame: Frame) -> Text:
    shown = f"consoles   {plain_text.consoles(frame.listeners)}"
    return Text(shown, "quiet", no_wrap=True, overflow="ellipsis")


def _states(model: DemoState) -> Group:
    states = Text(no_wrap=True, overflow="ellipsis")
    for word, shown, style in STATES:
        states.append(f"{formatting.GLYPHS[word]} ", style)
        states.append(f"{model.count(word):,}", "bold")
        states.append(f" {shown}  ", "quiet")
    unknown = len(model.meters) - len(model.states)
    if unknown > 0:
        states.append(f"{formatting.NOTHING} {unknown} not asked yet", "quiet")
    total, speed = model.summary(), Text(no_wrap=True, overflow="ellipsis")
    speed.append(f"{total.confirmed_commands:,}", "bold")
    speed.append(f" of {total.commands:,} commands confirmed", "quiet")
    if total.others:
        speed.append(f"   {formatting.count(sum(total.others.values()), 'request')} of others", "partial")
    if total.median_ms is not None:
        speed.append("   request to reply: median ", "quiet")
        speed.append(formatting.took(total.median_ms), "bold")
        speed.append("   longest ", "quiet")
        speed.append(formatting.took(total.max_ms), "bold")
    return Group(states, speed)


def _requests(newest: list[Request], narrow: bool) -> Table:
    table = Table(box=None, expand=True, pad_edge=False, header_style="quiet", padding=(0, 1, 0, 0))
    table.add_column("", min_width=9, no_wrap=True)
    table.add_column("request", min_width=26, max_width=26 if narrow else REQUEST, no_wrap=True, overflow="ellipsis")
    table.add_column("meters", min_width=6, justify="right", no_wrap=True)
    table.add_column("confirmed", min_width=BAR, no_wrap=True)
    table.add_column("took", min_width=6, justify="right", no_wrap=True)
    if not narrow:
        table.add_column("message id", style="quiet", ratio=1, no_wrap=True, overflow="ellipsis")
    for request in newest:
        table.add_row(
            _pill(request.status),
            Text.assemble(
                f"{request.what:<10}",
                (f" {_asked(request)}", "quiet"),
                ("" if request.own else f" {OTHER}", "partial"),
                (" async" if request.asynchronous else "", "quiet"),
            ),
            str(len(request.meters)),
            _bar(request),
            formatting.took(request.ms),
            *(() if narrow else (request.message_id,)),
        )
    return table


def _asked(request: Request) -> str:
    """The code of a control; of a request for values the names of its ReadingTypes, without its period."""
    if not request.is_read:
        return request.code
    return " ".join(name_of(one) for one in request.code.split() if "T" not in one)


def _bar(request: Request, width: int = BAR) -> Text:
    count = max(len(request.meters), 1)
    good = round(width * len(request.confirmed) / count)
    bad = width - good if request.result is not None else 0
    return Text.assemble(("━" * good, "ok"), ("━" * bad, "failed"), ("─" * (width - good - bad), "line"))


def _steps(model: DemoState, newest: list[Request], wide: bool, most: int) -> Table:
    """Those of the newest command, with what was read right before and since."""
    table = Table(box=None, expand=True, pad_edge=False, header_style="quiet", padding=(0, 2, 0, 0))
    table.add_column("", width=8, style="quiet", no_wrap=True)
    table.add_column("who to whom", min_width=11, no_wrap=True)
    if wide:
        table.add_column("what", ratio=2, no_wrap=True, overflow="ellipsis")
        table.add_column("CIM or COSEM", min_width=9, no_wrap=True)
        table.add_column("before → after", ratio=3, min_width=28, no_wrap=True, overflow="ellipsis")
    else:
        table.add_column(f"{'what':{WHAT}}  before → after", ratio=1, no_wrap=True, overflow="ellipsis")
    table.add_column("took", min_width=6, justify="right", no_wrap=True)
    shown = _with_readings(newest)
    for step in [one for one in model.steps if one.message_id in shown][-most:]:
        table.add_row(*_step(step, wide))
    return table


def _with_readings(newest: list[Request]) -> set[str]:
    """The MessageIDs of the newest command, of the readings after it, and of the one before."""
    place = next((place for place, one in enumerate(newest) if not one.is_read), len(newest))
    before = [one for one in newest[place + 1 : place + 2] if one.is_read]
    return {one.message_id for one in (*newest[: place + 1], *before)}


def _step(step: Step, wide: bool) -> tuple[RenderableType, ...]:
    route = Text.assemble(step.source, (" → ", "running"), step.target)
    last = _what_came_of(step)
    about: tuple[RenderableType, ...] = (step.text, Text(step.cim or step.cosem, "quiet"), last)
    if not wide:
        about = (_in_one_column(step.text, last),)
    return formatting.clock(step.at), route, *about, formatting.took(step.ms)


def _what_came_of(step: Step) -> Text:
    if step.note:
        return Text(f"▲ {step.note}", "failed")
    if step.before or step.after:
        return Text.assemble(_state(step.before), (" → ", "quiet"), _state(step.after))
    return _pill(step.outcome) if step.outcome else Text()


def _in_one_column(what: str, last: Text) -> Text:
    """A step that has nothing beside it, such as values that were read, takes the room of both columns."""
    if not last:
        return Text(what)
    shown = what if len(what) <= WHAT else f"{what[: WHAT - 1]}…"
    return Text.assemble(f"{shown:{WHAT}}  ", last)


def _wire(model: DemoState, most: int) -> Table:
    table = Table.grid(padding=(0, 2), expand=True)
    table.add_column(width=10, no_wrap=True, style="quiet")
    table.add_column(width=1)
    table.add_column(no_wrap=True, overflow="ellipsis", ratio=1)
    table.add_column(justify="right", width=8, style="quiet")
    for octets in list(model.wire)[-most:]:
        table.add_row(*_octets(octets))
    return table


def _octets(octets: Octets) -> tuple[RenderableType, ...]:
    arrow = Text("→", "running") if octets.outgoing else Text("←", "quiet")
    return (
        octets.meter,
        arrow,
        Text.assemble(octets.name, "  ", (octets.hex, "quiet")),
        "" if octets.outgoing else formatting.took(octets.ms),
    )


def _events(model: DemoState, most: int) -> Table:
    """Who did what; a long reason is shortened, but no word of the first lines is cut by the width."""
    table = Table.grid(expand=True, padding=(0, 1, 0, 0))
    table.add_column(width=8, style="quiet")
    table.add_column(width=1)
    table.add_column(ratio=1, overflow="fold")
    for one in list(reversed(model.happenings))[:most]:
        text = one.text if len(one.text) <= LONGEST_EVENT else f"{one.text[: LONGEST_EVENT - 1]}…"
        mark, style = ("▲", "failed") if one.alarm else (formatting.GLYPHS.get(one.text, "·"), "")
        row = Text.assemble((one.who, "quiet"), " ", (text, style))
        table.add_row(formatting.clock(one.at), Text(mark, style), row)
    return table


def _foot(frame: Frame) -> Text:
    foot = Text.assemble(("Ctrl-C", "bold"), (" stop", "quiet"))
    if frame.configuration:
        foot.append(f"   configuration {frame.configuration}", "quiet")
    if frame.notice:
        foot.append(f"   {frame.notice}", "running")
    return foot


def _of(newest: list[Request]) -> str:
    if not newest:
        return ""
    request = next((one for one in newest if not one.is_read), newest[0])
    identifiers = (request.verb, request.noun, _asked(request), request.message_id)
    return f"of the newest command, {' '.join(part for part in identifiers if part)}"


def _state(word: str) -> Text:
    return Text(formatting.state(word), STATE_STYLES.get(word, "quiet"))


def _pill(status: str) -> Text:
    return Text(f"{formatting.GLYPHS.get(status, '')} {status}", status.lower() if status in formatting.GLYPHS else "")


def _title(title: str, note: str = "") -> Text:
    return Text.assemble((title, "bold"), "  ", (note, "quiet"), no_wrap=True, overflow="ellipsis")


def _padded(*parts: RenderableType) -> Padding:
    return Padding(Group(*parts), (0, 1))
