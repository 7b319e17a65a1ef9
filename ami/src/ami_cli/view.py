"""A running system on a terminal: the model drawn with rich, calm, nothing scrolls away. Pure: model in, renderable out.

Words, shapes and colours are those of the console: state is shown by shape and word and colour, never by colour alone; the colours are
such that they can be read on light and on dark. Below 120 columns the codes of the steps are left out, below 100 the events are, below
30 rows the wire is. A request that is opened (`ami_cli.request_view`) takes the room of all of them.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from rich.console import Group, RenderableType
from rich.layout import Layout
from rich.padding import Padding
from rich.table import Table
from rich.text import Text
from rich.theme import Theme

from ami_cim.reading_type_names import name_of
from ami_cli import formatting, plain_text, request_view
from ami_cli.looking import Looking
from ami_cli.observations import Octets, Request, Step
from ami_cli.observed import Observed, Pieces
from ami_cli.request_view import BAR, NextSteps, bar, no_next_steps, pill
from ami_cli.totals import DemoSummary

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
HEAD, FOOT = 5, 1
WIRE_COLUMNS = 29
"""Of the wire, all but words and octets."""
LEAST_HEX, LEAST_WORDS = 22, 40
"""Columns of octets beside words, where there is room; the first eight are the header of the wrapper."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """What a picture needs beside the model."""

    now: datetime
    width: int
    height: int
    title: str
    places: str
    """Where the processes are."""
    consoles: str
    """Where their web consoles are."""
    wire: str
    """What goes over the wire, and how it is secured."""
    notice: str = ""
    """What the command itself is doing: starting, stopping, waiting."""
    foot: str = ""
    """What else is good to know, as the configuration."""
    looking: Looking = field(default_factory=Looking)
    next_steps: NextSteps = no_next_steps


def draw(model: Observed, frame: Frame) -> RenderableType:
    """One picture of the whole, or of the request that is opened; where there is more than fits, the newest is what is seen."""
    layout = Layout()
    head = Layout(_padded(_head(model, frame), _consoles(frame), _states(model)), size=HEAD)
    foot = Layout(_padded(_foot(frame)), size=FOOT)
    opened = frame.looking.opened_in(model)
    if opened is None:
        layout.split_column(head, *_overview(model, frame), foot)
        return layout
    height = max(frame.height - HEAD - FOOT, 1)
    shown = request_view.draw(opened, frame.next_steps(opened), frame.width - 2, height, frame.looking)
    layout.split_column(head, Layout(Padding(shown, (0, 1))), foot)
    return layout


def _overview(model: Observed, frame: Frame) -> list[Layout]:
    wide, tall = frame.width >= WIDE, frame.height >= TALL
    shares = (3, 3, 2) if tall else (3, 3)
    room = [max((frame.height - HEAD - FOOT) * share // sum(shares), 1) for share in shares]
    newest = model.newest_first
    first = frame.looking.first_shown(newest, max(room[0] - 2, 1))
    shown = newest[first : first + room[0]]
    middle = Layout(ratio=3)
    selected = frame.looking.selected_in(model)
    requests = _requests(shown, wide and frame.width < ROOMY, selected)
    heading = Text(" ").append_text(_title("Requests", "newest first"))
    left = Layout(Padding(Group(heading, requests), (0, 1, 0, 0)), ratio=2)
    right = Layout(_padded(_title("Events", "newest first"), _events(model, room[0])), ratio=1)
    middle.split_row(*([left, right] if wide else [left]))
    shown_steps = _with_readings(newest) if selected is None else {selected.message_id}
    steps = _steps(model, shown_steps, frame.width >= ROOMY, max(room[1] - 2, 4))
    title = _title("Steps", _of(newest) if selected is None else f"of the selected request, {selected.message_id}")
    rows = [middle, Layout(_padded(title, steps), ratio=3, minimum_size=6)]
    if tall:
        wire = _wire(model, room[2] - 1, frame.width)
        rows.append(Layout(_padded(_title("Wire", frame.wire), wire), ratio=2))
    return rows


def closing(total: DemoSummary, trouble: Sequence[str]) -> RenderableType:
    """What stays on the screen when the demo is over."""
    good = total.all_confirmed and total.requests and not trouble
    mark = Text(formatting.GLYPHS["OK"], "ok") if good else Text(formatting.GLYPHS["FAILED"], "failed")
    return Group(Text.assemble(mark, " ", plain_text.summary(total)), *(Text(line, "failed") for line in trouble))


def _head(model: Observed, frame: Frame) -> Table:
    head = Table.grid(expand=True)
    head.add_column(no_wrap=True, overflow="ellipsis", ratio=1)
    head.add_column(justify="right", no_wrap=True)
    up = int((frame.now - model.started_at).total_seconds())
    head.add_row(
        Text.assemble((frame.title, "bold"), (f"   {frame.places}", "quiet")),
        Text(f" {formatting.clock(frame.now)}  up {up} s", "quiet"),
    )
    return head


def joined(pieces: Pieces) -> Text:
    """Styled pieces as one line."""
    return Text.assemble(*pieces, no_wrap=True, overflow="ellipsis")


def _consoles(frame: Frame) -> Text:
    """In two lines where there are three of them and little room."""
    return Text(f"consoles   {frame.consoles}", "quiet", overflow="fold")


def _states(model: Observed) -> Group:
    states = Text(no_wrap=True, overflow="ellipsis")
    for word, shown, style in STATES:
        states.append(f"{formatting.GLYPHS[word]} ", style)
        states.append(f"{model.count(word):,}", "bold")
        states.append(f" {shown}  ", "quiet")
    if model.unasked > 0:
        states.append(f"{formatting.NOTHING} {model.unasked:,} not asked yet", "quiet")
    return Group(states, joined(model.told))


def _requests(newest: list[Request], narrow: bool, selected: Request | None) -> Table:
    table = Table(box=None, expand=True, pad_edge=False, header_style="quiet", padding=(0, 1, 0, 0))
    table.add_column("", min_width=10, no_wrap=True)
    table.add_column("request", min_width=26, max_width=26 if narrow else REQUEST, no_wrap=True, overflow="ellipsis")
    table.add_column("meters", min_width=6, justify="right", no_wrap=True)
    table.add_column("confirmed", min_width=BAR, no_wrap=True)
    table.add_column("took", min_width=6, justify="right", no_wrap=True)
    if not narrow:
        table.add_column("message id", style="quiet", ratio=1, no_wrap=True, overflow="ellipsis")
    for request in newest:
        mark = ("▸", "running") if request is selected else " "
        table.add_row(
            Text.assemble(mark, pill(request.status)),
            Text.assemble(
                f"{request.what:<10}",
                (f" {_asked(request)}" if _asked(request) else "", "quiet"),
                (f" {request.sender}" if request.sender else "", "partial"),
                (" async" if request.asynchronous else "", "quiet"),
            ),
            f"{request.size:,}",
            bar(request),
            formatting.took(request.ms),
            *(() if narrow else (request.message_id,)),
            style="bold" if request is selected else "",
        )
    return table


def _asked(request: Request) -> str:
    """The code of a control; of a request for values the names of its ReadingTypes, without its period."""
    if not request.is_read:
        return request.code
    return " ".join(name_of(one) for one in request.code.split() if "T" not in one)


def _steps(model: Observed, shown: set[str], wide: bool, most: int) -> Table:
    """Those of the requests with these MessageIDs, in their order."""
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
    steps = sorted((one for one in model.steps if one.message_id in shown), key=lambda one: one.at)
    for step in steps[-most:]:
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
    outcome = pill(step.outcome) if step.outcome else Text()
    return outcome.append(f"  {step.remark}", "quiet") if step.remark else outcome


def _in_one_column(what: str, last: Text) -> Text:
    """A step that has nothing beside it, such as values that were read, takes the room of both columns."""
    if not last:
        return Text(what)
    shown = what if len(what) <= WHAT else f"{what[: WHAT - 1]}…"
    return Text.assemble(f"{shown:{WHAT}}  ", last)


def _wire(model: Observed, most: int, width: int) -> Table:
    """In words, as much as leaves room for the first octets."""
    words = max(width - WIRE_COLUMNS - LEAST_HEX, LEAST_WORDS)
    table = Table.grid(padding=(0, 2), expand=True)
    table.add_column(width=10, no_wrap=True, style="quiet")
    table.add_column(width=1)
    table.add_column(no_wrap=True, overflow="ellipsis", ratio=1)
    table.add_column(justify="right", width=8, style="quiet")
    for octets in list(model.wire)[-most:]:
        table.add_row(*_octets(octets, words))
    return table


def _octets(octets: Octets, most: int) -> tuple[RenderableType, ...]:
    words = octets.words if len(octets.words) <= most else f"{octets.words[: most - 1]}…"
    arrow = Text("→", "running") if octets.outgoing else Text("←", "quiet")
    return (
        octets.meter,
        arrow,
        Text.assemble(words, "  ", (octets.hex, "quiet")),
        "" if octets.outgoing else formatting.took(octets.ms),
    )


def _events(model: Observed, most: int) -> Table:
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
    foot = Text(no_wrap=True, overflow="ellipsis")
    for key, meaning in frame.looking.keys:
        foot.append(key, "bold").append(f" {meaning}   ", "quiet")
    if frame.foot:
        foot.append(f"{frame.foot}   ", "quiet")
    if frame.notice:
        foot.append(frame.notice, "running")
    return foot


def _of(newest: list[Request]) -> str:
    if not newest:
        return ""
    request = next((one for one in newest if not one.is_read), newest[0])
    identifiers = (request.verb, request.noun, _asked(request), request.message_id)
    return f"of the newest command, {' '.join(part for part in identifiers if part)}"


def _state(word: str) -> Text:
    return Text(formatting.state(word), STATE_STYLES.get(word, "quiet"))


def _title(title: str, note: str = "") -> Text:
    return Text.assemble((title, "bold"), "  ", (note, "quiet"), no_wrap=True, overflow="ellipsis")


def _padded(*parts: RenderableType) -> Padding:
    return Padding(Group(*parts), (0, 1))
