"""The mapping as two pages: docs/mapping.md with the decisions and docs/readings.md with every row (`ami map --write docs`)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from pathlib import Path

from ami_cim.codes import reply_codes
from ami_mapping.controls import CONTROLS
from ami_mapping.decisions import Decision, decisions, open_questions
from ami_mapping.events import event_rows
from ami_mapping.faults import fault_rules
from ami_mapping.mbus import device_types
from ami_mapping.partners import SWITCHES
from ami_mapping.qualities import status_bits
from ami_mapping.readings import Confidence, Direction, ReadingRow, all_rows, contexts

DATA = "services/mapping/src/ami_mapping/data"
MAPPING = f"""\
# The mapping between CIM and DLMS/COSEM: every decision, numbered

IEC TS 62056-6-9 describes how COSEM objects and CIM names belong together, and says itself that a one-to-one mapping is
not always possible. This page has each place where we had to decide: the question, the decision, why, what the field
does, and its tests. The rules themselves are rows of
[`{DATA}/`](../{DATA}/), each with the number of its decision; a
test fails when a row names a decision that is not written here, or a decision names a test that does not exist.

"Standard" says that a decision only repeats a public text; everything else is ours. The rows of the readings are on a page of their
own: [readings.md](readings.md). `ami map` explains an OBIS code, a ReadingType or a control code on the command line, and `ami map --all
--csv` prints the whole table. This page is written by `ami map --write docs` from the tables and from
[`{DATA}/decisions.md`](../{DATA}/decisions.md), where the decisions are edited.
"""
READINGS = """\
# Readings: every row between COSEM attributes and ReadingTypes

One row per attribute and context. In an OBIS code `t` is a tariff, `c` a channel or instance, `f` a billing period; in a ReadingType `t` is
the tariff and `m` the multiplier, which follows the scaler ([M-112](mapping.md#m-112)), `cur` the currency. *Unsure* rows are served only where a
deployment names them ([M-124](mapping.md#m-124)); `>` is used towards CIM only, `<` from CIM only; `=` is computed by the head-end. *After* names the
row that is tried before this one ([M-123](mapping.md#m-123)). Aliases, sources and notes are in `ami map --all --csv` and in
[`readings.csv`](../services/mapping/src/ami_mapping/data/readings.csv). This page is written by `ami map --write docs`.
"""


def write(folder: Path) -> None:
    """Both pages into a folder."""
    (folder / "mapping.md").write_text(mapping_page(), "utf-8")
    (folder / "readings.md").write_text(readings_page(), "utf-8")


def mapping_page() -> str:
    """Tables first, then the decisions in the order of their numbers."""
    tables = (_index, _questions, _controls, _figures, _contexts, _media, _status, _events, _switches, _faults)
    parts = [MAPPING, *(table() for table in tables)]
    return "\n".join([*parts, "## Decisions\n", *map(_section, decisions().values())])


def _table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    lines = [f"| {' | '.join(columns)} |", "|" + "---|" * len(columns)]
    lines += (f"| {' | '.join(_cell(str(cell)) for cell in row)} |" for row in rows)
    return "\n".join(lines) + "\n"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def _link(number: str, page: str = "") -> str:
    return f"[{number}]({page}#{number.lower()})"


def _index() -> str:
    by_subject: dict[str, list[Decision]] = {}
    for one in decisions().values():
        by_subject.setdefault(one.about, []).append(one)
    rows = (
        (about, "<br>".join(f"{_link(one.number)} {one.title}" for one in found)) for about, found in by_subject.items()
    )
    return f"## By subject\n\n{_table(('subject', 'decisions'), rows)}"


def _questions() -> str:
    rows = (
        (f"({one.letter})", one.question, ", ".join(map(_link, one.decisions)), one.open) for one in open_questions()
    )
    head = ("", "where the two worlds differ", "decided in", "still open")
    return f"## Where the two worlds differ\n\n{_table(head, rows)}"


def _controls() -> str:
    rows = (
        (f"`{one.code}`", one.name, one.place, one.read_back, one.done or "", one.failed or "", _link(one.decision))
        for one in CONTROLS.values()
    )
    head = (
        "EndDeviceControlType",
        "name",
        "COSEM",
        "OK when it shows",
        "event when done",
        "event when not",
        "decision",
    )
    return f"## Controls\n\n{_table(head, rows)}"


def _figures() -> str:
    count = Counter((row.confidence, row.direction) for row in all_rows())
    rows = [
        (word, *(count[word, way] for way in Direction), what)
        for word, what in (
            (Confidence.FIELD, "a public source has this code"),
            (Confidence.DERIVED, "it follows from the rules"),
            (Confidence.UNSURE, "a choice without evidence, served where it is turned on"),
        )
    ]
    codes = len({row.code for row in all_rows()})
    text = f"{len(all_rows())} rows, {codes} codes: [readings.md](readings.md).\n"
    return f"## Readings\n\n{text}\n{_table(('', 'both ways', 'to CIM', 'from CIM', 'meaning'), rows)}"


def _contexts() -> str:
    rows = (
        (
            f"`{one.name}`",
            one.meaning,
            one.reads,
            *(
                "" if value is None else value
                for value in (one.capture_period_s, one.macro_period, one.measuring_period)
            ),
        )
        for one in contexts().values()
    )
    head = ("context", "value", "read as", "capture period, s", "macroPeriod", "measuringPeriod")
    return f"## Contexts\n\nWhere a value was captured. An empty cell: it differs by row.\n\n{_table(head, rows)}"


def _media() -> str:
    rows = ((one.device_type, one.name, one.medium, _link(one.decision)) for one in device_types().values())
    return f"## Media of M-Bus channels\n\n{_table(('device_type', 'what it is', 'contexts begin with', 'decision'), rows)}"


def _status() -> str:
    rows = (
        (f"0x{1 << one.bit:02X}", one.name, f"`{one.quality}`", _link(one.decision), one.source)
        for one in status_bits()
    )
    head = ("bit", "name", "ReadingQuality", "decision", "source")
    return f"## Profile status and reading qualities\n\n{_table(head, rows)}"


def _events() -> str:
    rows = (
        (str(one.log), one.number, f"`{one.code}`", one.meaning, one.confidence, _link(one.decision))
        for one in event_rows().values()
    )
    head = ("log", "number", "EndDeviceEventType", "what happened", "rests on", "decision")
    return f"## Entries of event logs\n\n{_table(head, rows)}"


def _switches() -> str:
    rows = ((f"`{name}`", ", ".join(f"`{one}`" for one in positions)) for name, positions in SWITCHES.items())
    head = ("switch of a partner profile", "positions, the general one first")
    return f"## Switches\n\n{_table(head, rows)}"


def _faults() -> str:
    rows = (
        (one.kind, one.name, one.code, reply_codes()[one.code].meaning, one.level, one.what, _link(one.decision))
        for one in fault_rules().values()
    )
    head = ("where", "name", "code", "of the standard", "level", "what is reported", "decision")
    text = "Whether a control may have been sent is added to each, and may change the code ([M-021](#m-021))."
    return f"## Faults and their codes\n\n{text}\n\n{_table(head, rows)}"


def _section(one: Decision) -> str:
    parts = [f'<a id="{one.number.lower()}"></a>\n\n### {one.number} {one.title}\n']
    parts += [f"**Question.** {one.question}\n", f"**Decision.** {one.decision}\n", f"**Why.** {one.why}\n"]
    if one.field:
        parts.append(f"**In the field.** {one.field}\n")
    tests = "\n".join(f"- `{test}`" for test in one.tests)
    return "\n".join([*parts, f"<details><summary>{_tests(len(one.tests))}</summary>\n\n{tests}\n\n</details>\n"])


def _tests(count: int) -> str:
    return "1 test" if count == 1 else f"{count} tests"


def readings_page() -> str:
    """Every row, by decision and then in the order of the table."""
    parts = [READINGS]
    ordered = sorted(all_rows(), key=lambda row: row.decision)
    for number, rows in groupby(ordered, key=lambda row: row.decision):
        parts.append(f"## {number} {decisions()[number].title}\n\nDecided in {_link(number, 'mapping.md')}.\n")
        parts.append(_table(("row", "OBIS", "class/attribute", "context", "ReadingType", "meaning", ""), _rows(rows)))
    return "\n".join(parts)


def _rows(rows: Iterable[ReadingRow]) -> Iterator[tuple[object, ...]]:
    ways = {"both": "", "to_cim": ">", "from_cim": "<"}
    for row in rows:
        marks = [ways[row.direction], "=" if row.computed else "", f"after {row.first}" if row.first else ""]
        marks += ["unsure"] if row.confidence is Confidence.UNSURE else []
        obis = "" if row.obis is None else str(row.obis).removesuffix("*255")
        place = f"{row.class_id}/{row.attribute}" if row.obis is not None else ""
        yield row.id, obis, place, row.context.name, f"`{row.code}`", row.meaning, " ".join(filter(None, marks))
