"""Which defects `ami conformance run` finds, and what else fails on each: one process of simulated meters, one meter a defect and transport.

    python tests/conformance/defect_score.py --write docs/conformance-run.md      (make conformance-defects WRITE=docs)

Found: a test that the table of defects names says fail. What else fails is listed, to be judged: a consequence, or a false alarm. On the
meters in health whatever fails is a false alarm. With --named only the named tests are run, which takes seconds a meter.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "ami" / "meter"))

from free_ports import free_port
from meter_bench import PASSWORD, Fleet, meter
from typer.testing import CliRunner

from ami_cli.__main__ import app
from ami_conformance.groups.checks import CHECKS
from ami_meter_sim.faults.defects.table import DefectRow, rows

MODEL = "three-phase"
HEALTHY = "healthy"
FOR_PASSWORDS = "compares-prefix"
"""The defect of what has a password in place of a key."""
TRANSPORTS: Mapping[str, Mapping[str, Any]] = {"tcp": {}, "hdlc": {"transport": "hdlc", "physical_address": 17}}
ALLOWED = ("--allow", "s3", "--agreed", "--silence", "0.4", "--timeout", "3", "--patience", "1")
"""A simulated meter has no customer. How long silence is: our own meters answer in milliseconds, also beside other work."""
AT_ONCE = 5
"""Runs mostly wait for what does not come."""

UNFOUND: Mapping[str, str] = {}
"""Defects that no test named for them finds, and why."""
SLOW = frozenset({"misses-final-bit"})
"""Defects on which every exchange of every test waits until its time is out: the named tests alone are run."""
ANY = "any"
CONSEQUENCES: Mapping[str, Mapping[str, str]] = {
    "holds-lost-association": {
        ANY: "a test that comes back after a connection which ended without a release finds the old association still there"
    },
    "agrees-to-more": {
        "AS-16": "nothing was proposed, and it agrees to something",
        "SV-04": "ACCESS was not proposed, and is served",
    },
    "ignores-pdu-size": {"AS-19": "a size below 12 octets is not looked at either"},
    "compares-prefix": {"AS-08": "an AARQ without a password is one with an empty password"},
    "repeats-challenge": {"AS-33": "the challenge that comes back is the one that it always sends"},
    "exception-for-unknown": {
        "SV-06": "the object of another class does not exist either",
        "SV-07": "the attribute that the class does not have does not exist either",
    },
    "loses-invoke-id": {
        "WR-02": "two answers can't be told apart any more",
        "SV-10": "its answer comes under the invoke id 0",
        "SV-20": "its answer comes under the invoke id 0",
    },
    "accepts-wrong-type": {"C8-05": "a time that is none is a value of a wrong type"},
    "deaf-after-unreadable": {
        "SV-03": "the same with requests to write",
        "RB-01": "the same with octets without sense",
    },
    "counts-blocks-from-zero": {
        "BT-02": "0 is what it counts as right",
        "BT-08": "a list in blocks begins with the same wrong number",
    },
    "ends-without-last-block": {"BT-08": "a list in blocks has no last block either"},
    "empty-block-without-transfer": {"BT-02": "a transfer that was given up is none"},
    "ignores-range": {"SA-04": "the columns are chosen in the range that it ignores"},
    "list-grants-too-much": {"SV-01": "the attribute that may be read gives no value"},
    "public-reads-all": {"AS-28": "what the list does not name is read there as well"},
    "takes-used-counter": {"SE-04": "a counter from before the jump was used"},
    "ignores-tag": {"SE-07": "a request under another authentication key is one with a wrong tag"},
    "takes-clear-requests": {
        "AS-06": "an InitiateRequest in clear has less protection than is wanted",
        "SE-11": "where nothing is wanted of requests, its server keeps no dedicated key",
    },
    "answers-unencrypted": {ANY: "no test can open an association whose answers it does not trust"},
    "answers-under-clients-title": {ANY: "no test can open an association whose answers it does not trust"},
    "row-of-the-future": {
        "C7-01": "where the buffer is full, it has a row more than there is room for",
        "SA-01": "the row that is too many is outside of the range",
        "SA-05": "the row that is too many is counted, and read by its number",
        "SA-07": "the row that is too many is counted, and read by its number",
    },
    "rows-off-the-grid": {
        "SA-01": "a row whose time was moved is not found under it",
        "SA-05": "every second row of an answer is moved, so that a row alone is another than among others",
    },
    "shows-whole-minutes": {"C8-01": "a clock without seconds stands still"},
    "register-falls": {"C7-03": "what it captured before is more than what it shows now"},
}
"""What fails besides on a meter with this defect, and why: test by test, or ANY test."""


def explained(name: str, test: str) -> bool:
    """Whether a failure besides is known to follow from a defect."""
    return bool({test, ANY} & set(CONSEQUENCES.get(name, {})))


@dataclass(frozen=True, slots=True)
class Subject:
    """A meter over a transport; `row` None: without a defect."""

    transport: str
    row: DefectRow | None = None
    password: bool = False

    @property
    def whole(self) -> bool:
        """Whether all tests are run: over the first transport of a defect, if they come to an end there."""
        return self.row is None or (self.transport == self.row.transports[0] and self.row.name not in SLOW)

    @property
    def name(self) -> str:
        return f"{self.row.name if self.row else HEALTHY + '-lls' * self.password}-{self.transport}"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a run said: a verdict and, of what failed, the first finding for each test; `trouble`: there was no report."""

    subject: Subject
    verdicts: Mapping[str, str]
    findings: Mapping[str, str]
    trouble: str = ""

    @property
    def failed(self) -> list[str]:
        return [test for test, verdict in self.verdicts.items() if verdict == "fail"]

    @property
    def found_by(self) -> list[str]:
        """Of the named tests, those that failed."""
        row = self.subject.row
        return [] if row is None else [test for test in row.tests if self.verdicts.get(test) == "fail"]

    @property
    def others(self) -> list[str]:
        """What failed and is not named."""
        row = self.subject.row
        return [test for test in self.failed if row is None or test not in row.tests]


def subjects(names: Sequence[str] = ()) -> list[Subject]:
    """The meters in health, then each defect over each transport where it shows."""
    healthy = [Subject(transport, password=password) for transport in TRANSPORTS for password in (False, True)]
    chosen = [row for row in rows().values() if not names or row.name in names]
    return [*healthy, *(Subject(transport, row) for row in chosen for transport in row.transports)]


def fleet_of(directory: Path, chosen: Sequence[Subject]) -> Fleet:
    """Their meters, each with its defect, in one process."""
    entries = []
    for number, one in enumerate(chosen, 5001):
        password = one.password or (one.row is not None and one.row.name == FOR_PASSWORDS)
        lls = {"authentication": "lls", "secret": PASSWORD.encode().hex()} if password else {}
        entries.append(
            meter(one.name, number, free_port(), simulated={"model": MODEL}, **lls, **TRANSPORTS[one.transport])
        )
    faults = [{"fault": one.row.name, "meters": [one.name]} for one in chosen if one.row is not None]
    return Fleet(directory, entries, faults=faults)


def measured(config: Path, subject: Subject, tests: Sequence[str] = ()) -> Outcome:
    """`ami conformance run`, called as a person calls it, with these tests or all."""
    with tempfile.TemporaryDirectory() as place:
        report = Path(place) / "report.json"
        words = ["--registry", str(config), "--meter", subject.name, "--json", str(report)]
        words += ["--journal", f"{place}/journal.jsonl", *ALLOWED]
        words += [word for test in tests for word in ("--test", test)]
        result = CliRunner(env={"AMI_METER_COUNTERS": f"{place}/counters.json"}).invoke(
            app, ["conformance", "run", *words]
        )
        if not report.exists():
            said = (result.output or repr(result.exception)).strip().splitlines()
            return Outcome(subject, {}, {}, " ".join(said[-3:]))
        found = json.loads(report.read_text("utf-8"))["tests"]
    first = {one["id"]: one["findings"][0]["text"] for one in found if one["findings"]}
    return Outcome(subject, {one["id"]: one["verdict"] for one in found}, first)


def named_for(subject: Subject, chosen: Sequence[Subject]) -> list[str]:
    """Those that are named for it; for a meter in health all that are named for any over its transport."""
    of = [subject] if subject.row is not None else [one for one in chosen if one.transport == subject.transport]
    return sorted({test for one in of if one.row is not None for test in one.row.tests})


def score(config: Path, chosen: Sequence[Subject], *, named: bool) -> Iterator[Outcome]:
    """Each as soon as it is known. All tests are run over the first transport of a defect: over a second one nothing else would be seen."""
    with ProcessPoolExecutor(AT_ONCE, mp_context=multiprocessing.get_context("spawn")) as pool:
        runs = [
            pool.submit(measured, config, one, named_for(one, chosen) if named or not one.whole else ())
            for one in chosen
        ]
        for run in as_completed(runs):
            yield run.result()


def page(outcomes: Sequence[Outcome]) -> str:
    """The table, in the order of the defects."""
    defects = [one for one in outcomes if one.subject.row is not None]
    found = {one.subject.row.name for one in defects if one.subject.row and one.found_by}
    all_ = {one.subject.row.name for one in defects if one.subject.row}
    everywhere = all_ - {one.subject.row.name for one in defects if one.subject.row and not one.found_by}
    lines = [
        f"{len(everywhere)} of {len(all_)} defects are found over every transport where they show"
        + (f", {len(found - everywhere)} more over one of two." if found - everywhere else "."),
        "",
        "| group | defects | found |",
        "|---|---|---|",
    ]
    for group in dict.fromkeys(row.group for row in rows().values()):
        of = {name for name in all_ if rows()[name].group == group}
        lines.append(f"| {group} | {len(of)} | {len(of & everywhere)} |")
    lines += ["", "| defect | over | ought to find it | found by | also fails |", "|---|---|---|---|---|"]
    for one in defects:
        row = one.subject.row
        assert row is not None
        by = ", ".join(one.found_by) or (f"no report: {one.trouble}" if one.trouble else "not found")
        lines.append(
            f"| `{row.name}` | {one.subject.transport} | {', '.join(row.tests)} | {by} | {', '.join(one.others)} |"
        )
    lines += ["", "| defect | also fails | why |", "|---|---|---|"]
    for name, tests in CONSEQUENCES.items():
        lines += (f"| `{name}` | {test} | {why} |" for test, why in tests.items() if name in all_)
    lines += ["", "| healthy meter | tests that passed | false alarms |", "|---|---|---|"]
    for one in outcomes:
        if one.subject.row is None:
            passed = sum(verdict == "pass" for verdict in one.verdicts.values())
            lines.append(f"| {one.subject.name} | {passed} | {', '.join(one.failed) or one.trouble or 'none'} |")
    return "\n".join(lines) + "\n"


INTRODUCTION = """\
# A conformance run against known defects

What `ami conformance run` ([test-a-meter](howto/test-a-meter.md)) finds in simulated meters that are wrong in one thing each
([defects](defects.md)). All tests that are built run on each meter, up to S3; over a second transport, and where no exchange comes to an end
(`misses-final-bit`), those alone that ought to find the defect. A defect counts as found when one of these says fail, over every transport
where it shows. What else fails on such a meter stands beside it, and below the table why.

The defects were planted by somebody who had not seen the tests, and at the first measurement 39 of 53 were found. The tests were then
mended by what they had not looked at, and three defects were planted in other places as well (`answers-before-opening`,
`list-grants-too-much`, `row-of-the-future`); the mended tests find these in their first form too. So the figure below says that the tests
look at all of this, not how many unknown defects they would find: for that the first figure is the better guess.

This page is written by `make conformance-defects WRITE=docs`.

"""


def main() -> int:
    """The table on standard output or in a file; 1 where something is not found or fails on a meter in health."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--named", action="store_true", help="the named tests alone")
    parser.add_argument("--only", nargs="*", default=[], metavar="DEFECT", help="these defects alone")
    parser.add_argument("--write", type=Path, metavar="FILE", help="the page as a file")
    given = parser.parse_args()
    chosen = subjects(given.only)
    known: dict[Subject, Outcome] = {}
    with tempfile.TemporaryDirectory() as place, fleet_of(Path(place), chosen) as fleet:
        for one in score(fleet.config, chosen, named=given.named):
            known[one.subject] = one
            print(f"{len(known)}/{len(chosen)} {one.subject.name}: {_in_words(one)}", file=sys.stderr, flush=True)
    outcomes = [known[one] for one in chosen]
    text = page(outcomes)
    if given.write is None:
        print(text, end="")
    else:
        given.write.write_text(INTRODUCTION + f"{len(CHECKS)} tests of the plan are built; " + text, "utf-8")
    return 0 if all(bool(one.found_by) if one.subject.row else not one.failed for one in outcomes) else 1


def _in_words(one: Outcome) -> str:
    """For people who wait; what fails without being named with its finding."""
    of = f"found by {', '.join(one.found_by)}" if one.found_by else one.trouble or "not found"
    if one.subject.row is None:
        of = "in health" if one.verdicts else one.trouble
    elif not one.found_by:
        of += f" { ({test: one.verdicts.get(test) for test in one.subject.row.tests}) }"
    return "; ".join([of, *(f"{test}: {one.findings.get(test, '')[:140]}" for test in one.others)])


if __name__ == "__main__":
    raise SystemExit(main())
