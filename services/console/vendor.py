"""Fetch the files that `vendor.toml` names out of their npm packages, and check each against its digest: `make vendor`.

Nothing is changed unless everything is as it says. With a newer version in the file, the digests that do not fit are printed.
"""

import subprocess
import sys
import tarfile
import tempfile
import tomllib
from hashlib import sha256
from pathlib import Path
from typing import Any

PLACE = Path(__file__).parent / "src/ami_console/static/console/vendor"


def packed(package: dict[str, Any], room: str) -> Path:
    """The package as npm has it."""
    command = ["npm", "pack", "--silent", "--pack-destination", room, f"{package['name']}@{package['version']}"]
    name = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()[-1]
    return Path(room, name)


def fetched(package: dict[str, Any], room: str) -> dict[str, bytes]:
    """Its files that are wanted, by the names that they have here."""
    with tarfile.open(packed(package, room)) as archive:
        found = {}
        for one in package["files"]:
            member = archive.extractfile(one["of"])
            if member is None:
                raise SystemExit(f"{package['name']} {package['version']} has no {one['of']}")
            found[one["file"]] = member.read()
    return found


def main() -> int:
    packages = tomllib.loads((PLACE / "vendor.toml").read_text("utf-8"))["packages"]
    wanted = {one["file"]: one["sha256"] for package in packages for one in package["files"]}
    files: dict[str, bytes] = {}
    with tempfile.TemporaryDirectory() as room:
        for package in packages:
            print(f"fetching {package['name']} {package['version']}", file=sys.stderr)
            files |= fetched(package, room)
    wrong = {
        name: sha256(octets).hexdigest() for name, octets in files.items() if sha256(octets).hexdigest() != wanted[name]
    }
    for name, digest in wrong.items():
        print(f"{name}: sha256 is {digest}, not {wanted[name]}", file=sys.stderr)
    if wrong:
        return 1
    for name, octets in files.items():
        (PLACE / name).write_bytes(octets)
    print(f"{len(files)} files are as vendor.toml says", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
