"""The wheels of `make dist`, installed and run where there is no repository, by the block of the README that says how.

`make test-wheels` runs that block as it stands, but for the directory (a new one of its own in place of ~) and the ports of the
demo. Third-party packages come from the package index, ours from dist alone. What was installed is then asked where it is.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from free_ports import free_port, free_ports

ROOT = Path(__file__).resolve().parents[1]
BLOCK = re.compile(r"^```sh\n(make dist\n.*?)^```$", re.MULTILINE | re.DOTALL)
DEMO = "bin/ami demo --cycles 1\n"
OURS = """
import importlib.metadata, importlib.util, json
found = {one.name: one for one in importlib.metadata.distributions() if one.name.startswith("ami-")}
packages = [name for name, owners in importlib.metadata.packages_distributions().items() if set(owners) & set(found)]
print(json.dumps([{name: one.version for name, one in found.items()},
    [importlib.util.find_spec(name).origin for name in packages]]))
"""


def block(place: Path) -> str:
    """What the README says, with `place` for the home directory and ports that nobody else has."""
    (text,) = BLOCK.findall((ROOT / "README.md").read_text("utf-8"))
    if "~" not in text or not text.endswith(DEMO):
        raise SystemExit(f"the block of the README installs elsewhere or does not end with the demo:\n{text}")
    ports = {"cis": free_port(), "hes": free_port(), "dlms": free_port(), "meter": free_ports(2)[0]}
    options = "".join(f" --{name}-port {port}" for name, port in ports.items())
    return str(text).replace("~", str(place)).removesuffix("\n") + f" --plain{options}\n"


def environment() -> dict[str, str]:
    """Nothing of this repository's, but for the Python, which is a new enough one."""
    kept = {
        name: value for name, value in os.environ.items() if not name.startswith(("AMI_", "PYTHON", "MAKE", "VIRTUAL"))
    }
    return kept | {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}


def wrong(place: Path) -> list[str]:
    """What of the distributions is not installed there, or under another version, or not from there."""
    asked = subprocess.run(
        [place / "ami/bin/python", "-I", "-c", OURS], cwd=place, capture_output=True, text=True, check=True
    )
    versions, modules = json.loads(asked.stdout)
    version = (ROOT / "VERSION").read_text("utf-8").strip()
    wheels = {path.name.partition("-")[0].replace("_", "-") for path in (ROOT / "dist").glob("*.whl")}
    if versions != dict.fromkeys(wheels, version):
        return [f"dist has {sorted(wheels)} in version {version}, installed is {versions}"]
    return [f"{module} is not of the environment" for module in modules if not module.startswith(str(place))]


def main() -> int:
    with tempfile.TemporaryDirectory(prefix="ami-wheels-") as directory:
        place = Path(directory).resolve()
        done = subprocess.run(["bash", "-euxo", "pipefail", "-c", block(place)], cwd=ROOT, env=environment())
        if done.returncode:
            return done.returncode
        trouble = wrong(place)
    print("\n".join(trouble) or "all wheels are installed outside the repository, and the demo ran", flush=True)
    return 1 if trouble else 0


if __name__ == "__main__":
    sys.exit(main())
