"""What `ami cim lint` shows: a tree per message for a person, or one JSON object per message for a program.

What comes out of a message is text of a stranger: it was made printable where it was taken, and is never read as markup here."""

from __future__ import annotations

import sys
from dataclasses import asdict
from typing import Any

from rich.console import Console
from rich.text import Text
from rich.tree import Tree

from ami_cli.cim.codes import Meaning
from ami_cli.cim.dialects import dialects_of
from ami_cli.cim.findings import Finding, Level, printable
from ami_cli.cim.head_end import HeadEndAnswer
from ami_cli.cim.lint import Lint
from ami_cli.cim.recognise import Seen
from ami_cli.formatting import count

_WIDE = 120
_STYLES = {Level.ERROR: "bold red", Level.WARNING: "yellow"}
_GLYPHS = {Level.ERROR: "▲", Level.WARNING: "◐"}
_ROWS = 3
"""Rows of the mapping that are shown of one ReadingType."""
_VERBS = {
    "get": "a question",
    "create": "do or make something new",
    "change": "change what was created",
    "cancel": "take back what was not done yet",
    "close": "end it",
    "delete": "forget it",
    "execute": "carry out these operations",
    "executed": "these operations were carried out",
    "reply": "the answer to a request",
    "created": "something new has happened or was made",
    "changed": "something that was created is otherwise now",
    "canceled": "something was taken back",
    "closed": "something has ended",
    "deleted": "something was forgotten",
}


def show(one: Lint, *, no_color: bool = False) -> None:
    """The tree of a message on standard output; colours on a terminal alone."""
    console = Console(no_color=no_color or None, highlight=False)
    if not console.is_terminal:
        console = Console(width=_WIDE, highlight=False, color_system=None)
    console.print(tree(one))


def refuse(text: str) -> None:
    """A line on standard error."""
    sys.stderr.write(f"ami cim lint: {text}\n")


def tree(one: Lint) -> Tree:
    """All of it."""
    top = Tree(Text(one.source.name, style="bold"), guide_style="dim")
    what = top.add(Text("what it is", style="bold"))
    for name, value in facts(one).items():
        what.add(Text(f"{name}: {value}"))
    _add_namespaces(top, one.message.namespaces)
    _add_findings(top, one.findings)
    _add_meanings(top, one)
    _add_answer(top, f"the {one.answer.by}" if one.answer.by else "", one.answer)
    if one.rewritten is not None:
        _add_answer(top, f"in SOAP 1.1 and the namespaces of 2011 the {one.rewritten.by}", one.rewritten)
    if one.to_partner is not None:
        dialect, found = one.to_partner
        _add_answer(top, f'to a partner with dialect = "{dialect}" in [[hes.partners]] the {found.by}', found)
    return top


def facts(one: Lint) -> dict[str, str]:
    """What it is, in a few lines."""
    message = one.message
    envelope = f"SOAP {message.soap}" if message.soap else "no SOAP envelope"
    verb = message.header("Verb").lower()
    found = {
        "envelope": envelope,
        "message": f"{message.form}, {message.archetype}" if message.is_message else message.form,
        "wrapper": printable(message.wrapper),
        "edition": edition(message.namespaces),
        "verb": f"{verb}: {_VERBS[verb]}" if verb in _VERBS else verb,
        "noun": message.noun,
        "from": message.header("Source"),
        "MessageID": message.header("MessageID"),
        "CorrelationID": message.header("CorrelationID"),
        "holds": ", ".join(count(number, name, name) for name, number in one.counts.items()),
        "as written by": "; ".join(f"{each.name}: {each.shown_by}" for each in dialects_of(message.body)),
        "fault": message.fault,
        "not checked": f"there is no schema of {', '.join(one.unchecked)} here" if one.unchecked else "",
    }
    return {name: value for name, value in found.items() if value}


def edition(namespaces: tuple[Seen, ...]) -> str:
    """The edition of IEC 61968-100 that the namespace of the envelope is of, with the years of the rest."""
    sets = [one.known.set for one in namespaces if one.known and one.known.kind == "message"]
    years = sorted({one.known.year for one in namespaces if one.known and one.known.year})
    beside = f", with namespaces of {', '.join(years)}" if years else ""
    return (sets[0] + beside) if sets else "IEC 61968-9, without an envelope of IEC 61968-100" + beside


def _add_namespaces(top: Tree, namespaces: tuple[Seen, ...]) -> None:
    branch = top.add(Text("namespaces", style="bold"))
    for one in namespaces:
        known = "not known here" if one.known is None else one.known.set
        branch.add(Text(f"{printable(one.text)}  {known}"))


def _add_findings(top: Tree, findings: tuple[Finding, ...]) -> None:
    errors = sum(one.level is Level.ERROR for one in findings)
    if not findings:
        top.add(Text("findings: none", style="bold green"))
        return
    words = f"{count(errors, 'error')}, {count(len(findings) - errors, 'warning')}"
    branch = top.add(Text(f"findings: {words}", style="bold"))
    for one in findings:
        where = f"line {one.line}: " if one.line is not None else ""
        line = branch.add(Text(f"{_GLYPHS[one.level]} {where}{one.reason}", style=_STYLES[one.level]))
        line.add(Text(f"{one.rule}; {one.breaks}" + (f"; {one.advice}" if one.advice else ""), style="dim"))


def _add_meanings(top: Tree, one: Lint) -> None:
    if not one.meanings and not one.replies:
        return
    branch = top.add(Text("in words", style="bold"))
    for meaning in one.meanings:
        _add_meaning(branch, meaning)
    for reply in one.replies:
        about = f" ({reply.about})" if reply.about else ""
        said = f": {reply.reason}" if reply.reason else ""
        branch.add(Text(f"Error {reply.code} {reply.level} {reply.meaning}{said}{about}".replace("  ", " ")))
    if one.codes > len(one.meanings):
        branch.add(Text(f"{count(one.codes - len(one.meanings), 'further code')} without words here", style="dim"))


def _add_meaning(branch: Tree, meaning: Meaning) -> None:
    line = branch.add(Text(f"{meaning.kind} {meaning.code}: {meaning.words}"))
    line.add(Text(", ".join(f"{name} {number} {word}".rstrip() for name, number, word in meaning.fields), style="dim"))
    for row in meaning.rows[:_ROWS]:
        line.add(Text(f"{row.place}, {row.context}: {row.meaning} ({' '.join(filter(None, (row.id, row.decision)))})"))
    if (more := len(meaning.rows) - _ROWS) > 0:
        line.add(Text(f"and {count(more, 'further row')}: ami map {meaning.code}", style="dim"))
    if meaning.note:
        line.add(Text(meaning.note, style="dim" if meaning.served else "yellow"))


def _add_answer(top: Tree, who: str, answer: HeadEndAnswer) -> None:
    code = f" {answer.code}" if answer.code else ""
    word = answer.form if answer.accepted else f"would refuse it: {answer.form}{code}"
    branch = top.add(Text(f"{who} {word}".strip(), style="bold green" if answer.accepted else "bold red"))
    if answer.reason:
        branch.add(Text(printable(answer.reason)))
    if answer.details and not answer.reason.startswith("Line "):
        branch.add(Text(printable(answer.details), style="dim"))
    for meter in answer.meters:
        branch.add(Text(meter))
    if (more := answer.count - len(answer.meters)) > 0:
        branch.add(Text(f"and {more:,} more", style="dim"))
    if answer.asks_for:
        branch.add(Text(f"asked for: {answer.asks_for}"))
    for error in answer.errors:
        branch.add(Text(f"and report {error}", style="yellow"))
    for condition in answer.conditions:
        branch.add(Text(f"if {condition}", style="dim"))


def document(one: Lint) -> dict[str, Any]:
    """The same for a program."""
    message = one.message
    return {
        "source": one.source.name,
        "clean": not one.findings,
        "what": facts(one),
        "namespaces": [
            {"namespace": seen.text, "line": seen.line, "element": seen.element}
            | (
                {}
                if seen.known is None
                else {key: getattr(seen.known, key) for key in ("kind", "set", "canonical", "source")}
            )
            for seen in message.namespaces
        ],
        "findings": [asdict(finding) for finding in one.findings],
        "meanings": [asdict(meaning) for meaning in one.meanings],
        "replies": [asdict(reply) for reply in one.replies],
        "answer": asdict(one.answer),
        "rewritten": None if one.rewritten is None else asdict(one.rewritten),
        "to_partner": None if one.to_partner is None else {"dialect": one.to_partner[0]} | asdict(one.to_partner[1]),
    }
