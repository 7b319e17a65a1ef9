"""Every attack of the table that is launched: refused, the process alive and bounded, legitimate work done meanwhile."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[1] / "e2e"))

import run
import sizes
from attack_table import HERE, LAUNCHED, TABLE, page
from siege import LARGEST_KB, Attack, Besieged, besieged, figures

ROOT = Path(__file__).resolve().parents[2]
FORCE = {"test": 0.1, "ci": 0.4, "acceptance": 1.0}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Besieged]:
    with besieged(tmp_path_factory.mktemp("attacks")) as one:
        yield one


@pytest.fixture(scope="module")
def signed_place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Besieged]:
    with besieged(tmp_path_factory.mktemp("signed"), signed=True) as one:
        yield one


@pytest.mark.needs("proc", "loopback-block")
@pytest.mark.parametrize(
    "attack",
    [
        pytest.param(
            one, id=f"{one.target}: {one.name}", marks=[] if one.size == "test" else [getattr(pytest.mark, one.size)]
        )
        for one in LAUNCHED
    ],
)
def test_refused_while_others_are_served(request: pytest.FixtureRequest, attack: Attack) -> None:
    place: Besieged = request.getfixturevalue("signed_place" if attack.signed else "place")
    seen = place.under(attack, FORCE[sizes.chosen])
    print(" | ".join(figures(attack, seen)))
    assert set(seen.came) <= attack.allowed and seen.came, seen.came
    assert attack.needed <= set(seen.came)
    assert not seen.failed
    assert seen.alive and seen.peak_kb < LARGEST_KB, (seen.before_kb, seen.peak_kb)


def test_every_row_has_a_test() -> None:
    for row in TABLE:
        file, _, name = (row.test or HERE).partition("::")
        text = (ROOT / file).read_text("utf-8")
        assert not name or f"def {name}(" in text, row
        assert bool(row.launch) is not bool(row.test), row


def test_the_page_has_the_table() -> None:
    shown = (ROOT / "docs/security.md").read_text("utf-8").partition("<!-- attacks: begin -->\n")[2]
    assert shown.partition("<!-- attacks: end -->")[0] == page(), "write it again: python tests/attacks/attack_table.py"


def test_figures_are_put_into_their_place_of_the_page(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(f"before\n{run.BEGIN}old\n{run.END}after\n", "utf-8")
    for row in ("| one |", "| two |"):
        run.write(page, [row], 1.0)
    text = page.read_text("utf-8")
    assert text.startswith("before\n") and text.endswith("after\n")
    assert "| two |" in text and "| one |" not in text and "old" not in text and "Figures of 20" in text
    shown = (ROOT / "docs/security.md").read_text("utf-8")
    assert (shown.count(run.BEGIN), shown.count(run.END)) == (1, 1)


def test_the_command_begins() -> None:
    done = subprocess.run(
        [sys.executable, Path(__file__).with_name("run.py"), "--help"], capture_output=True, text=True
    )
    assert done.returncode == 0 and "--only" in done.stdout, done.stderr
