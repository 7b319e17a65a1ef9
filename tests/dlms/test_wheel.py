"""What somebody gets who installs services/dlms alone: every module, the tables, the types, and no other dependency."""

from __future__ import annotations

import json
import subprocess
import sys
import zipfile
from pathlib import Path

import cryptography
import pytest

PACKAGE = Path(__file__).parents[2] / "services/dlms"
DEPENDENCIES = ("cryptography", "cffi", "pycparser", "_cffi_backend")
"""With it come cffi and what that needs, and a module _openssl of its own."""
WALK = """
import importlib, json, pkgutil, sys
sys.path[:0] = sys.argv[1:]
import ami_dlms
modules = [one.name for one in pkgutil.walk_packages(ami_dlms.__path__, "ami_dlms.")]
for name in modules:
    importlib.import_module(name)
from ami_dlms.cosem.classes import interface_classes
names = {name.partition(".")[0] for name in sys.modules} - set(sys.stdlib_module_names)
seen = {"file": ami_dlms.__file__, "modules": modules, "names": sorted(names), "classes": len(interface_classes())}
print(json.dumps(seen))
"""


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built from the folder as it is, and unpacked: an installation without scripts is nothing else."""
    place = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(place)]
    done = subprocess.run(build, cwd=PACKAGE, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    (wheel,) = place.glob("ami_dlms-*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(place / "installed")
    return Path(place / "installed")


def test_nothing_but_cryptography_is_needed(installed: Path, tmp_path: Path) -> None:
    known = Path(cryptography.__file__).parents[1]
    for name in DEPENDENCIES:
        for found in known.glob(f"{name}*"):
            if found.suffix != ".dist-info":
                (tmp_path / found.name).symlink_to(found)
    command = [sys.executable, "-I", "-S", "-c", WALK, str(installed), str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    seen = json.loads(done.stdout)
    assert Path(seen["file"]).is_relative_to(installed)
    assert set(seen["names"]) - {"__main__"} <= {"ami_dlms", "_openssl", *DEPENDENCIES}
    sources = {path.relative_to(PACKAGE / "src") for path in (PACKAGE / "src").rglob("*.py")}
    assert len(seen["modules"]) == len(sources) - 1, "every module of the sources is there"
    assert seen["classes"] > 50, "the tables are there"


def test_types_and_readme_come_along(installed: Path) -> None:
    assert (installed / "ami_dlms/py.typed").exists()
    (metadata,) = installed.glob("ami_dlms-*.dist-info/METADATA")
    text = metadata.read_text("utf-8")
    assert "License-Expression: Apache-2.0" in text
    assert [line for line in text.splitlines() if line.startswith("Requires-Dist")] == [
        "Requires-Dist: cryptography>=43"
    ]
    assert "ServerConnection(" in text, "the README"
