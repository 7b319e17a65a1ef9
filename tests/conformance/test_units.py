"""The plan, types, object lists, safety of messages, the journal and the forms of reports, without a meter."""

from __future__ import annotations

import ast
import errno
import os
import sys
from pathlib import Path
from xml.etree import ElementTree as Xml

import pytest

import ami_conformance
from ami_cli.conformance.cli import _command as again
from ami_conformance import attribute_types
from ami_conformance.findings import Finding, Measure, Result, Source, Verdict
from ami_conformance.groups.checks import CHECKS, PARTLY
from ami_conformance.journal import Journal, JournalError, only_run
from ami_conformance.object_list import parse_object_list
from ami_conformance.plan import rows
from ami_conformance.reports.document import About, ReportError, as_json, differences, verdicts_in
from ami_conformance.reports.junit import junit
from ami_conformance.reports.markdown import markdown
from ami_conformance.runner import Run
from ami_conformance.safety import Safety, safety_of
from ami_dlms import apdu, data
from ami_dlms.apdu.access import AccessRequest, AccessRequestAction, AccessRequestGet, AccessRequestSet
from ami_dlms.apdu.action import ActionRequestNormal
from ami_dlms.apdu.blocks import BlockControl, GeneralBlockTransfer
from ami_dlms.apdu.get import GetRequestNormal
from ami_dlms.apdu.set import SetRequestNormal
from ami_dlms.association.protection.authentication import REPLY_TO_HLS_AUTHENTICATION
from ami_dlms.cosem.classes import class_versions
from ami_dlms.cosem.descriptors import AttributeDescriptor, MethodDescriptor
from ami_dlms.obis import Obis

NAME = Obis.parse("0-0:42.0.0*255")
ABOUT = About("127.0.0.1:4059", "wrapper", "AMI1", "", "s0", "2026-01-01T00:00:00+00:00", "0", "ami conformance run")


def test_the_plan_has_193_tests_and_what_is_built_is_of_it() -> None:
    assert len(rows()) == 193
    assert set(CHECKS) <= set(rows())
    assert all(one.clause and one.steps and one.expected for one in rows().values())


def test_every_type_can_be_read_and_is_of_an_attribute_that_exists() -> None:
    known = {class_id for class_id, _ in class_versions()}
    for (class_id, number), one in attribute_types._detailed().items():
        assert attribute_types.parse(str(one)) == one
        if class_id in known:
            assert number >= 1


TYPES = [
    ("long-unsigned", data.long_unsigned(1), []),
    ("long-unsigned", data.long(1), ["the value is long, not long-unsigned"]),
    ("any", data.null(), []),
    ("structure(integer, enum)", data.structure(data.integer(0), data.enum(30)), []),
    ("structure(integer, enum)", data.structure(data.integer(0)), ["the value has 1 elements, not 2"]),
    ("structure(integer, enum)", data.structure(data.long(0), data.enum(30)), [".1 is long, not integer"]),
    ("array(structure(unsigned))", data.array(data.structure(data.unsigned(1)), data.structure(data.long(1))), ["[2].1 is long, not unsigned"]),
]  # fmt: skip


@pytest.mark.parametrize(("wanted", "value", "found"), TYPES)
def test_a_value_against_its_type(wanted: str, value: data.Data, found: list[str]) -> None:
    assert list(attribute_types.mismatches(value, attribute_types.parse(wanted))) == found


def test_an_object_list_is_read_strictly() -> None:
    good = data.structure(
        data.long_unsigned(1), data.unsigned(0), data.octet_string(NAME),
        data.structure(data.array(data.structure(data.integer(1), data.enum(1), data.null())), data.array()),
    )  # fmt: skip
    found = parse_object_list(data.array(good, good, data.structure(data.long(1)), data.null()))
    assert [one.obis for one in found.objects] == [NAME, NAME]
    assert found.objects[0].readable(1)
    assert len(found.odd) == 3
    assert "there twice" in found.odd[2]
    assert parse_object_list(data.null()).odd


SAFETY = [
    (GetRequestNormal(0xC1, AttributeDescriptor(1, NAME, 2)), Safety.S0),
    (SetRequestNormal(0xC1, AttributeDescriptor(1, NAME, 2), None, data.null()), Safety.S2),
    (ActionRequestNormal(0xC1, REPLY_TO_HLS_AUTHENTICATION, data.octet_string(b"")), Safety.S0),
    (ActionRequestNormal(0xC1, MethodDescriptor(8, NAME, 99), data.integer(0)), Safety.S1),
    (ActionRequestNormal(0xC1, MethodDescriptor(70, NAME, 1), data.integer(0)), Safety.S3),
    (ActionRequestNormal(0xC1, MethodDescriptor(64, NAME, 2), data.array()), Safety.S4),
    (ActionRequestNormal(0xC1, MethodDescriptor(7, NAME, 1), data.integer(0)), Safety.S4),
    (None, Safety.S1),
]


def access(one: object) -> AccessRequest:
    return AccessRequest(1, None, (one,), (data.null(),))  # type: ignore[arg-type]


def in_block(message: object, number: int = 1, *, last: bool = True) -> GeneralBlockTransfer:
    octets = message if isinstance(message, bytes) else apdu.encode(message)  # type: ignore[arg-type]
    return GeneralBlockTransfer(BlockControl(last, False, 1), number, 0, octets)


SECURITY_SETUP = AttributeDescriptor(64, NAME, 2)
SAFETY += [
    (access(AccessRequestGet(SECURITY_SETUP)), Safety.S0),
    (access(AccessRequestSet(SECURITY_SETUP)), Safety.S4),
    (access(AccessRequestSet(AttributeDescriptor(1, NAME, 2))), Safety.S2),
    (access(AccessRequestAction(MethodDescriptor(70, NAME, 1))), Safety.S3),
    (in_block(GetRequestNormal(0xC1, AttributeDescriptor(1, NAME, 2))), Safety.S0),
    (in_block(SetRequestNormal(0xC1, SECURITY_SETUP, None, data.null())), Safety.S4),
    (in_block(b"\x00"), Safety.S1),
    (in_block(b"\x00", last=False), Safety.S4),
    (in_block(b""), Safety.S0),
]


def test_what_is_built_in_part_is_built() -> None:
    assert set(PARTLY) <= set(CHECKS)


def test_the_command_that_runs_a_test_again_says_where_secrets_are(monkeypatch: pytest.MonkeyPatch) -> None:
    words = [
        "conformance",
        "run",
        "a:1",
        "--ek",
        "env:EK",
        "--ak=file:ak",
        "--secret",
        "0011",
        "--kek=22",
        "--test",
        "SV-01",
    ]
    monkeypatch.setattr(sys, "argv", ["ami", *words, "--json", "x", "--allow", "s1"])
    assert again() == "ami conformance run a:1 --ek env:EK --ak=file:ak --secret ... --kek=... --allow s1"


def test_tests_write_to_no_wire_of_their_own() -> None:
    """Where octets leave it is asked what is allowed, and what a dry run holds back."""
    folder = Path(ami_conformance.__file__).parent / "groups"
    for file in folder.glob("*.py"):
        for node in ast.walk(ast.parse(file.read_text("utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
                whose = node.func.value
                name = whose.attr if isinstance(whose, ast.Attribute) else getattr(whose, "id", "")
                assert (name, node.func.attr) not in {
                    ("wire", "send"), ("wire", "send_raw"), ("link", "write")
                }, f"{file.name}:{node.lineno}"  # fmt: skip


@pytest.mark.parametrize(("message", "safety"), SAFETY)
def test_how_much_harm_a_message_can_do(message: object, safety: Safety) -> None:
    assert safety_of(message) is safety  # type: ignore[arg-type]


def test_what_has_begun_and_is_not_done_is_open(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "folder" / "journal.jsonl")
    place = AttributeDescriptor(1, NAME, 2)
    first = journal.begin("SV-13", place, data.unsigned(1), data.unsigned(2))
    second = journal.begin("SV-14", place, data.unsigned(2), data.unsigned(3))
    journal.done(first)
    again = Journal(journal.path)
    assert [(one.number, one.test, one.before) for one in again.open] == [(second, "SV-14", data.unsigned(2))]
    assert again.begin("SV-15", place, data.unsigned(3), data.unsigned(4)) == second + 1


def test_a_line_that_was_cut_at_the_end_is_none_and_one_amid_is_an_error(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal.jsonl")
    journal.begin("SV-13", AttributeDescriptor(1, NAME, 2), data.unsigned(1), data.unsigned(2))
    text = journal.path.read_text()
    journal.path.write_text(text + text[:20])
    assert len(Journal(journal.path).open) == 1
    journal.path.write_text(text[:20] + "\n" + text)
    with pytest.raises(JournalError, match=r"journal\.jsonl:1"):
        Journal(journal.path)


def test_what_is_written_behind_a_cut_line_is_read_back(tmp_path: Path) -> None:
    place, path = AttributeDescriptor(1, NAME, 2), tmp_path / "journal.jsonl"
    Journal(path).begin("SV-13", place, data.unsigned(1), data.unsigned(2))
    path.write_text(path.read_text() + path.read_text()[:20])
    Journal(path).begin("SV-14", place, data.unsigned(2), data.unsigned(3))
    assert [one.test for one in Journal(path).open] == ["SV-14", "SV-13"]


def test_a_line_that_a_full_disk_takes_a_part_of_is_no_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write, journal = os.write, Journal(tmp_path / "journal.jsonl")
    parts = iter((20,))

    def nearly_full(descriptor: int, octets: bytes) -> int:
        for part in parts:
            return write(descriptor, octets[:part])
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as change:
        change.setattr(os, "write", nearly_full)
        with pytest.raises(JournalError, match="nothing is written to the meter"):
            journal.begin("SV-13", AttributeDescriptor(1, NAME, 2), data.unsigned(1), data.unsigned(2))
    assert journal.open == () and Journal(journal.path).open == ()
    journal.begin("SV-14", AttributeDescriptor(1, NAME, 2), data.unsigned(1), data.unsigned(2))
    assert [one.test for one in Journal(journal.path).open] == ["SV-14"]


@pytest.mark.parametrize("line", ['{"number": 1e999, "what": "begin"}', "[" * 100_000, "5", "null"])
def test_a_line_of_any_shape_is_refused_in_words(tmp_path: Path, line: str) -> None:
    path = tmp_path / "journal.jsonl"
    path.write_text(line + "\n")
    with pytest.raises(JournalError, match=r"journal\.jsonl"):
        Journal(path)


def test_a_journal_is_of_one_meter(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal.jsonl", "AMI1")
    journal.begin("SV-13", AttributeDescriptor(1, NAME, 2), data.unsigned(1), data.unsigned(2))
    assert len(Journal(journal.path, "AMI1").open) == 1
    for other in ("AMI2", ""):
        with pytest.raises(JournalError, match=r"journal of the meter AMI1"):
            Journal(journal.path, other)


def test_one_run_at_a_time_has_a_journal(tmp_path: Path) -> None:
    path = tmp_path / "folder" / "journal.jsonl"
    with only_run(path) as kept:
        kept.begin("SV-13", AttributeDescriptor(1, NAME, 2), data.unsigned(1), data.unsigned(2))
        with pytest.raises(JournalError, match="another run is at work"), only_run(path):
            pass
    with only_run(path) as kept:
        assert len(kept.open) == 1


def a_run(verdict: Verdict) -> Run:
    source = Source(Measure.CLAUSE, "clause <1>")
    findings = [Finding("it is *wrong* <so>\x00", source)] if verdict is Verdict.FAIL else []
    return Run([Result(rows()["SV-01"], verdict, "", findings), Result(rows()["SE-02"], Verdict.NOT_RUN, "it is s1")])


def test_reports_say_what_failed() -> None:
    run = a_run(Verdict.FAIL)
    suites = Xml.fromstring(junit(run, ABOUT))
    assert [(one.get("name"), one.get("failures"), one.get("skipped")) for one in suites] == [
        ("Services", "1", "0"),
        ("Security", "0", "1"),
    ]
    failure = suites.find(".//failure")
    assert failure is not None and failure.get("message") == "it is *wrong* <so>"
    page = markdown(run, ABOUT)
    assert "### SV-01" in page
    assert "it is \\*wrong\\* \\<so\\>" in page


def test_two_runs_are_compared_test_by_test() -> None:
    before = verdicts_in(as_json(a_run(Verdict.PASS), ABOUT))
    (found,) = differences(before, a_run(Verdict.FAIL))
    assert (found.test, found.before, found.after) == ("SV-01", "pass", "fail")
    assert differences(before, a_run(Verdict.PASS)) == []
    with pytest.raises(ReportError):
        verdicts_in("{}")
    with pytest.raises(ReportError, match="recursion"):
        verdicts_in("[" * 100_000)
