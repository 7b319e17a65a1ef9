"""One request on the whole screen: what it asked for, what became of it at each meter and why, and where to look next. Pure."""

from collections.abc import Callable, Iterator, Sequence
from textwrap import wrap

from rich.console import Group, RenderableType
from rich.text import Text

from ami_cim.codes import reply_codes
from ami_cli import formatting
from ami_cli.looking import Looking
from ami_cli.observations import Request, Work

BAR = 10
MOST_MEANINGS = 40
MOST_SHOWN = 500
"""Meters of a page."""
NextSteps = Callable[[Request], Sequence[str]]
"""Which commands say more about a request."""


def no_next_steps(_: Request) -> Sequence[str]:
    """Where there is no head-end to ask."""
    return ()


def draw(request: Request, next_steps: Sequence[str], width: int, height: int, looking: Looking) -> RenderableType:
    """The part of its page that fits, from the line that `looking` has scrolled to; notes how far it can scroll."""
    lines = list(page(request, next_steps, max(width, 20)))
    looking.most = max(len(lines) - height, 0)
    looking.moved = min(looking.moved, looking.most)
    return Group(*lines[looking.moved : looking.moved + height])


def page(request: Request, next_steps: Sequence[str], width: int) -> Iterator[Text]:
    """All of its lines."""
    yield from _about(request, width)
    yield Text()
    reasons = [*_reasons_of_all(request)]
    for reason in reasons:
        yield from _wrapped(reason, width, style="failed")
    if reasons:
        yield Text()
    yield from _meters(request, width)
    yield from _meanings(request, width)
    if next_steps:
        yield Text("Next", "bold")
        for step in next_steps:
            yield from _wrapped(step, width, first="  ")


def pill(status: str) -> Text:
    """A state: shape, word and colour."""
    return Text(f"{formatting.GLYPHS.get(status, '')} {status}", status.lower() if status in formatting.GLYPHS else "")


def bar(request: Request, width: int = BAR) -> Text:
    """How many of its meters did it, and once there is a verdict how many did not."""
    count = max(request.size, 1)
    good = round(width * request.good / count)
    bad = width - good if request.result is not None else 0
    return Text.assemble(("━" * good, "ok"), ("━" * bad, "failed"), ("─" * (width - good - bad), "line"))


def _about(request: Request, width: int) -> Iterator[Text]:
    sender = f"from {request.sender}" if request.sender else "from the CIS"
    head = Text.assemble(
        pill(request.status), "  ", (request.what, "bold"), f"  {request.code}" if request.code else ""
    )
    head.append(f"  {sender}", "partial" if request.sender else "quiet")
    head.append(f"  {formatting.took(request.ms)}" if request.ms is not None else "")
    head.truncate(width, overflow="ellipsis")
    yield head
    asked = f"{request.verb} {request.noun}".strip()
    late = ", answered at its reply address" if request.asynchronous else ""
    yield from _wrapped(f"{asked}{late}, {formatting.clock(request.sent_at)} UTC".lstrip(", "), width, style="quiet")
    yield from _wrapped(f"MessageID {request.message_id}", width, style="quiet")
    good, size = request.good, request.size
    yield Text.assemble(bar(request), f"  {good:,} of {formatting.count(size, 'meter')} did it")


def _reasons_of_all(request: Request) -> Iterator[str]:
    """Reasons of the reply that are about no meter that is listed below."""
    failed = {one.meter for one in request.work.values() if not one.ok}
    for reason in request.reasons:
        if reason.partition(" ")[0] not in failed:
            yield reason


def _meters(request: Request, width: int) -> Iterator[Text]:
    """Those that failed first, each with its whole reason."""
    work = sorted(request.work.values(), key=lambda one: one.ok)
    for one in work[:MOST_SHOWN]:
        yield from _meter(one, width)
    if len(work) > MOST_SHOWN:
        yield Text(f"and {len(work) - MOST_SHOWN:,} more", "quiet")
    waiting = [meter for meter in request.meters if meter not in request.work][:MOST_SHOWN]
    if waiting and request.result is None:
        yield from _wrapped(f"not at its end: {', '.join(waiting)}", width, first=f"{formatting.GLYPHS['RUNNING']} ")
    if work or waiting:
        yield Text()


def _meter(one: Work, width: int) -> Iterator[Text]:
    word = "OK" if one.ok else "FAILED"
    head = Text.assemble((f"{formatting.GLYPHS[word]} {word:<7}", word.lower()), (one.meter, "bold"), f"  {one.method}")
    head.append(f"  {one.cosem}" if one.cosem else "", "quiet")
    head.append(f"  {formatting.change(one.before, one.after)}" if one.before or one.after else "")
    head.append(f"  {formatting.took(one.ms)}", "quiet")
    head.truncate(width, overflow="ellipsis")
    yield head
    answered = f"ACTION answered {one.action_result}" if one.action_result and not one.ok else ""
    for said in (_reason(one), answered):
        if said:
            yield from _wrapped(said, width, first=" " * 10, style="quiet" if one.ok else "failed")


def _reason(one: Work) -> str:
    code = "" if one.ok else one.reply_code
    return " ".join(part for part in (code, one.reason) if part)


def _meanings(request: Request, width: int) -> Iterator[Text]:
    """The reply codes that were met, in the words of the standard's table."""
    found = dict.fromkeys(one.reply_code for one in request.work.values() if not one.ok)
    found |= dict.fromkeys(word for reason in request.reasons for word in reason.split()[:2])
    codes = [reply_codes()[code] for code in found if code in reply_codes()]
    if not codes:
        return
    yield Text("Reply codes of IEC 61968-9", "bold")
    for one in codes[:MOST_MEANINGS]:
        yield from _wrapped(f"{one.category}: {one.meaning}", width, first=f"  {one.code:<6}")
    yield Text()


def _wrapped(text: str, width: int, *, first: str = "", style: str = "") -> Iterator[Text]:
    """Between words; no character of control gets to the terminal."""
    room = max(width - len(first), 10)
    for number, line in enumerate(wrap(text, room, break_on_hyphens=False) or [""]):
        yield Text((first if number == 0 else " " * len(first)) + line, style, no_wrap=True)
