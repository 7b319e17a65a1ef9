"""Who asks: files of principals, tokens and certificates in their order, and that guessing takes longer and longer."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from ami_process.doors import FREE_FAILURES, LONGEST_PAUSE_S, MOST_ADDRESSES, Admissions, Attempts
from ami_process.principals import LOCAL, Principal, Refusal, Role, load
from ami_process.settings import SettingsError
from ami_process.tls import PeerCertificate
from ami_process.tokens import Tokens

BILLING, OWNER = "billing-0123456789-0123456789-0123456789", "owner-0123456789-0123456789-0123456789-"
CIS = PeerCertificate("CN=cis,O=Utility", ("DNS:cis.example", "IP Address:192.0.2.7"), "ab" * 32)
STRANGER = PeerCertificate("CN=stranger", ("DNS:stranger.example",), "cd" * 32)
FILE = f"""
[[principals]]
name = "billing"
roles = ["reader"]
token_sha256 = "{sha256(BILLING.encode()).hexdigest()}"

[[principals]]
name = "the CIS"
roles = ["controller", "operator"]
certificate = "DNS:cis.example"
"""


def written(directory: Path, text: str = FILE, mode: int = 0o644) -> Path:
    file = directory / "principals.toml"
    file.write_text(text)
    file.chmod(mode)
    return file


def admissions(directory: Path, *, bound_to: str = "192.0.2.1", seconds: Any = lambda: 0.0, **more: Any) -> Admissions:
    tokens = Tokens([OWNER], "hes.token_file")
    given = {"principals": written(directory), "anonymous": None} | more
    return Admissions.of("hes", given.get("tokens", tokens), given["principals"], given["anonymous"], bound_to, seconds)


def scope(
    token: str | None = None, peer: PeerCertificate | None = None, client: str = "198.51.100.9"
) -> dict[str, Any]:
    headers = [] if token is None else [(b"authorization", f"Bearer {token}".encode())]
    return {"type": "http", "headers": headers, "client": (client, 1), "peer_certificate": peer}


def test_a_token_comes_before_a_certificate_and_each_has_its_principal(tmp_path: Path) -> None:
    both = admissions(tmp_path)
    billing = Principal("billing", frozenset({Role.READER}), "token")
    cis = Principal("the CIS", frozenset({Role.CONTROLLER, Role.OPERATOR}), "certificate")
    for doors in (both.api, both.messages):
        assert doors.admit(scope(BILLING)) == billing
        assert doors.admit(scope(BILLING, CIS)) == billing
        assert doors.admit(scope(None, CIS)) == cis
        owner = doors.admit(scope(OWNER))
        assert isinstance(owner, Principal)
        assert (owner.roles, owner.how) == ({Role.ADMIN}, "token")


@pytest.mark.parametrize("bound_to", ["192.0.2.1", "127.0.0.1"])
def test_who_proves_nothing_or_something_wrong_is_not_let_in(tmp_path: Path, bound_to: str) -> None:
    """A file of principals closes a loopback address as well."""
    both = admissions(tmp_path, bound_to=bound_to)
    for doors in (both.api, both.messages):
        for asked in (scope(), scope(None, STRANGER), scope("wrong"), scope("wrong", CIS), scope("")):
            refused = doors.admit(asked)
            assert isinstance(refused, Refusal)
            assert refused.status == 401
            assert OWNER not in refused.reason and BILLING not in refused.reason


@pytest.mark.parametrize(
    ("bound_to", "anonymous", "admitted"),
    [
        ("127.0.0.1", None, LOCAL),
        ("::1", None, LOCAL),
        ("192.0.2.1", None, None),
        ("0.0.0.0", None, None),
        ("192.0.2.1", (Role.OPERATOR,), Principal("nobody", frozenset({Role.OPERATOR}), "nobody")),
        ("127.0.0.1", (), None),
    ],
)
def test_nobody_may_send_messages_only_to_this_machine_or_by_name_of_a_role(
    tmp_path: Path, bound_to: str, anonymous: tuple[Role, ...] | None, admitted: Principal | None
) -> None:
    found = admissions(tmp_path, bound_to=bound_to, principals=None, anonymous=anonymous).messages.admit(scope())
    assert found == admitted if admitted is not None else isinstance(found, Refusal)


def test_where_nobody_is_known_a_token_proves_nothing_and_is_no_wrong_one(tmp_path: Path) -> None:
    nothing = Tokens([], "hes.token_file", open_to_all=True)
    both = admissions(tmp_path, bound_to="127.0.0.1", principals=None, tokens=nothing)
    assert both.api.admit(scope("any")) == both.messages.admit(scope("any")) == LOCAL


def test_what_nobody_may_is_of_messages_alone(tmp_path: Path) -> None:
    both = admissions(tmp_path, anonymous=(Role.ADMIN,))
    assert isinstance(both.api.admit(scope()), Refusal)


@pytest.mark.parametrize(
    ("has", "may"),
    [
        (Role.READER, {Role.READER}),
        (Role.OPERATOR, {Role.READER, Role.OPERATOR}),
        (Role.CONTROLLER, {Role.READER, Role.CONTROLLER}),
        (Role.SECURITY_OFFICER, {Role.READER, Role.SECURITY_OFFICER}),
        (Role.ADMIN, set(Role)),
    ],
)
def test_what_a_role_includes(has: Role, may: set[Role]) -> None:
    assert {role for role in Role if Principal("x", frozenset({has}), "token").may(role)} == may


def test_a_principal_without_a_role_may_not_even_read() -> None:
    assert not any(Principal("x", frozenset(), "token").may(role) for role in Role)


class Seconds:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_wrong_tokens_make_their_address_wait_twice_as_long_each_time(tmp_path: Path) -> None:
    seconds = Seconds()
    doors = admissions(tmp_path, seconds=seconds).api
    statuses = [
        refused.status for _ in range(FREE_FAILURES + 1) if isinstance(refused := doors.admit(scope("no")), Refusal)
    ]
    assert statuses == [401] * FREE_FAILURES + [429]
    for right in (OWNER, BILLING):
        assert isinstance(doors.admit(scope(right)), Principal), "right ones of the same address do not wait"
    elsewhere = doors.admit(scope("no", client="198.51.100.10"))
    assert isinstance(elsewhere, Refusal) and elsewhere.status == 401, "others do not wait"
    assert isinstance(doors.admit(scope(None, CIS)), Principal), "nor does who shows no token"
    seconds.now += 1.0
    assert isinstance(doors.admit(scope("no")), Refusal)
    seconds.now += 1.9
    still = doors.admit(scope("no"))
    assert isinstance(still, Refusal) and still.status == 429
    seconds.now += 0.1
    assert doors.admit(scope("no")) == Refusal(401, "the bearer token is none that is known here")


def test_waiting_has_a_longest_time_and_addresses_a_number() -> None:
    seconds = Seconds()
    attempts = Attempts(seconds)
    for _ in range(2_000):
        attempts.failed("a")
    assert attempts.waits_s("a") == LONGEST_PAUSE_S
    for number in range(MOST_ADDRESSES):
        attempts.failed(str(number))
    assert attempts.waits_s("a") == 0.0
    assert len(attempts._failures) == MOST_ADDRESSES


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ('[[principals]]\nname = "a"\nroles = ["reader"]', "needs token_sha256 or certificate"),
        ('[[principals]]\nname = "a"\nroles = ["king"]\ncertificate = "CN=a"', "roles"),
        ('[[principals]]\nname = "a"\nroles = []\ncertificate = "CN=a"', "roles"),
        ('[[principals]]\nname = "a"\nroles = ["reader"]\ntoken_sha256 = "0a"', "token_sha256"),
        ('[[principals]]\nname = "token 1"\nroles = ["reader"]\ncertificate = "CN=a"', "without a name"),
        (FILE + FILE, "two principals have the same name"),
        ("token = 1", "token"),
        ("= 1", "is not TOML"),
    ],
)
def test_files_that_can_not_be_used_are_refused_without_what_is_in_them(tmp_path: Path, text: str, reason: str) -> None:
    with pytest.raises(SettingsError, match=reason) as caught:
        load(written(tmp_path, text), "hes.principals")
    assert sha256(BILLING.encode()).hexdigest() not in str(caught.value)


def test_a_file_that_others_can_change_or_that_is_missing_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="chmod go-w"):
        load(written(tmp_path, mode=0o664), "hes.principals")
    with pytest.raises(SettingsError, match="No such file"):
        load(tmp_path / "none", "hes.principals")


def test_a_certificate_is_known_by_the_most_exact_of_its_marks(tmp_path: Path) -> None:
    entry = '[[principals]]\nname = "{0}"\nroles = ["reader"]\ncertificate = "{0}"\n'
    marks = ("DNS:cis.example", "CN=cis,O=Utility", "ab" * 32)
    for count in (3, 2, 1):
        found = load(written(tmp_path, "".join(map(entry.format, marks[:count]))), "x").of_certificate(CIS)
        assert found is not None and found.name == marks[count - 1]
