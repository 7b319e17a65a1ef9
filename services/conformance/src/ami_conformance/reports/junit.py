"""JUnit XML, as build servers read it: failures are findings, everything without a verdict is skipped with its reason."""

from __future__ import annotations

from xml.etree import ElementTree as Xml

from ami_conformance.findings import Result, Verdict
from ami_conformance.reports.document import About
from ami_conformance.runner import Run

SKIPPED = frozenset({Verdict.INCONCLUSIVE, Verdict.NOT_RUN})


def junit(run: Run, about: About) -> str:
    """The file; what XML can't hold is left out."""
    suites = Xml.Element("testsuites", name="ami conformance")
    groups = dict.fromkeys(one.row.group for one in run.results)
    for group in groups:
        results = [one for one in run.results if one.row.group == group]
        suite = Xml.SubElement(
            suites,
            "testsuite",
            name=group,
            tests=str(len(results)),
            failures=str(sum(one.verdict is Verdict.FAIL for one in results)),
            skipped=str(sum(one.verdict in SKIPPED for one in results)),
            errors="0",
            time=f"{sum(one.seconds for one in results):.3f}",
            timestamp=about.began_at,
            hostname=_clean(about.target),
        )
        for one in results:
            _case(suite, one)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + Xml.tostring(suites, encoding="unicode") + "\n"


def _case(suite: Xml.Element, one: Result) -> None:
    case = Xml.SubElement(
        suite, "testcase", name=f"{one.row.id} {one.row.title}", classname=one.row.group, time=f"{one.seconds:.3f}"
    )
    if one.verdict is Verdict.FAIL:
        text = "\n".join(f"{found.text} [{found.source}]" for found in one.findings)
        failure = Xml.SubElement(case, "failure", message=_clean(one.findings[0].text), type=str(one.verdict))
        failure.text = _clean(text)
    elif one.verdict in SKIPPED:
        Xml.SubElement(case, "skipped", message=_clean(f"{one.verdict}: {one.reason}"))
    if one.notes:
        Xml.SubElement(case, "system-out").text = _clean("\n".join(one.notes))


def _clean(text: str) -> str:
    """Without what XML can't hold."""
    return "".join(letter for letter in text if letter in "\n\t" or letter.isprintable())
