"""`ami decode` and `ami encode` on the command line: what they take, what they write, how they end."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from rich.console import Console
from rich.text import Text
from typer.testing import CliRunner, Result

from ami_cli.__main__ import app
from ami_cli.decode import documents, inputs
from ami_cli.decode.tree_view import View
from ami_cli.view import THEME
from ami_dlms import apdu, data
from ami_dlms.apdu.get import GetResponseNormal
from ami_dlms.association import CipheringHeader, Security, sign_general
from ami_dlms.errors import LocalError
from ami_dlms.explain import DecodingSession, explain, octets_of
from ami_dlms.security import AsymmetricKeys, GlobalKeys, PrivateKey

VECTORS = Path(__file__).parents[1] / "vectors"
ROWS: dict[str, Any] = {row["id"]: row for row in json.loads((VECTORS / "apdus.json").read_text())}
SESSIONS: dict[str, Any] = {row["id"]: row for row in json.loads((VECTORS / "hdlc.json").read_text())["sessions"]}
BROKEN = {
    "gosem_confirmedserviceerror_01",
    "gosem_eventnotificationrequest_02",
    "gosem_getresponse_00",
    "gosem_getresponse_04",
}
REQUEST = "C001C100080000010000FF0200"
EK, AK, TITLE = "000102030405060708090A0B0C0D0E0F", "D0D1D2D3D4D5D6D7D8D9DADBDCDDDEDF", "4D4D4D0000BC614E"
CIPHERED = "C81E3001234567411312FF935A47566827C467BC7D825C3BE4A77C3FCC056B6B"


def run(*arguments: str, given: str | bytes | None = None) -> Result:
    return CliRunner().invoke(app, list(arguments), input=given)


class TestInput:
    @pytest.mark.parametrize(
        "dress",
        [
            REQUEST,
            REQUEST.lower(),
            "C0 01 C1 00 08 00 00 01 00 00 FF 02 00",
            "c0:01:c1:00:08:00:00:01:00:00:ff:02:00",
            "0xC0, 0x01, 0xC1, 0x00, 0x08, 0x00, 0x00, 0x01, 0x00, 0x00, 0xFF, 0x02, 0x00",
            r"\xc0\x01\xc1\x00\x08\x00\x00\x01\x00\x00\xff\x02\x00",
            "-> C001C100 | 080000010000FF0200  # a remark: clock, time",
            "→ C0-01-C1-0008 0000010000FF\n   02\n\t00\r\n",
            "[C001C1000800][00010000FF0200]",
        ],
    )
    def test_hex_in_any_dress(self, dress: str) -> None:
        assert inputs.from_text(dress, "") == [bytes.fromhex(REQUEST)]
        assert run("decode", "-", given=dress).exit_code == 0

    def test_arguments_without_quotes(self) -> None:
        assert run("decode", *(REQUEST[place : place + 2] for place in range(0, 26, 2))).exit_code == 0

    def test_files_of_hex_and_of_octets(self, tmp_path: Path) -> None:
        text, binary = tmp_path / "frame.hex", tmp_path / "frame.bin"
        text.write_text(f"# recorded\n{REQUEST}\n")
        binary.write_bytes(bytes.fromhex(REQUEST))
        assert run("decode", str(text)).output == run("decode", str(binary)).output == run("decode", REQUEST).output
        assert run("decode", given=bytes.fromhex(REQUEST)).output == run("decode", REQUEST).output

    def test_apdus_stand_one_on_a_line_and_frames_anywhere(self) -> None:
        assert run("decode", given=f"{REQUEST}\n{REQUEST}\n").output.count("● get_request_normal") == 2
        frame = f"0001 0010 0001 000D {REQUEST}"
        assert run("decode", given=f"{frame}\n{frame[:30]}\n{frame[30:]}").output.count("● wrapper") == 2
        broken_over_lines = f"{REQUEST[:10]}\n{REQUEST[10:]}"
        assert run("decode", given=broken_over_lines).output.count("● get_request_normal") == 1

    @pytest.mark.parametrize(
        ("given", "told"),
        [
            ("C0 01 XY", "neither a file nor hex: 'X' in line 1, column 7, is no hex digit"),
            ("C00", "neither a file nor hex: line 1 has 3 hex digits, and two make an octet"),
            ("no/such.file", "no file 'no/such.file', and no hex"),
            ("# nothing", "nothing to decode"),
            ("Ω" * 5000, "is no hex digit"),
        ],
        ids=["letter", "odd", "file", "empty", "long"],
    )
    def test_what_is_no_hex_is_told(self, given: str, told: str) -> None:
        result = run("decode", given)
        assert result.exit_code == 2
        assert told in result.output

    def test_text_that_is_no_hex(self, tmp_path: Path) -> None:
        (tmp_path / "letter.txt").write_text("Dear meter")
        result = run("decode", str(tmp_path / "letter.txt"))
        assert result.exit_code == 2
        assert "is text, and no hex: 'r' in line 1, column 4" in result.output


class TestOutput:
    def test_piped_output_is_plain(self) -> None:
        for options in ((), ("--no-color",), ("--format", "json"), ("--format", "xml")):
            assert "\x1b" not in run("decode", REQUEST, *options).output

    def test_on_a_terminal_state_has_shape_word_and_colour(self) -> None:
        console = Console(theme=THEME, force_terminal=True, color_system="truecolor", width=200, highlight=False)
        with console.capture() as capture:
            for line in View().lines(explain(bytes.fromhex("C001C1"), DecodingSession())[0]):
                console.print(Text.assemble(*line))
        assert "\x1b[" in capture.get()
        assert "▲ expected" in capture.get()

    def test_long_strings_are_cut_unless_all_is_wanted(self) -> None:
        octets = apdu.encode(GetResponseNormal(1, data.octet_string(bytes(100)))).hex()
        assert "and 79 octets more" in run("decode", octets).output
        full = run("decode", octets, "--full").output
        assert "more" not in full
        assert full.count("00 00 00 00 00 00 00 00") == 11

    def test_every_octet_is_shown_in_its_order(self) -> None:
        octets = b"".join(bytes.fromhex(text) for _, text in SESSIONS["gurux_lls"]["exchange"])
        lines = run("decode", octets.hex(), "--full").output.splitlines()
        shown = [line[6:29] for line in lines if not line.startswith(("│", "●")) and line[:4].strip()]
        assert bytes.fromhex("".join(shown)) == octets

    def test_help_names_the_exit_codes(self) -> None:
        assert "Exit code 0" in run("decode", "--help").output
        assert "encode" in run("--help").output


class TestKeys:
    def test_deciphered(self) -> None:
        result = run("decode", CIPHERED, "--ek", EK, "--ak", AK, "--title", TITLE)
        assert result.exit_code == 0
        assert f"● the tag holds; deciphered with title {TITLE} (--title)" in result.output
        assert "clock 0-0:1.0.0*255 time" in result.output

    def test_a_tag_that_does_not_hold_is_exit_code_1(self) -> None:
        result = run("decode", CIPHERED[:-2] + "00", "--ek", EK, "--ak", AK, "--title", TITLE)
        assert result.exit_code == 1
        assert f"▲ the authentication tag does not hold with title {TITLE} (--title)" in result.output
        assert "get_request_normal" not in result.output

    def test_keys_from_the_environment_and_from_files(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        monkeypatch.setenv("METER_EK", EK)
        (tmp_path / "ak").write_text(f"{AK}\n")
        result = run("decode", CIPHERED, "--ek", "env:METER_EK", "--ak", f"file:{tmp_path / 'ak'}", "--title", TITLE)
        assert "● the tag holds" in result.output

    @pytest.mark.parametrize(
        ("options", "told"),
        [
            (("--ek", "0011"), "encryption key of 2 octets"),
            (("--ek", "secret"), "--ek"),
            (("--title", "4D4D"), "title: a system title has 8 octets, not 2"),
            (("--ek", EK, "--ak", "0011"), "authentication key of 2 octets"),
            (("--ek", "env:NOT_THERE"), "NOT_THERE"),
        ],
    )
    def test_wrong_keys_are_told_but_not_shown(self, options: tuple[str, ...], told: str) -> None:
        result = run("decode", CIPHERED, *options)
        assert result.exit_code == 2
        assert told in result.output
        assert "secret" not in result.output

    def test_a_recorded_session_with_the_global_keys_alone(self) -> None:
        text = "\n".join(f"{who}> {octets}" for who, octets in SESSIONS["gurux_gmac_200"]["exchange"])
        text = text.replace("C> ", "-> ").replace("S> ", "<- ")
        result = run("decode", "--ek", EK, "--ak", AK, given=text)
        assert result.exit_code == 0
        assert "▲" not in result.output
        assert result.output.count("the tag holds") >= 10


@pytest.mark.parametrize("name", sorted(ROWS))
def test_every_vector_is_explained(name: str) -> None:
    result = run("decode", ROWS[name]["hex"])
    assert result.exit_code == (1 if name in BROKEN else 0)
    assert not (result.exception and not isinstance(result.exception, SystemExit))
    if name in BROKEN:
        assert "▲ expected" in result.output


class TestEncode:
    @pytest.mark.parametrize("format_", ["json", "xml"])
    @pytest.mark.parametrize("name", sorted(ROWS.keys() - BROKEN))
    def test_every_vector_and_back(self, name: str, format_: str) -> None:
        octets = bytes.fromhex(ROWS[name]["hex"])
        trees = explain(octets, DecodingSession())
        write = {"json": documents.format_json, "xml": documents.format_xml}[format_]
        read = {"json": documents.parse_json, "xml": documents.parse_xml}[format_]
        (part,) = read(write(trees))
        assert apdu.decode(octets_of(part)) == apdu.decode(octets)

    @pytest.mark.parametrize("format_", ["json", "xml"])
    def test_a_session_and_back_on_the_command_line(self, format_: str, tmp_path: Path) -> None:
        octets = "".join(text for _, text in SESSIONS["gurux_none_2030_wide"]["exchange"]).upper()
        shown = run("decode", octets, "--format", format_).output
        assert run("encode", given=shown).output.replace("\n", "") == octets
        (tmp_path / "shown").write_text(shown, "utf-8")
        assert run("encode", str(tmp_path / "shown"), "--format", format_).output.replace("\n", "") == octets

    def test_both_formats_hold_the_same_parts(self) -> None:
        trees = explain(bytes.fromhex("0001001000010007C401C1001200E6"), DecodingSession())
        from_json = documents.parse_json(documents.format_json(trees))
        from_xml = documents.parse_xml(documents.format_xml(trees))
        assert [octets_of(part) for part in from_json] == [octets_of(part) for part in from_xml]

    def test_one_part_alone_will_do(self) -> None:
        tree = json.loads(run("decode", REQUEST, "--format", "json").output)["messages"][0]
        assert run("encode", given=json.dumps(tree)).output.strip() == REQUEST
        xml = run("decode", REQUEST, "--format", "xml").output.replace("<messages>", "").replace("</messages>", "")
        assert run("encode", given=xml).output.strip() == REQUEST

    @pytest.mark.parametrize(
        ("given", "told"),
        [
            ("nonsense", "this is no JSON"),
            ("[" * 100_000, "this is no JSON"),
            ("<a", "this is no XML"),
            ("<messages><x/></messages>", "x: '' cannot stand here"),
            ('<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>', "a document type declaration is not accepted"),
            ("<a>" * 2000 + "</a>" * 2000, "XML"),
            ('{"messages": [{"name": "x", "type": "missing"}]}', "it was not decoded, so it cannot be encoded"),
            ("\udcff", "can't decode byte"),
        ],
        ids=["text", "deep json", "xml", "part", "entity", "deep xml", "missing", "surrogate"],
    )
    def test_what_cannot_be_encoded_is_told(self, given: str, told: str) -> None:
        result = run("encode", given=given.encode("utf-8", "surrogateescape"))
        assert result.exit_code == 1
        assert told in result.output
        assert isinstance(result.exception, SystemExit)

    def test_a_file_that_is_not_there(self) -> None:
        result = run("encode", "nowhere.json")
        assert result.exit_code == 1
        assert "nowhere.json" in result.output

    def test_xml_never_reads_other_files(self, tmp_path: Path) -> None:
        (tmp_path / "secret").write_text("s3cret")
        with pytest.raises(LocalError):
            documents.parse_xml(f'<!DOCTYPE a [<!ENTITY b SYSTEM "file://{tmp_path}/secret">]><a>&b;</a>')


class TestPublicKeys:
    """A signed message and the certificate of who signed it."""

    SIGNER = PrivateKey(bytes(31) + b"\x05")

    def certificate(self) -> x509.Certificate:
        name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "434C490000000001")])
        day = datetime(2026, 1, 1)
        built = x509.CertificateBuilder(name, name, self.SIGNER.number.public_key(), 1, day, day + timedelta(days=1))
        return built.sign(self.SIGNER.number, hashes.SHA256())

    def message(self) -> str:
        header = CipheringHeader(b"t", b"CLI\0\0\0\0\1", b"MTR\0\0\0\0\2")
        security = Security(
            keys=GlobalKeys(bytes(16), bytes(16)),
            system_title=header.originator_system_title,
            suite=1,
            asymmetric=AsymmetricKeys(signing=self.SIGNER),
        )
        return apdu.encode(sign_general(header, security, bytes.fromhex(REQUEST))).hex()

    @pytest.mark.parametrize("encoding", [Encoding.PEM, Encoding.DER])
    def test_a_certificate(self, tmp_path: Path, encoding: Encoding) -> None:
        (tmp_path / "one").write_bytes(self.certificate().public_bytes(encoding))
        result = run("decode", self.message(), "--signature-key", f"cert:{tmp_path / 'one'}")
        assert result.exit_code == 0 and "the signature holds" in result.stdout

    def test_keys_in_hex(self) -> None:
        other = PrivateKey(bytes(31) + b"\x06").public_key.octets.hex()
        wrong = run("decode", self.message(), "--signature-key", other)
        assert wrong.exit_code == 1 and "does not hold" in wrong.stdout
        both = ("--signature-key", other, "--signature-key", self.SIGNER.public_key.octets.hex())
        assert run("decode", self.message(), *both).exit_code == 0
        assert "not checked" in run("decode", self.message()).stdout

    @pytest.mark.parametrize(
        ("content", "said"),
        [(b"\x30\x03abc", "can't be read"), (b"-----BEGIN\xff", "can't be read"), (b"", "can't be read")],
    )
    def test_what_is_no_certificate(self, tmp_path: Path, content: bytes, said: str) -> None:
        (tmp_path / "one").write_bytes(content)
        result = run("decode", REQUEST, "--signature-key", f"cert:{tmp_path / 'one'}")
        assert result.exit_code == 2 and said in result.stderr and "--signature-key" in result.stderr

    @pytest.mark.parametrize(
        "option",
        ["--signature-key", "--peer-agreement-key", "--agreement-key", "--kek"],
    )
    def test_what_is_no_key(self, option: str) -> None:
        assert run("decode", REQUEST, option, "xy").exit_code == 2
        assert run("decode", REQUEST, option, "00").exit_code == 2
