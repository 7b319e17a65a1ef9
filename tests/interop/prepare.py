"""Make the virtual environments of the foreign peers in .venv/interop from their locked lists (needs the network once)."""

from __future__ import annotations

import subprocess
import sys
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PEERS = ("dlms-cosem", "gurux")


def prepare(name: str) -> None:
    place = ROOT / ".venv" / "interop" / name
    done = place / "prepared"
    listed = ROOT / "requirements" / f"interop-{name}.txt"
    if done.exists() and done.read_text() == listed.read_text():
        return
    venv.create(place, with_pip=True, clear=True)
    python = str(place / "bin" / "python")
    subprocess.run([python, "-m", "pip", "install", "--quiet", "--require-hashes", "-r", str(listed)], check=True)
    done.write_text(listed.read_text())


def main() -> int:
    for name in PEERS:
        prepare(name)
        print(f"{name}: ready")
    return 0


if __name__ == "__main__":
    sys.exit(main())
