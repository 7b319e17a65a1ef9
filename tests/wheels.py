"""The wheels of `make dist`, installed and run where there is no repository, by the block of the README that says how; then the kit for tests, whose README is run by pytest.

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
KIT = "ami-testkit"
KIT_TEST = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
PACKAGES = sorted(
    path.name for where in ("*/src/ami_*", "services/*/src/ami_*") for path in ROOT.glob(where) if path.is_dir()
)
ASKED = """
import importlib.metadata, importlib.util, json, sys
versions = {one.name: one.version for one in importlib.metadata.distributions() if one.name.startswith("ami-")}
specs = {name: importlib.util.find_spec(name) for name in sys.argv[1:]}
print(json.dumps([versions, {name: spec and spec.origin for name, spec in specs.items()}]))
"""
"""Which distributions of ours an environment has, and where it has these packages."""


def block(place: Path) -> str:
    """What the README says, with `place` for the home directory and ports that nobody else has."""
    (text,) = BLOCK.findall((ROOT / "README.md").read_text("utf-8"))
    if "~" not in text or not text.endswith(DEMO):
        raise SystemExit(f"the block of the README installs elsewhere or does not end with the demo:\n{text}")
    ports = {
        "cis": free_port(),
        "hes": free_port(),
        "dlms": free_port(),
        "meter": free_ports(2)[0],
        "meter-sim": free_ports(2)[0],
    }
    options = "".join(f" --{name}-port {port}" for name, port in ports.items())
    return str(text).replace("~", str(place)).removesuffix("\n") + f" --plain{options}\n"


def environment() -> dict[str, str]:
    """Nothing of this repository's, but for the Python, which is a new enough one."""
    kept = {
        name: value for name, value in os.environ.items() if not name.startswith(("AMI_", "PYTHON", "MAKE", "VIRTUAL"))
    }
    return kept | {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}


def wrong(place: Path, where: str, without: str = "") -> list[str]:
    """What of the distributions is not installed in this environment there, or under another version, or not from there."""
    python = place / where / "bin/python"
    packages = [one for one in PACKAGES if one != without.replace("-", "_")]
    asked = subprocess.run(
        [python, "-I", "-c", ASKED, *packages], cwd=place, capture_output=True, text=True, check=True
    )
    versions, origins = json.loads(asked.stdout)
    version = (ROOT / "VERSION").read_text("utf-8").strip()
    wheels = {path.name.partition("-")[0].replace("_", "-") for path in (ROOT / "dist").glob("*.whl")} - {without}
    if versions != dict.fromkeys(wheels, version):
        return [f"dist has {sorted(wheels)} in version {version}, installed is {versions}"]
    strange = {name: origin for name, origin in origins.items() if not str(origin).startswith(str(place))}
    return [f"{name} is not of the environment: {origin}" for name, origin in strange.items()]


def tested_by_the_kit(place: Path) -> int:
    """A new environment, the kit from dist and the rest from the package index, and the tests of the kit's README in it."""
    python, tests = place / "kit/bin/python", place / "tests"
    tests.mkdir()
    blocks = KIT_TEST.findall((ROOT / "testkit/README.md").read_text("utf-8"))
    (tests / "test_readme.py").write_text("\n\n".join(blocks), "utf-8")
    for line in (
        (sys.executable, "-m", "venv", place / "kit"),
        (python, "-m", "pip", "install", "--quiet", "--find-links", ROOT / "dist", f"{KIT}[pytest]"),
        (python, "-m", "pytest", "-q", tests),
    ):
        done = subprocess.run(line, cwd=place, env=environment())
        if done.returncode:
            return done.returncode
    return 0


def main() -> int:
    with tempfile.TemporaryDirectory(prefix="ami-wheels-") as directory:
        place = Path(directory).resolve()
        done = subprocess.run(["bash", "-euxo", "pipefail", "-c", block(place)], cwd=ROOT, env=environment())
        if done.returncode:
            return done.returncode
        trouble = wrong(place, "ami", without=KIT)
        if code := tested_by_the_kit(place):
            return code
        trouble += wrong(place, "kit")
    said = "all wheels are installed outside the repository, the demo ran, and so did the tests of the kit's README"
    print("\n".join(trouble) or said, flush=True)
    return 1 if trouble else 0


if __name__ == "__main__":
    sys.exit(main())
