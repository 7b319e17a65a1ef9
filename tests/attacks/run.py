"""`make attacks`: every attack that is launched, with full force, and what was seen of it, as a table; `make attacks WRITE=docs/security.md` puts it into that page."""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path += [str(HERE), str(HERE.parent), str(HERE.parent / "e2e")]

from attack_table import LAUNCHED  # noqa: E402
from siege import BEFORE, Attack, besieged, figures  # noqa: E402

from ami_cli.bench import machine  # noqa: E402

BEGIN, END = "<!-- attack figures: begin -->\n", "<!-- attack figures: end -->\n"
HEAD = ("attack", "at", "what came back", "MB before -> most", "ms before", "ms during")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--force", type=float, default=1.0, help="1.0: full")
    parser.add_argument("--only", default="", help="attacks whose name or target holds this")
    parser.add_argument("--write", type=Path, metavar="PAGE", help="put the figures between the marks of this page")
    given = parser.parse_args()
    rows = [one for one in LAUNCHED if given.only in f"{one.target} {one.name}"]
    held, lines = True, list[str]()
    print(
        "Legitimate work is a control that switches two meters, and a look at CIS and simulator; its times are median / worst.\n"
    )
    print("| " + " | ".join(HEAD) + " |\n|" + "---|" * len(HEAD))
    for signed in (False, True):
        if theirs := [one for one in rows if one.signed is signed]:
            held = _tried(theirs, given.force, lines, signed=signed) and held
    if given.write is not None:
        write(given.write, lines, given.force)
    return 0 if held else 1


def write(page: Path, lines: Sequence[str], force: float) -> None:
    """In place of the figures that the page has."""
    text = page.read_text("utf-8")
    before, rest = text.split(BEGIN)
    _, after = rest.split(END)
    when = f"Figures of {datetime.now(UTC):%Y-%m-%d}, {machine()}"
    head = f"{when}: `make attacks` with force {force:g}; times are those of legitimate work, median / worst, in ms."
    rows = [f"| {' | '.join(HEAD)} |", "|" + "---|" * len(HEAD), *lines]
    page.write_text(before + BEGIN + "\n".join([head, "", *rows, ""]) + END + after, "utf-8")


def _tried(rows: Sequence[Attack], force: float, lines: list[str], *, signed: bool) -> bool:
    """Each of them, with what was seen as one of the lines; whether all held."""
    held = True
    with tempfile.TemporaryDirectory() as directory, besieged(Path(directory), signed=signed) as place:
        for attack in rows:
            seen = place.under(attack, force, BEFORE)
            bad = not seen.alive or seen.failed or not set(seen.came) <= attack.allowed
            held = held and not bad
            lines.append("| " + " | ".join(figures(attack, seen)) + (" DID NOT HOLD |" if bad else " |"))
            print(lines[-1], flush=True)
            for wrong in seen.failed[:3]:
                print(f"  {wrong}")
    return held


if __name__ == "__main__":
    sys.exit(main())
