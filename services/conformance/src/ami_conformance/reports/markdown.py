"""A summary in Markdown: the counts, what failed and why, what was documented, and what differs from an older run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from ami_conformance.findings import Verdict
from ami_conformance.reports.document import About, Difference
from ami_conformance.runner import Run

MOST_FINDINGS = 10


def markdown(run: Run, about: About, compared: Sequence[Difference] | None = None) -> str:
    """The page."""
    lines = [f"# Conformance of {_cell(about.name or about.target)}", ""]
    lines += [
        f"Tested at {about.began_at} over {about.transport}"
        + (f", measured by the pack {about.pack}" if about.pack else "")
        + f"; steps up to {about.allowed} were allowed.",
        "",
    ]
    lines += [f"- {_cell(one)}" for one in (*run.put_back, *run.stuck)]
    lines += ["| verdict | tests |", "|---|---|"]
    lines += [f"| {verdict} | {run.count(verdict)} |" for verdict in Verdict]
    lines += ["", *_groups(run), *_failed(run), *_documented(run)]
    if compared is not None:
        lines += ["## Compared with the older run", ""]
        lines += [f"- {one.test} {one.title}: {one.before} → {one.after}. {_cell(one.why)}" for one in compared]
        lines += [] if compared else ["Every test has the verdict that it had."]
        lines.append("")
    return "\n".join(lines).rstrip() + "\n"


def _groups(run: Run) -> list[str]:
    lines = ["| group | " + " | ".join(Verdict) + " |", "|---" * (len(Verdict) + 1) + "|"]
    for group in dict.fromkeys(one.row.group for one in run.results):
        counts = Counter(one.verdict for one in run.results if one.row.group == group)
        lines.append(f"| {group} | " + " | ".join(str(counts[verdict] or "") for verdict in Verdict) + " |")
    return [*lines, ""]


def _failed(run: Run) -> list[str]:
    lines = []
    for one in run.results:
        if one.verdict is not Verdict.FAIL:
            continue
        lines += [f"### {one.row.id} {one.row.title}", "", f"Expected: {one.row.expected} ({one.row.clause}).", ""]
        lines += [f"- {_cell(found.text)} ({_cell(str(found.source))})" for found in one.findings[:MOST_FINDINGS]]
        if len(one.findings) > MOST_FINDINGS:
            lines.append(f"- and {len(one.findings) - MOST_FINDINGS} more")
        lines.append("")
    return ["## Failed", "", *lines] if lines else ["Nothing failed.", ""]


def _documented(run: Run) -> list[str]:
    seen = [one for one in run.results if one.verdict is Verdict.DOCUMENTED]
    lines = [f"- {one.row.id} {one.row.title}: {_cell('; '.join(one.notes))}" for one in seen]
    return ["## Documented", "", *lines, ""] if lines else []


def _cell(text: str) -> str:
    """Text that Markdown shows as it is."""
    plain = " ".join(text.split())
    for letter in "\\`*_<>|[]":
        plain = plain.replace(letter, "\\" + letter)
    return plain
