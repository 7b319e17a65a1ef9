"""`make attacks`: every attack that is launched, with full force, and what was seen of it, as a table."""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path += [str(HERE), str(HERE.parent), str(HERE.parent / "e2e")]

from attack_table import LAUNCHED  # noqa: E402
from siege import BEFORE, besieged, figures  # noqa: E402

HEAD = ("attack", "at", "what came back", "MB before -> most", "ms before", "ms during")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--force", type=float, default=1.0, help="1.0: full")
    parser.add_argument("--only", default="", help="attacks whose name or target holds this")
    given = parser.parse_args()
    rows = [one for one in LAUNCHED if given.only in f"{one.target} {one.name}"]
    held = True
    print(
        "Legitimate work is a control that switches two meters, and a look at CIS and simulator; its times are median / worst.\n"
    )
    print("| " + " | ".join(HEAD) + " |\n|" + "---|" * len(HEAD))
    with tempfile.TemporaryDirectory() as directory, besieged(Path(directory)) as place:
        for attack in rows:
            seen = place.under(attack, given.force, BEFORE)
            bad = not seen.alive or seen.failed or not set(seen.came) <= attack.allowed
            held = held and not bad
            print("| " + " | ".join(figures(attack, seen)) + (" | DID NOT HOLD |" if bad else " |"), flush=True)
            for wrong in seen.failed[:3]:
                print(f"  {wrong}")
    return 0 if held else 1


if __name__ == "__main__":
    sys.exit(main())
