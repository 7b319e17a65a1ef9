"""A trace in lines for a person: the tree of its spans with durations, a waterfall where there is room, and octets where they are wanted.

Pure: values in, styled pieces out. Words, shapes and colours are those of the console: a request is `→`, an answer `←`; state is shown
by shape and word and colour, never by colour alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from ami_cli.decode.tree_view import Line, View
from ami_cli.formatting import GLYPHS, clock, count, took
from ami_dlms.explain import Node
from ami_trace.explained import Frames, explained
from ami_trace.form import ApduRecord, Direction, FrameRecord, Kind, Outcome, Span, Trace

WIDE = 110
"""Columns from which on there is a waterfall."""
BAR = 32
NAMED = 48
MOST_UNFOLDED = 3
"""Meters that ended well whose sessions are shown, unless all are wanted."""
_STATES = {
    Outcome.OK: ("OK", "ok"),
    Outcome.PARTIAL: ("PARTIAL", "partial"),
    Outcome.FAILED: ("FAILED", "failed"),
    Outcome.REFUSED: ("PARTIAL", "partial"),
    Outcome.RUNNING: ("RUNNING", "running"),
}
_SHAPED = frozenset({Kind.REQUEST, Kind.COMMAND, Kind.VERDICT, Kind.REPLY, Kind.DELIVERY})
"""Kinds whose state is shown also when it is OK."""


@dataclass(frozen=True, slots=True)
class Shown:
    """How a trace is shown. `octets`: each APDU octet by octet; `everything`: no meter is folded."""

    width: int
    octets: bool = False
    everything: bool = False
    full: bool = False

    def lines(self, trace: Trace) -> Iterator[Line]:
        """A heading, the tree, and what is not in it."""
        return _Tree(trace, self).lines()


class _Tree:
    def __init__(self, trace: Trace, shown: Shown) -> None:
        self._trace = trace
        self._shown = shown
        self._children = trace.children()
        self._began = trace.began_at
        ends = (span.ended_at or span.began_at for span in trace.spans)
        self._length = max((max(ends) - self._began).total_seconds(), 1e-6)
        self._unfolded = 0
        self._frames = Frames()

    def lines(self) -> Iterator[Line]:
        trace = self._trace
        word, style = _STATES[trace.outcome]
        yield [
            (f"{GLYPHS[word]} {word}", style),
            (f"  {trace.verb} {trace.noun}", "bold"),
            (f" from {trace.source}" if trace.source else "", ""),
            (f"  {trace.began_at.date().isoformat()} {clock(trace.began_at)} UTC", "quiet"),
            (f"  {_duration(trace.began_at, trace.ended_at)}", ""),
        ]
        meters = trace.meters
        yield [
            (f"  {trace.message_id}", "quiet"),
            (f"  {count(meters.asked, 'meter')}, {meters.ok:,} OK, {meters.done - meters.ok:,} failed", ""),
            (f", {meters.asked - meters.done:,} under way" if meters.done < meters.asked else "", "running"),
        ]
        if trace.clear_text and not trace.redacted:
            yield [("  It holds what was ciphered on the wire: values of customers are in it.", "partial")]
        [root] = self._children[None]
        for span in self._children.get(root.id, []):
            yield from self._span(span, 0)
        for note in trace.notes:
            yield [(f"  {note}", "quiet")]

    def _span(self, span: Span, depth: int) -> Iterator[Line]:
        if span.apdu is not None:
            yield from self._apdu(span, span.apdu, depth)
            return
        if span.frame is not None:
            yield from self._frame(span, span.frame, depth)
            return
        folded = span.kind is Kind.COMMAND and self._is_folded(span)
        yield self._line(span, depth, folded=folded)
        if folded:
            return
        for child in self._children.get(span.id, []):
            yield from self._span(child, depth + 1)

    def _is_folded(self, span: Span) -> bool:
        if self._shown.everything or span.outcome is not Outcome.OK:
            return False
        self._unfolded += 1
        return self._unfolded > MOST_UNFOLDED

    def _line(self, span: Span, depth: int, *, folded: bool) -> Line:
        word, style = _STATES[span.outcome]
        shaped = span.kind in _SHAPED or span.outcome is not Outcome.OK
        mark = GLYPHS[word] if shaped else " "
        name = f"{'  ' * depth}{span.name}"
        bold = "bold" if span.kind in (Kind.COMMAND, Kind.MESSAGE, Kind.REPLY) else ""
        if len(name) > NAMED and self._shown.width >= WIDE:
            name = f"{name[: NAMED - 1]}…"
        why = span.text if not folded else f"(folded: --all)  {span.text}"
        return [
            (f"{mark} ", style),
            (f"{name:<{NAMED}}", bold),
            (f" {_duration(span.began_at, span.ended_at):>9}", "" if span.ended_at else "running"),
            *self._bar(span),
            (f"  {why}" if why else "", style if span.outcome is not Outcome.OK else "quiet"),
        ]

    def _bar(self, span: Span) -> Line:
        if self._shown.width < WIDE:
            return []
        first = self._column(span.began_at)
        last = max(self._column(span.ended_at or span.began_at), first + 1)
        style = {Outcome.FAILED: "failed", Outcome.REFUSED: "partial"}.get(span.outcome, "running")
        filling = "╱" if span.outcome is Outcome.FAILED else "━"
        return [(f"  {' ' * first}", ""), (filling * (last - first), style), (" " * (BAR + 1 - last), "")]

    def _column(self, at: datetime) -> int:
        share = (at - self._began) / timedelta(seconds=self._length)
        return min(int(max(share, 0.0) * BAR), BAR)

    def _apdu(self, span: Span, record: ApduRecord, depth: int) -> Iterator[Line]:
        trees = explained(record)
        goes = record.direction is Direction.REQUEST
        size = len(record.octets) // 2 or record.left_out
        at = (span.began_at - self._began).total_seconds() * 1000
        yield [
            ("  ", ""),
            (f"{'  ' * depth}{'→' if goes else '←'} ", "running" if goes else "ok"),
            (trees.text, ""),
            (", deciphered" if record.clear else "", "quiet"),
            (", a secret is struck out" if record.hidden or record.clear_hidden else "", "partial"),
            (f"  {size} octets at {at:.1f} ms", "quiet"),
        ]
        yield from self._octets(depth, trees.frame)
        yield from self._octets(depth, trees.clear, "deciphered")

    def _frame(self, span: Span, record: FrameRecord, depth: int) -> Iterator[Line]:
        """Quieter than an APDU, which says more."""
        text, tree = self._frames.told(span, record)
        goes = record.direction is Direction.REQUEST
        size = len(record.octets) // 2 or record.left_out
        at = (span.began_at - self._began).total_seconds() * 1000
        yield [
            (f"  {'  ' * depth}{'→' if goes else '←'} {text}  {size} octets at {at:.1f} ms", "quiet"),
        ]
        yield from self._octets(depth, tree)

    def _octets(self, depth: int, tree: Node | None, word: str = "") -> Iterator[Line]:
        """A tree octet by octet, where that is wanted."""
        if tree is None or not self._shown.octets:
            return
        indent = " " * (2 * depth + 4)
        if word:
            yield [(indent, ""), (word, "bold")]
        for line in View(full=self._shown.full).lines(tree):
            yield [(indent, ""), *line]


def _duration(began: datetime, ended: datetime | None) -> str:
    return "under way" if ended is None else took((ended - began).total_seconds() * 1000)
