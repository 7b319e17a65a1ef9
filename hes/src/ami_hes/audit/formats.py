"""Entries for other systems: JSON lines, and syslog messages (RFC 5424) with the same members as structured data.

A JSON line is the canonical text with the member `hash` added, so that a SIEM can check the chain as well. The syslog message has the
facility 13 (log audit, RFC 5424 table 1), the severity 5 (notice) and 4 (warning) for what was refused or stopped; its MSG is the canonical text.
"""

import json

from ami_hes.audit.chain import Link
from ami_hes.audit.entries import What, parse_entry

FACILITY = 13
NOTICE, WARNING = 5, 4
ENTERPRISE = "32473"
"""RFC 5612: the number that stands for examples; we have none of our own."""
_WARNED = frozenset(
    {
        What.REFUSED,
        What.MORE_REFUSED,
        What.SIGN_IN_REFUSED,
        What.REJECTED,
        What.EXPIRED,
        What.CONTROLS_STOPPED,
        What.CUT,
    }
)
_MEMBERS = ("seq", "principal", "by", "verb", "noun", "request", "approved_by", "outcome", "meters", "meters_sha256")


def format_json_line(link: Link) -> str:
    """One line without its end."""
    return json.dumps(parse_entry(link.text) | {"hash": link.hash}, sort_keys=True, separators=(",", ":"))


def format_syslog(link: Link, *, host: str, program: str = "hes") -> str:
    """One message without framing; `host` is the HOSTNAME of RFC 5424, section 6.2.4."""
    entry = parse_entry(link.text)
    what = str(entry["what"])
    severity = WARNING if what in _WARNED else NOTICE
    members = "".join(f' {name}="{_escaped(str(entry[name]))}"' for name in _MEMBERS if name in entry)
    data = f'[audit@{ENTERPRISE} hash="{link.hash}"{members}]'
    at = str(entry["at"]).replace("+00:00", "Z")
    return f"<{8 * FACILITY + severity}>1 {at} {_name(host, 255)} {_name(program, 48)} - {_name(what, 32)} {data} {link.text}"


def _escaped(value: str) -> str:
    """RFC 5424, section 6.3.3: PARAM-VALUE."""
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("]", "\\]").replace("\n", " ").replace("\r", " ")


def _name(value: str, most: int) -> str:
    """PRINTUSASCII without space, or the NILVALUE."""
    return "".join(one if "!" <= one <= "~" else "-" for one in value)[:most] or "-"
