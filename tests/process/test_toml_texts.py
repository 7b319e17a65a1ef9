"""Where a key of TOML stands, for people who have to correct it."""

from __future__ import annotations

from pathlib import Path

import pytest

from ami_process.settings import FileSettings, Section, SettingsError
from ami_process.toml_texts import NotToml, line_of, parse_toml

TEXT = '''# a comment = no key
[hes]
port = 8081
note = """
[cis]
port = 1
"""

[[hes.subscribers]]
name = "a"
[[hes.subscribers]] # the second
name = "b"
groups = [
  "x=1",
]
[[meters]]
name = "M1"
[meters.simulated]
listen = "127.0.0.1:4061"
[[meters]]
simulated = { listen = "127.0.0.1:4062" }
'''


@pytest.mark.parametrize(
    ("place", "line"),
    [
        (("hes", "port"), 3),
        (("hes", "note"), 4),
        (("cis", "port"), None),
        (("hes", "subscribers", 1, "name"), 12),
        (("hes", "subscribers", 1, "url"), 11),
        (("hes", "subscribers", 1, "groups", 0), 13),
        (("meters", 0, "simulated", "listen"), 19),
        (("meters", 1, "simulated", "listen"), 21),
        (("hes", "what", "is", "nowhere"), 2),
        ((), None),
    ],
)
def test_the_line_is_that_of_the_key_or_of_what_it_is_in(place: tuple[str | int, ...], line: int | None) -> None:
    parse_toml(TEXT)
    assert line_of(TEXT, place) == line


def test_quotes_in_a_comment_begin_no_text() -> None:
    assert line_of('# it is """ here\n[hes]\nport = 1\n', ("hes", "port")) == 3


@pytest.mark.parametrize("text", ['a = "cut', "a = [\n1,\n2,", "\n\na = {"])
def test_what_ends_too_early_names_its_last_line(text: str) -> None:
    with pytest.raises(NotToml, match=f"line {len(text.splitlines())}"):
        parse_toml(text)


class _Hes(Section):
    port: int = 0


class _Settings(FileSettings):
    hes: _Hes = _Hes()


def test_an_unknown_key_and_a_bad_value_name_file_and_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "ami.toml"
    file.write_text('[hes]\nport = "x"\nprot = 1\n', "utf-8")
    with pytest.raises(SettingsError) as refusal:
        _Settings.load(file)
    first, second = str(refusal.value).splitlines()
    assert first.startswith(f"{file}, line 2: hes.port: ") and second == f"{file}, line 3: hes.prot: unknown key"
    file.write_text("[hes]\nport = 1\n", "utf-8")
    monkeypatch.setenv("AMI_HES__PORT", "x")
    with pytest.raises(SettingsError, match=r"and the environment: hes\.port"):
        _Settings.load(file)
