"""The command line of `ami conformance`: run tests against a meter, list the plan."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any

import typer

from ami_cli.conformance.expectation import expected_of
from ami_cli.conformance.way import Known, first_look, on_the_way, usual_environment
from ami_cli.meter import output, scan_view
from ami_cli.meter.errors import ExitCode, MeterError
from ami_cli.meter.options import MeterTarget
from ami_cli.meter.target import target_of
from ami_cli.meter.target_commands import command_of
from ami_cli.meter.target_options import TargetOptions
from ami_conformance.bench import Ask, Bench, Rules
from ami_conformance.expected import Expected
from ami_conformance.findings import Result, Unsettled, Verdict
from ami_conformance.groups.checks import CHECKS, PARTLY
from ami_conformance.journal import Journal, JournalError, only_run
from ami_conformance.plan import Row, groups, rows
from ami_conformance.reports.document import (
    MOST_OCTETS,
    About,
    Difference,
    ReportError,
    as_json,
    differences,
    verdicts_in,
)
from ami_conformance.reports.html import html
from ami_conformance.reports.junit import junit
from ami_conformance.reports.markdown import markdown
from ami_conformance.runner import Run, chosen
from ami_conformance.runner import run as run_tests
from ami_conformance.safety import Safety

EPILOG = (
    "Exit codes: 0 nothing failed; 1 something failed, or could not be put back; 2 wrong options; 3 not reached; 4 no answer; "
    "5 association refused; 6 not trusted; 7 not understood; 130 interrupted."
)
MOST_FINDINGS = 5
HELP = "Test a meter, real or simulated, against the standards and a pack (docs/howto/test-a-meter.md)."
app = typer.Typer(no_args_is_help=True, add_completion=False, help=HELP)
_REPORTS, _WHAT = "Reports", "What is tested, and how far"


def _panel(name: str, *names: str, help: str, **more: Any) -> Any:
    return typer.Option(*names, rich_help_panel=name, help=help, show_default=False, **more)


File = Path | None


@command_of(app, EPILOG)
def run(
    options: TargetOptions,
    target_name: Annotated[
        str,
        typer.Argument(
            metavar="[TARGET]",
            help="Short for the options: host:port, a serial device, or with --registry the name of an entry.",
            show_default=False,
        ),
    ] = "",
    pack: Annotated[
        str, _panel(_WHAT, "--pack", metavar="NAME", help="Measure by this pack too (`ami pack list`).")
    ] = "",
    packs: Annotated[
        File, _panel(_WHAT, "--packs", metavar="DIR", help="A folder with packs over those of the project.")
    ] = None,
    allow: Annotated[
        str,
        _panel(
            _WHAT,
            "--allow",
            metavar="S0..S4",
            help="How far steps may go: s0 reads (when not given), s1 malformed, s2 writes that are put back, s3 asks, s4 wants the serial number.",
        ),
    ] = "s0",
    group: Annotated[
        list[str] | None, _panel(_WHAT, "--group", help="Only the tests of this group, as often as wanted.")
    ] = None,
    test: Annotated[
        list[str] | None, _panel(_WHAT, "--test", metavar="ID", help="Only this test, as often as wanted.")
    ] = None,
    dry_run: Annotated[
        bool,
        _panel(_WHAT, "--dry-run", help="Read what the tests need, send nothing else, and list what would be sent."),
    ] = False,
    agreed: Annotated[
        bool,
        _panel(
            _WHAT, "--agreed", help="Do not ask about s3: the meter is on a bench, or simulated. s4 is asked about."
        ),
    ] = False,
    lock_out_after: Annotated[
        int,
        _panel(_WHAT, "--lock-out-after", min=2, help="False attempts after which the meter locks a client out; 3."),
    ] = 3,
    pause: Annotated[
        float, _panel(_WHAT, "--pause", min=0, help="Seconds of rest before false attempts would become that many; 0.")
    ] = 0.0,
    silence: Annotated[
        float, _panel(_WHAT, "--silence", min=0.05, help="Seconds without an answer that count as silence; 2.")
    ] = 2.0,
    patience: Annotated[
        float,
        _panel(_WHAT, "--patience", min=0, help="Longest time-out of the meter that is waited for, in seconds; 30."),
    ] = 30.0,
    journal: Annotated[
        File,
        _panel(
            _WHAT,
            "--journal",
            metavar="FILE",
            help="The journal of what is put back; by default one for each meter, with the state of `ami`.",
        ),
    ] = None,
    json: Annotated[
        File, _panel(_REPORTS, "--json", metavar="FILE", help="Everything, to be kept and compared.")
    ] = None,
    junit_file: Annotated[File, _panel(_REPORTS, "--junit", metavar="FILE", help="JUnit XML.")] = None,
    html_file: Annotated[
        File,
        _panel(_REPORTS, "--html", metavar="FILE", help="One HTML file, with the messages of each test explained."),
    ] = None,
    markdown_file: Annotated[
        File, _panel(_REPORTS, "--markdown", metavar="FILE", help="A summary in Markdown.")
    ] = None,
    compare: Annotated[
        File,
        _panel(
            _REPORTS,
            "--compare",
            metavar="FILE",
            help="Say what differs from this report (of --json): a twin against the real meter, a new firmware against the old one.",
        ),
    ] = None,
) -> None:
    """Test a meter. Without --allow no test writes, and nothing malformed is sent; what an earlier run had to put back is put back."""
    wanted = _rows(group or [], test or [])
    rules = _rules(allow, lock_out_after, pause, silence, patience)
    before = None if compare is None else _older(compare)
    for file in (json, junit_file, html_file, markdown_file):
        _can_be_written(file)
    target = target_of(_named(options, target_name), os.environ)
    environment = usual_environment(output.report)
    known, title = first_look(target, environment)
    rules = replace(rules, ask=_asking(known, rules.allowed, never=dry_run, agreed=agreed))
    about = _about(target, known, pack, rules)
    with _journal(journal, target, known) as kept, on_the_way(target, title, environment) as way:
        bench = Bench(way, rules, kept, dry=dry_run)
        bench.learned.name, bench.learned.serial = known.name, known.serial
        if pack:
            bench.expected = _expected(bench, pack, packs)
        with scan_view.progress() as tell:
            done = run_tests(bench, wanted, tell)
    compared = None if before is None else differences(before, done)
    if json is not None:
        output.save(json, as_json(done, about))
    if junit_file is not None:
        output.save(junit_file, junit(done, about))
    if html_file is not None:
        output.save(html_file, html(done, about, compared))
    if markdown_file is not None:
        output.save(markdown_file, markdown(done, about, compared))
    _show(done, about, compared or (), dry=dry_run)
    if done.interrupted:
        raise typer.Exit(ExitCode.INTERRUPTED)
    raise typer.Exit(1 if done.failed else 0)


@app.command("list")
def list_tests(
    group: Annotated[list[str] | None, typer.Option("--group", help="Only this group.")] = None,
) -> None:
    """List the plan: each test with its safety, its transport, and whether it is built, or which part of it is."""
    try:
        wanted = _rows(group or [], [], safest_first=False)
    except MeterError as error:
        output.complain(error)
        raise typer.Exit(error.code) from None
    table = [(one.id, one.group, one.title, str(one.safety), one.transport, _how_far(one.id)) for one in wanted]
    output.show(output.rows_table(("test", "group", "title", "safety", "over", ""), table))
    built = sum(1 for row in table if row[0] in CHECKS)
    output.write(
        f"{len(table)} tests, {built} of them built, {sum(1 for row in table if row[0] in PARTLY)} of these in part"
    )


def _how_far(test: str) -> str:
    if test not in CHECKS:
        return "not built"
    return f"in part: {PARTLY[test]}" if test in PARTLY else ""


def _named(options: TargetOptions, name: str) -> TargetOptions:
    """The options with what TARGET is short for."""
    if not name:
        return options
    if options.registry is not None:
        return replace(options, meter=name)
    if name.startswith("/") or "://" in name:
        return replace(options, device=name)
    host, _, port = name.rpartition(":")
    bare = ":" in host and not (host.startswith("[") and host.endswith("]"))  # an IPv6 address without a port
    if host and port.isdecimal() and not bare:
        return replace(options, host=host.strip("[]"), port=int(port))
    return replace(options, host=name.removeprefix("[").removesuffix("]"))


def _rows(group: Sequence[str], test: Sequence[str], *, safest_first: bool = True) -> list[Row]:
    """Those that were asked for; MeterError for what the plan does not have."""
    known, names = rows(), {one.lower(): one for one in groups()}
    for one in group:
        if one.lower() not in names:
            raise _usage("--group", f"{one} is none of {', '.join(groups())}")
    for one in test:
        if one.upper() not in known:
            raise _usage("--test", f"the plan has no {one}; `ami conformance list` shows what there is")
    found = list(known.values())
    if group or test:
        lower, upper = [one.lower() for one in group], [one.upper() for one in test]
        found = chosen(found, groups=lower, tests=upper)
    return sorted(found, key=lambda one: one.safety) if safest_first else found


def _rules(allow: str, lock_out_after: int, pause: float, silence: float, patience: float) -> Rules:
    if allow.upper() not in Safety.__members__:
        raise _usage("--allow", f"{allow} is none of s0, s1, s2, s3, s4")
    return Rules(
        allowed=Safety[allow.upper()],
        lock_out_after=lock_out_after,
        pause_s=pause,
        silence_s=silence,
        patience_s=patience,
    )


def _older(file: Path) -> Mapping[str, tuple[str, str]]:
    try:
        with file.open("rb") as kept:
            octets = kept.read(MOST_OCTETS + 1)
        if len(octets) > MOST_OCTETS:
            raise ReportError(f"has more than {MOST_OCTETS} octets; is it a report?")
        return verdicts_in(octets.decode("utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise _usage("--compare", f"{file}: {error}") from None
    except ReportError as error:
        raise _usage("--compare", f"{file}: {error}") from None


def _can_be_written(report: Path | None) -> None:
    """Before the run: what it has found would be lost at its end."""
    if report is None:
        return
    if not report.parent.is_dir():
        raise _usage(str(report), f"can't be written: there is no folder {report.parent}")
    if report.is_dir() or not os.access(report if report.exists() else report.parent, os.W_OK):
        raise _usage(str(report), "can't be written: a folder, or not allowed")


def _usage(where: str, what: str) -> MeterError:
    return MeterError(ExitCode.USAGE, what, where=where)


@contextmanager
def _journal(file: Path | None, target: MeterTarget, known: Known) -> Iterator[Journal]:
    """By the meter's own name, which stays when its address changes; for this run alone."""
    if file is None:
        name = "".join(letter if letter.isalnum() else "-" for letter in known.name or str(target.reach))
        file = target.counters.parent / "conformance" / f"{name}.jsonl"
    with ExitStack() as held:
        try:
            kept = held.enter_context(only_run(file, known.name))
        except JournalError as error:
            raise _usage("--journal", str(error)) from None
        yield kept


def _expected(bench: Bench, pack: str, folder: Path | None) -> Expected:
    try:
        return expected_of(pack, folder, bench.objects, bench.way.settings.client_wport)
    except Unsettled as trouble:
        raise MeterError(ExitCode.NOT_UNDERSTOOD, str(trouble), where="the object list") from None
    finally:
        bench.settle()


def _asking(known: Known, allowed: Safety, *, never: bool, agreed: bool) -> Ask:
    """S3 is agreed to, S4 by the serial number; both on a terminal. `agreed`: S3 was before."""
    if allowed < Safety.S3 or never or (agreed and allowed is Safety.S3):
        return lambda what: agreed
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise _usage(
            "--allow", f"{allowed} wants to be agreed to, and there is no terminal; --agreed is for s3 on a bench"
        )
    serial = known.serial or known.name

    def ask(what: str) -> bool:
        if "(s4)" in what:
            typed = typer.prompt(f"{what} can't be undone. Type the serial number of the meter to go on", err=True)
            return bool(serial) and typed.strip() == serial
        return agreed or typer.confirm(f"{what} may be noticed by a customer. Go on?", err=True)

    return ask


def _about(target: MeterTarget, known: Known, pack: str, rules: Rules) -> About:
    began_at = datetime.now(UTC).isoformat(timespec="seconds")
    return About(
        str(target),
        str(target.reach.transport),
        known.name,
        pack,
        str(rules.allowed),
        began_at,
        version("ami-reference"),
        _command(),
    )


def _command() -> str:
    """This command without its choice of tests and its reports: --test ID behind it runs one again. No secret stands in it unless one was typed."""
    words, kept, skip = sys.argv[1:], ["ami"], False
    for word in words:
        if skip:
            skip = False
            if kept[-1] in SECRETS:
                kept.append(_kept_secret(word))
            continue
        name, _, value = word.partition("=")
        if name in LEFT_OUT:
            skip = not value and name in WITH_VALUE
            continue
        if name in SECRETS and not value:
            kept.append(name)
            skip = True
            continue
        kept.append(f"{name}={_kept_secret(value)}" if name in SECRETS else word)
    return shlex.join(kept)


def _kept_secret(value: str) -> str:
    """Where a secret is may be said, what it is may not."""
    return value if value.startswith(("env:", "file:")) else "..."


WITH_VALUE = frozenset({"--test", "--group", "--json", "--junit", "--html", "--markdown", "--compare"})
LEFT_OUT = WITH_VALUE
SECRETS = frozenset({"--secret", "--ek", "--ak", "--kek", "--signing-key", "--agreement-key"})


def _show(done: Run, about: About, compared: Sequence[Difference], *, dry: bool) -> None:
    for line in (*done.put_back, *done.stuck):
        output.write(line)
    if dry:
        _show_dry(done.results)
    for one in done.results:
        if one.verdict is not Verdict.FAIL:
            continue
        output.write(f"{one.row.id} {one.row.title}: fail")
        for found in one.findings[:MOST_FINDINGS]:
            output.write(f"  {found.text} [{found.source}]")
        if len(one.findings) > MOST_FINDINGS:
            output.write(f"  and {len(one.findings) - MOST_FINDINGS} more")
        output.write(f"  again: {about.command} --test {one.row.id}")
    for changed in compared:
        output.write(f"{changed.test} {changed.title}: {changed.before} before, {changed.after} now. {changed.why}")
    counts = [(str(verdict), str(done.count(verdict))) for verdict in Verdict]
    output.show(output.rows_table(("verdict", "tests"), counts))


def _show_dry(results: Sequence[Result]) -> None:
    for one in results:
        held = [each for each in one.exchanges if "dry run" in each.said]
        if one.verdict is Verdict.NOT_RUN and one.reason.startswith("a dry run"):
            output.write(f"{one.row.id} {one.row.title} ({one.row.safety}): {one.reason}")
            for each in held:
                output.write(f"  {each.what}: {each.sent.hex()}")
