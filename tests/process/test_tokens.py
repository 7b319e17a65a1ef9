"""Bearer tokens: where they come from, who is let in, and that no message holds one."""

from __future__ import annotations

import re
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from ami_process.settings import SettingsError
from ami_process.tokens import Tokens, load

SETTING = "hes.token_file"
TOKEN = "a-token-of-at-least-32-characters-0123456789"
OTHER = "another-token-of-32-characters-or-more-98765"


def written(path: Path, text: str, mode: int = 0o600) -> Path:
    path.write_text(text)
    path.chmod(mode)
    return path


def test_a_missing_file_is_made_once_with_a_random_token_for_its_owner_alone(tmp_path: Path) -> None:
    file, other = tmp_path / "state/tokens", tmp_path / "other"
    (token,) = load(file, SETTING)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600 and len(token) >= 43
    assert load(file, SETTING) == (token,)
    assert load(other, SETTING) != (token,)
    assert [one.name for one in file.parent.iterdir()] == ["tokens"], "nothing else is left behind"


def test_processes_that_make_it_at_once_get_the_same(tmp_path: Path) -> None:
    with ThreadPoolExecutor(16) as threads:
        found = set(threads.map(lambda _: load(tmp_path / "tokens", SETTING), range(64)))
    assert len(found) == 1


@pytest.mark.parametrize(
    ("authorization", "status"),
    [
        (f"Bearer {TOKEN}", None),
        (f"bearer {OTHER}", None),
        (f"Bearer  {TOKEN} ", None),
        (None, 401),
        ("", 401),
        (TOKEN, 401),
        (f"Basic {TOKEN}", 401),
        (f"Bearer {TOKEN[:-1]}", 401),
        (f"Bearer {TOKEN}x", 401),
        ("Bearer # a comment", 401),
        ("Bearer", 401),
        ("Bearer \u20ac\udc80"[:8], 401),
    ],
)
def test_who_has_a_token_is_let_in(tmp_path: Path, authorization: str | None, status: int | None) -> None:
    file = written(tmp_path / "tokens", f"# a comment\n\n{TOKEN}\n  {OTHER}  \n")
    refusal = Tokens.of(file, SETTING, bound_to="127.0.0.1").refusal(authorization)
    assert (None if refusal is None else int(refusal[0])) == status
    assert refusal is None or not any(token[:-1] in refusal[1] for token in (TOKEN, OTHER))


@pytest.mark.parametrize(
    ("bound_to", "status"),
    [("127.0.0.1", None), ("127.9.9.9", None), ("::1", None), ("0.0.0.0", 403), ("::", 403), ("192.0.2.1", 403)],
)
def test_without_a_file_only_a_loopback_address_is_served(bound_to: str, status: int | None) -> None:
    for authorization in (None, f"Bearer {TOKEN}"):
        refusal = Tokens.of(None, SETTING, bound_to=bound_to).refusal(authorization)
        assert (None if refusal is None else int(refusal[0])) == status
        assert refusal is None or SETTING in refusal[1]


@pytest.mark.parametrize(
    ("text", "mode", "complaint"),
    [
        (TOKEN, 0o640, "chmod 600"),
        (TOKEN, 0o604, "chmod 600"),
        (TOKEN, 0o700, "chmod 600"),
        ("", 0o600, "holds no token"),
        ("# nothing\n", 0o600, "holds no token"),
        (f"{TOKEN}\nshort\n", 0o600, "line 2"),
        (f"{TOKEN} {TOKEN}\n", 0o600, "line 1"),
        (f"{TOKEN}\n{'x' * 300}\n", 0o600, "line 2"),
        (f"{TOKEN}\n" * 5_000, 0o600, "no file of tokens"),
        (f"{TOKEN}\u00e9", 0o600, "no text"),
    ],
    ids=["group", "all", "executable", "empty", "comments", "short", "two in one", "long", "large", "not ASCII"],
)
def test_a_file_that_can_not_be_used_is_refused_without_its_content(
    tmp_path: Path, text: str, mode: int, complaint: str
) -> None:
    file = written(tmp_path / "tokens", text, mode)
    with pytest.raises(SettingsError, match=re.escape(complaint)) as refused:
        load(file, SETTING)
    assert str(file) in str(refused.value) and TOKEN not in str(refused.value) and "short" not in str(refused.value)


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=SETTING):
        load(tmp_path, SETTING)
    with pytest.raises(SettingsError, match=SETTING):
        load(written(tmp_path / "file", "") / "tokens", SETTING)
