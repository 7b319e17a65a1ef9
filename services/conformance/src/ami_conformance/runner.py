"""A run: what the last one has left open is put back, then the tests one after the other, each with its verdict."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from ami_conformance.bench import Bench
from ami_conformance.client import HELD_BACK
from ami_conformance.findings import Judge, NotAllowed, Result, Unsettled, Verdict
from ami_conformance.groups.checks import CHECKS, PARTLY, Check
from ami_conformance.journal import JournalError
from ami_conformance.plan import Row
from ami_conformance.safety import Safety
from ami_dlms.errors import DlmsError

NOT_BUILT = "this test of the plan is not built"
Progress = Callable[[str, int, int], None]
"""Told with what runs, how many tests are done, and of how many."""


@dataclass(slots=True)
class Run:
    """All results, and in words what was put back before the first test."""

    results: list[Result] = field(default_factory=list)
    put_back: list[str] = field(default_factory=list)
    stuck: list[str] = field(default_factory=list)
    not_put_back: list[int] = field(default_factory=list)
    """The entries of the journal that `stuck` says already."""
    interrupted: bool = False

    def count(self, verdict: Verdict) -> int:
        return sum(1 for one in self.results if one.verdict is verdict)

    @property
    def failed(self) -> bool:
        return self.count(Verdict.FAIL) > 0 or bool(self.stuck)


def run(bench: Bench, rows: Sequence[Row], progress: Progress, checks: Mapping[str, Check] = CHECKS) -> Run:
    """The tests of these rows; a test never ends the run."""
    done = Run()
    try:
        _restore(bench, done)
    except KeyboardInterrupt:
        done.interrupted, rows = True, ()
    for number, row in enumerate(rows):
        progress(f"{row.id} {row.title}", number, len(rows))
        try:
            done.results.append(_one(bench, row, checks))
        except KeyboardInterrupt:
            done.interrupted = True
            bench.settle()
            break
    progress("done", len(done.results), len(rows))
    told = set(done.not_put_back)
    for left in () if bench.dry else bench.journal.open:
        if left.number not in told:
            done.stuck.append(
                f"{left.descriptor}, written by {left.test}, is not put back: the next run begins with it"
            )
    return done


def _restore(bench: Bench, done: Run) -> None:
    """What a run that came to no good end has left written: whatever is allowed now, it is put back."""
    for left in bench.journal.open if not bench.dry else ():
        bench.begin(left.test)
        try:
            with bench.restoring():
                again = bench.put_back_later(left)
            what = (
                "has its value again"
                if again
                else "which wrote what was there, has moved by itself and is left as it is"
            )
            done.put_back.append(f"{left.descriptor}, written by {left.test} in a run before, {what}")
        except (Unsettled, DlmsError, OSError, JournalError) as error:
            done.not_put_back.append(left.number)
            done.stuck.append(f"{left.descriptor}, written by {left.test} in a run before, is not put back: {error}")
        finally:
            bench.settle()


def _one(bench: Bench, row: Row, checks: Mapping[str, Check]) -> Result:
    check = checks.get(row.id)
    if check is None:
        return Result(row, Verdict.NOT_RUN, NOT_BUILT)
    if not row.fits(bench.way.transport):
        return Result(row, Verdict.NOT_RUN, f"it is a test over {row.transport}, and this is {bench.way.transport}")
    if row.safety > bench.rules.allowed:
        return Result(row, Verdict.NOT_RUN, f"it is {row.safety}, and {bench.rules.allowed} is allowed")
    if bench.dry and row.safety is Safety.S0:
        return Result(row, Verdict.NOT_RUN, f"a dry run; it reads: {row.steps}")
    began, judge = bench.way.clock(), Judge(row)
    if row.id in PARTLY:
        judge.note(f"looks at a part of the row: {PARTLY[row.id]}")
    bench.begin(row.id)
    with suppress(Unsettled, DlmsError):
        _ = bench.objects  # which most tests need: read before they have a connection of their own
    bench.begin(row.id)
    verdict, reason = _judged(bench, judge, check)
    bench.settle()
    seconds = bench.way.clock() - began
    if bench.dry:
        held = sum(1 for one in bench.exchanges if HELD_BACK.reason in one.said)
        return Result(row, Verdict.NOT_RUN, f"a dry run; {held} messages were held back", exchanges=bench.exchanges)
    return Result(row, verdict, reason, judge.findings, judge.notes, bench.exchanges, seconds)


def _judged(bench: Bench, judge: Judge, check: Check) -> tuple[Verdict, str]:
    try:
        check(bench, judge)
    except NotAllowed as refused:
        return (Verdict.FAIL if judge.findings else Verdict.NOT_RUN), str(refused)
    except Unsettled as trouble:
        return (Verdict.FAIL if judge.findings else Verdict.INCONCLUSIVE), str(trouble)
    except (DlmsError, OSError, JournalError) as error:
        return (Verdict.FAIL if judge.findings else Verdict.INCONCLUSIVE), f"the test came to no end: {error}"
    except Exception as error:  # noqa: BLE001 - what a meter sends may be of any shape, and the other tests go on
        return (
            Verdict.FAIL if judge.findings else Verdict.INCONCLUSIVE
        ), f"the test broke: {type(error).__name__}: {error}"
    if judge.findings:
        return Verdict.FAIL, ""
    if not judge.looked:
        return Verdict.INCONCLUSIVE, "the meter has nothing that this test looks at"
    return (Verdict.DOCUMENTED if judge.open_end else Verdict.PASS), ""


def chosen(rows: Sequence[Row], *, groups: Sequence[str] = (), tests: Sequence[str] = ()) -> list[Row]:
    """The rows that were asked for, what only reads first."""
    wanted = [one for one in rows if (not groups and not tests) or one.id in tests or one.group.lower() in groups]
    return sorted(wanted, key=lambda one: one.safety)
