"""--second-opinion: the peer's process boundary with stand-ins for its interpreter, and dlms-cosem itself where it is installed."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from meter_bench import AK, EK, ROOT, Ami

PEER = ROOT / ".venv" / "interop" / "dlms-cosem" / "bin" / "python"


@pytest.fixture
def stand_in(tmp_path: Path) -> Path:
    """An `interpreter` that keeps the question and gives the answer in a file, if there is one."""
    script = tmp_path / "python"
    script.write_text(
        f"#!{sys.executable}\n"
        "import pathlib, sys\n"
        "here = pathlib.Path(__file__).parent\n"
        "(here / 'arguments').write_text(' '.join(sys.argv[1:]))\n"
        "(here / 'question').write_text(sys.stdin.read())\n"
        "print((here / 'answer').read_text())\n"
    )
    script.chmod(0o755)
    return script


def answer(stand_in: Path, **found: str) -> Path:
    (stand_in.parent / "answer").write_text(json.dumps(found))
    return stand_in


def asked(ami: Ami, kind: str, python: object, *more: object) -> tuple[int, str, str]:
    given = ("read", "0-0:96.3.10", 2, "--class", 70, "--second-opinion", "--peer-python", python, *more)
    result = ami.on(kind, *given)
    return result.code, result.out, result.err


def test_the_same(ami: Ami, stand_in: Path) -> None:
    code, out, _ = asked(ami, "GMAC", answer(stand_in, a_xdr="0301"))
    assert code == 0 and "the same, octet for octet" in out


def test_what_programs_read_stays_whole(ami: Ami, stand_in: Path) -> None:
    code, out, told = asked(ami, "GMAC", answer(stand_in, a_xdr="0301"), "--json")
    assert code == 0 and json.loads(out)[0]["value"] is True and "the same, octet for octet" in told


def test_the_question_goes_over_standard_input_with_unused_counters(ami: Ami, stand_in: Path) -> None:
    asked(ami, "GMAC", answer(stand_in, a_xdr="0301"))
    asked(ami, "GMAC", stand_in)
    question = json.loads((stand_in.parent / "question").read_text())
    assert question["encryption_key"] == EK.lower() and question["obis"] == [0, 0, 96, 3, 10, 255]
    assert question["invocation_counter"] > 1024
    arguments = (stand_in.parent / "arguments").read_text()
    assert arguments.startswith("-I ") and EK not in arguments.upper() and AK not in arguments.upper()


def test_different(ami: Ami, stand_in: Path) -> None:
    code, out, _ = asked(ami, "CLEAR", answer(stand_in, a_xdr="0300"))
    assert code == 8 and "value: we read boolean true, dlms-cosem boolean false" in out
    code, out, _ = asked(ami, "CLEAR", answer(stand_in, a_xdr="03"))
    assert code == 8 and "does not decode" in out


def test_errors_of_either(ami: Ami, stand_in: Path) -> None:
    code, out, _ = asked(ami, "CLEAR", answer(stand_in, error="ValueError: no"))
    assert code == 8 and "ValueError: no" in out
    denied = ("read", "0-0:40.0.0", "secret", "--class", 15, "--second-opinion", "--peer-python", stand_in)
    agreed = ami.on("CLEAR", *denied)
    assert agreed.code == 1 and "second opinion" in agreed.out and "read-write-denied" in agreed.err
    answer(stand_in, a_xdr="0300")
    result = ami.on("CLEAR", *denied)
    assert result.code == 8 and "we were told read-write-denied" in result.out


def test_how_to_get_it(ami: Ami, stand_in: Path, tmp_path: Path) -> None:
    without = ami.on("CLEAR", "read", "0-0:96.3.10", 2, "--second-opinion")
    assert without.code == 2 and "Business Source License" in without.err and "pip install dlms-cosem" in without.err
    code, _, err = asked(ami, "CLEAR", sys.executable)
    assert code == 2 and "can't import dlms_cosem" in err
    code, _, err = asked(ami, "CLEAR", tmp_path / "nowhere")
    assert code == 2 and "can't be started" in err
    code, _, err = asked(ami, "CLEAR", stand_in)
    assert code == 2 and "no Python that answers" in err
    help_text = " ".join(ami.run("read", "--help").ok().out.replace("│", " ").split())
    assert "Business Source License 1.1" in help_text


@pytest.mark.parametrize(
    ("kind", "more", "said"),
    [
        ("SPECIFIC", (), "ciphering service-specific"),
        ("MD5", (), "authentication hls-md5"),
        ("CLEAR", ("--all",), ""),
    ],
)
def test_what_the_peer_can_not_do(ami: Ami, stand_in: Path, kind: str, more: tuple[str, ...], said: str) -> None:
    code, _, err = asked(ami, kind, stand_in, *more)
    assert code == 2 and said in err


def test_it_wants_one_attribute(ami: Ami) -> None:
    assert ami.on("CLEAR", "read", "0-0:96.3.10", "--second-opinion").code == 2


@pytest.mark.needs("dlms-cosem")
@pytest.mark.parametrize("kind", ["GMAC", "LLS", "CLEAR"])
def test_dlms_cosem_itself_agrees(ami: Ami, kind: str) -> None:
    code, out, err = asked(ami, kind, PEER)
    assert code == 0 and "the same, octet for octet" in out, out + err
