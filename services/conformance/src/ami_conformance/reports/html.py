"""One HTML file: each test with its expectation, its clause, its findings, and its messages explained octet by octet.

Nothing is loaded from anywhere, and nothing in it runs: folding is that of `details`. What came from the meter is escaped.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape

from ami_conformance.findings import Exchange, Result, Verdict
from ami_conformance.reports.document import About, Difference
from ami_conformance.runner import Run
from ami_dlms.explain import DecodingSession, Node, explain

MOST_LINES = 150
"""Of the tree of one message."""
MOST_MESSAGES = 60
"""Of one test."""
MOST_HEX = 600
STYLE = """
:root { color-scheme: light dark; --line: #8886; --soft: #8882; --pass: #2a7d3f; --fail: #c0392b; --open: #8a6d1a; }
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 70rem; padding: 0 1rem; }
table { border-collapse: collapse; margin: 1rem 0; } td, th { border-bottom: 1px solid var(--line); padding: .2rem .8rem .2rem 0; text-align: left; }
details { border-top: 1px solid var(--line); padding: .3rem 0; } details details { border: 0; margin-left: 1rem; }
summary { cursor: pointer; } code, pre { font: 13px/1.45 ui-monospace, monospace; } pre { background: var(--soft); overflow-x: auto; padding: .5rem; white-space: pre-wrap; overflow-wrap: anywhere; }
.verdict { display: inline-block; min-width: 7.5rem; font-weight: 600; } .pass { color: var(--pass); } .fail { color: var(--fail); }
.inconclusive, .documented { color: var(--open); } .measure { opacity: .75; }
"""


def html(run: Run, about: About, compared: Sequence[Difference] | None = None) -> str:
    """The file."""
    title = f"Conformance of {about.name or about.target}"
    return "".join(
        [
            '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            f"<title>{escape(title)}</title><style>{STYLE}</style></head><body><main>",
            f"<h1>{escape(title)}</h1>",
            *_about(run, about),
            *_counts(run),
            *_compared(compared),
            *_tests(run, about),
            "</main></body></html>\n",
        ]
    )


def _about(run: Run, about: About) -> Iterator[str]:
    pack = f", measured by the pack {about.pack}" if about.pack else ""
    yield f"<p>{escape(about.target)} over {escape(about.transport)}, {escape(about.began_at)}{escape(pack)}; "
    yield f"steps up to {escape(about.allowed)} were allowed. Version {escape(about.version)}.</p>"
    for line in (*run.put_back, *run.stuck):
        yield f"<p>{escape(line)}</p>"
    if run.interrupted:
        yield "<p>The run was interrupted.</p>"


def _counts(run: Run) -> Iterator[str]:
    yield "<table><tr><th>verdict</th><th>tests</th></tr>"
    for verdict in Verdict:
        yield f'<tr><td class="{_class(verdict)}">{verdict}</td><td>{run.count(verdict)}</td></tr>'
    yield "</table>"


def _compared(compared: Sequence[Difference] | None) -> Iterator[str]:
    if compared is None:
        return
    yield "<h2>Compared with the older run</h2>"
    if not compared:
        yield "<p>Every test has the verdict that it had.</p>"
    for one in compared:
        yield f"<p><strong>{one.test}</strong> {escape(one.title)}: {one.before} before, {one.after} now. {escape(one.why)}</p>"


def _tests(run: Run, about: About) -> Iterator[str]:
    for group in dict.fromkeys(one.row.group for one in run.results):
        yield f"<h2>{escape(group)}</h2>"
        for one in run.results:
            if one.row.group == group:
                yield from _test(one, about)


def _test(one: Result, about: About) -> Iterator[str]:
    shown = " open" if one.verdict is Verdict.FAIL else ""
    yield f'<details id="{one.row.id}"{shown}><summary><span class="verdict {_class(one.verdict)}">{one.verdict}</span> '
    yield f"<strong>{one.row.id}</strong> {escape(one.row.title)}"
    yield f"{': ' + escape(one.reason) if one.reason else ''}</summary>"
    yield f"<p>{escape(one.row.steps)}. Expected: {escape(one.row.expected)}. "
    yield f'<span class="measure">{escape(one.row.clause)}; {one.row.safety}; {one.seconds:.2f} s</span></p>'
    if one.findings:
        yield "<ul>"
        for found in one.findings:
            yield f'<li>{escape(_visible(found.text))} <span class="measure">({escape(str(found.source))})</span></li>'
        yield "</ul>"
        yield f"<p>Again: <code>{escape(about.command)} --test {one.row.id}</code></p>"
    for note in one.notes[:MOST_MESSAGES]:
        yield f"<p>{escape(_visible(note))}</p>"
    yield from _exchanges(one.exchanges)
    yield "</details>"


def _exchanges(exchanges: Sequence[Exchange]) -> Iterator[str]:
    if not exchanges:
        return
    yield f"<details><summary>{len(exchanges)} messages</summary>"
    for one in exchanges[:MOST_MESSAGES]:
        yield f"<details><summary>{escape(one.what)} → {escape(_visible(one.said))}</summary>"
        yield from _message("sent", one.sent)
        yield from _message("received", one.received)
        yield "</details>"
    if len(exchanges) > MOST_MESSAGES:
        yield f"<p>and {len(exchanges) - MOST_MESSAGES} more, in the JSON</p>"
    yield "</details>"


def _message(which: str, octets: bytes) -> Iterator[str]:
    if not octets:
        return
    digits = octets.hex().upper()
    text = digits if len(digits) <= MOST_HEX else f"{digits[:MOST_HEX]} … {len(octets)} octets"
    yield f"<p>{which}</p><pre>{text}</pre>"
    lines = [line for tree in explain(octets, DecodingSession()) for line in _lines(tree, 0)]
    more = [f"… {len(lines) - MOST_LINES} lines more"] if len(lines) > MOST_LINES else []
    yield f"<pre>{escape(_visible(chr(10).join([*lines[:MOST_LINES], *more])))}</pre>"


def _lines(node: Node, depth: int) -> Iterator[str]:
    """The parts of a message, each with what it says."""
    trouble = f"  ← {node.trouble}" if node.trouble else ""
    yield f"{'  ' * depth}{node.name.replace('_', '-')}{': ' + node.text if node.text else ''}{trouble}"
    for part in node.parts:
        yield from _lines(part, depth + 1)


def _class(verdict: Verdict) -> str:
    return str(verdict).replace(" ", "-")


def _visible(text: str) -> str:
    """Characters that can be seen: what a meter calls itself may hold others."""
    return "".join(letter if letter == "\n" or letter.isprintable() else "\ufffd" for letter in text)
