"""The attack suite as a table: what is tried, at which port, what has to come of it, and the test that shows it.

A row with `launch` is tried by `test_attacks.py` on a system of processes while legitimate work goes on, and by `make attacks`, which prints what
came back, memory and latencies. A row without names the test that shows it elsewhere; `tests/e2e/hostile.py` has further senders, which are
tried one by one and fifty at once by `tests/e2e/test_survival.py`.
"""

from __future__ import annotations

import over_dlms
import over_http
import over_signatures
from over_http import messages
from siege import Attack, Target

HTTP: tuple[Target, ...] = ("hes", "cis", "simulator")
CIM: tuple[Target, ...] = ("hes", "cis")


def _of(target: Target, name: str, expected: str, launch: object, *allowed: str, **more: object) -> Attack:
    return Attack(name, target, expected, launch=launch, allowed=frozenset(allowed), **more)  # type: ignore[arg-type]


def _rows_of_cim(to: Target) -> list[Attack]:
    fault = "500 fault"
    return [
        _of(
            to, "XML bombs, entities of files and of the network", "a fault; no entity is resolved",
            messages(to, over_http.XML_BOMBS), fault, size="test" if to == "hes" else "ci",
        ),
        _of(to, "depth, attributes and names without end", "a fault", messages(to, over_http.DEPTH), fault,
            size="ci" if to == "hes" else "acceptance"),
        _of(
            to, "wrong charset", "415 or a fault; nothing is guessed", over_http.wrong_charsets(to),
            "415 fault", "415", fault,
        ),
        _of(
            to, "gzip bombs", "a fault or 413, unpacked no further than a message may be large",
            over_http.gzip_bombs(to), fault, "413", "413 fault", "415 fault",
        ),
    ]  # fmt: skip


def _rows_of_http(to: Target) -> list[Attack]:
    return [
        _of(
            to, "smuggled requests (CL and TE, doubled, folded)", "400 or 501, and nothing behind is read",
            over_http.each(to, over_http.SMUGGLED), "400", "501", "500 fault", "415",
            size="test" if to == "hes" else "ci",
        ),
        _of(
            to, "path traversal", "404, or what the address without it gives", over_http.each(to, over_http.TRAVERSALS),
            "400", "404", size="test" if to == "hes" else "ci",
        ),
        _of(
            to, "heads without end", "400 or 431", over_http.each(to, over_http.HEADERS), "400", "431", "414",
            "hung up",
        ),
        _of(
            to, "bodies of 100 MB", "413, or the end of the connection", over_http.large_bodies(to), "413", "413 fault",
            "404", "405", "415", "hung up",
        ),
        _of(
            to, "endless chunks", "400, 413, or the end of the connection", over_http.endless_chunks(to), "400", "413",
            "413 fault", "404", "405", "415", "hung up",
        ),
        _of(
            to, "slowloris, 500 connections", "408 to each of them", over_http.slowly(to), "408", "hung up", "503",
            size="acceptance" if to == "simulator" else "ci",

        ),
    ]  # fmt: skip


def _rows_of_dlms(to: Target) -> list[Attack]:
    """Of who listens: a head-end asks who calls, a meter waits for an association."""
    waits = ("hung up", "held", "asked who it is", "answered", "refused")
    return [
        _of(to, "oversized lengths, nesting", "the end of the connection, or silence", over_dlms.oversized(to), *waits),
        _of(
            to, "connections that say nothing, 300", "few are kept, the others hung up on",
            over_dlms.connections(to, 300), *waits,
        ),
        _of(
            to, "AARQs, 300 at once", "refused or hung up on", over_dlms.flood(to, 300, over_dlms.frame(over_dlms.HLS_AARQ)),
            *waits,
        ),
        _of(
            to, "fragments without end, 60 connections", "few are kept, the others hung up on",
            over_dlms.slowly(to, 60, over_dlms.NOT_ENDING), *waits,
        ),
    ]  # fmt: skip


def _rows_of_signatures() -> list[Attack]:
    """At a head-end that takes signed messages and UsernameTokens alone; all but the first of a replay has to be a fault."""
    failed = "500 wsse:FailedCheck"
    return [
        _of(
            "hes", f"signature wrapping, doubled Ids, other algorithms, keys from elsewhere: {over_signatures.VARIANTS} variants",
            "the fault of each variant; nothing is switched", over_signatures.variants, "500, the fault of its row",
            size="test", signed=True,
        ),
        _of(
            "hes", "a signed message again and again (replay)", "the first is carried out, no other",
            over_signatures.replayed, "200 OK", failed, needed=frozenset({"200 OK", failed}), size="test", signed=True,
        ),
        _of(
            "hes", "digest of another Body", "wsse:FailedCheck", over_signatures.other_bodies, failed, signed=True,
        ),
        _of(
            "hes", "Timestamps that have expired, are too old or still to come", "wsu:MessageExpired",
            over_signatures.other_times, "500 wsu:MessageExpired", signed=True,
        ),
        _of(
            "hes", "SHA-1 downgrade, signed so", "wsse:UnsupportedAlgorithm", over_signatures.with_sha_1,
            "500 wsse:UnsupportedAlgorithm", signed=True,
        ),
        _of(
            "hes", "proofs of another role (its certificate, its token, a token taken from its message)",
            "7.5, or a fault; nothing is switched", over_signatures.of_another_role, "500 7.5", failed,
            "500 wsse:FailedAuthentication", needed=frozenset({"500 7.5", failed}), signed=True,
        ),
        _of(
            "hes", "passwords as text without TLS", "wsse:InvalidSecurityToken", over_signatures.passwords_as_text,
            "500 wsse:InvalidSecurityToken", signed=True,
        ),
    ]  # fmt: skip


LAUNCHED = (
    *(row for to in CIM for row in _rows_of_cim(to)),
    *(row for to in HTTP for row in _rows_of_http(to)),
    _of(
        "hes", "SSRF by ReplyAddress", "FAILED 7.7, nothing is switched", over_http.reply_elsewhere, "200 FAILED 7.7", "200 FAILED 1.5",
        needed=frozenset({"200 FAILED 7.7"}), size="test",
    ),
    *(row for to in ("dlms", "meter") for row in _rows_of_dlms(to)),  # type: ignore[arg-type]
    _of("dlms", "datagrams of chance", "no answer", over_dlms.datagram_flood, "no answer"),
    _of(
        "dlms", "datagrams with made-up senders that ask for an answer", "no answer", over_dlms.made_up_senders,
        "no answer", size="test",
    ),
    _of(
        "dlms", "first blocks of pushes, of 300 senders", "acknowledged in fewer octets than came; 64 are kept",
        over_dlms.block_flood, "no answer", "answered",
    ),
    _of(
        "dlms", "a genuine push again and again", "the first is confirmed, no other", over_dlms.replayed, "answered",
        "no answer", needed=frozenset({"answered"}), size="test",
    ),
    _of("dlms", "pushes in the name of a meter with a wrong tag", "no answer, an event", over_dlms.forged, "no answer", size="test"),
    _of("dlms", "downgraded pushes", "no answer, an event", over_dlms.downgraded, "no answer", size="test"),
    *_rows_of_signatures(),
)  # fmt: skip
"""Rows that are tried here."""

ELSEWHERE = (
    Attack("requests again (replay of a MessageID)", "hes", "the answer of the first; nothing is done twice", "tests/hes/north/test_replay.py"),
    Attack("a recorded session again", "dlms", "refused, over restarts as well", "tests/e2e/test_replay.py::test_a_recorded_session_is_not_ok"),
    Attack("a token of another role", "hes", "403, and an entry in the audit log", "tests/hes/north/test_roles.py::test_keys_and_firmware_are_the_security_officers"),
    Attack("tokens by guessing", "hes", "401, then 429 for longer each time", "tests/process/test_principals.py::test_wrong_tokens_make_their_address_wait_twice_as_long_each_time"),
    Attack("made-up replies", "cis", "refused without the role operator", "tests/cis/test_roles.py"),
    Attack("DNS rebinding of a ReplyAddress", "hes", "the address that was checked is connected to", "tests/hes/north/test_reply_hosts.py::test_the_address_that_was_checked_is_the_one_that_is_connected_to"),
    Attack("a public name that leads inside", "hes", "refused", "tests/hes/north/test_reply_hosts.py::test_a_public_name_does_not_lead_inside_unless_that_is_named"),
    Attack("receivers that redirect, never end, or answer with bombs", "hes", "one delivery fails, in time", "tests/hes/north/test_outbox_hostile.py"),
    Attack("names of all meters claimed", "dlms", "a bounded number of connections", "tests/hes/south/test_claims.py::test_claims_of_many_names_hold_few_connections"),
    Attack("meters that send without end", "dlms", "their commands end in time", "tests/hes/south/test_floods.py"),
    Attack("an association under less protection than agreed", "dlms", "refused by client and server", "tests/dlms/association/test_security_traps.py::test_an_aare_in_clear_or_in_another_context_is_a_downgrade"),
    Attack("a frame of a lower suite", "dlms", "refused", "tests/dlms/association/test_policies.py::test_a_lower_suite_number_under_the_same_keys_is_a_downgrade"),
    Attack("TLS handshakes that never end", "hes", "each counts and has an end", "tests/process/test_tls.py::test_who_never_finishes_a_handshake_is_counted_and_has_an_end"),
    Attack("40 further messages, once and fifty at once", "hes", "as above", "tests/e2e/test_survival.py"),
)  # fmt: skip
"""Rows that are shown elsewhere."""

TABLE = (*LAUNCHED, *ELSEWHERE)
HERE = "tests/attacks/test_attacks.py"


def page() -> str:
    """The table as docs/security.md has it."""
    ports = {"hes": "HES, HTTP", "cis": "CIS, HTTP", "simulator": "simulator, HTTP", "dlms": "HES, DLMS", "meter": "simulated meter, DLMS"}  # fmt: skip
    rows: dict[tuple[str, str, str], list[str]] = {}
    for row in TABLE:
        rows.setdefault((row.name, row.expected, row.test or HERE), []).append(ports[row.target])
    lines = ["| attack | at | what has to come of it | test |", "|---|---|---|---|"]
    lines += [f"| {name} | {'; '.join(at)} | {expected} | `{test}` |" for (name, expected, test), at in rows.items()]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    print(page(), end="")
