"""The kit as a wheel, in an environment of its own whose other packages are those of this one."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

from patience import PATIENCE_S

ROOT = Path(__file__).parents[2]
BLOCK = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def readme_tests() -> list[str]:
    """The Python of the kit's README, block by block."""
    return BLOCK.findall((ROOT / "testkit/README.md").read_text("utf-8"))


def installed(directory: Path) -> Path:
    """The Python of an environment that has the kit from its wheel."""
    build = ("-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "--disable-pip-version-check")
    subprocess.run([sys.executable, *build, "--wheel-dir", directory, ROOT / "testkit"], check=True, timeout=PATIENCE_S)
    (wheel,) = directory.glob("ami_testkit-*.whl")
    venv.create(directory / "venv", with_pip=False)
    python = directory / "venv/bin/python"
    (packages,) = (directory / "venv/lib").glob("python*/site-packages")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(packages)
    (packages / "others.pth").write_text(f"import site; site.addsitedir({sysconfig.get_path('purelib')!r})\n")
    return python


def run_pytest(python: Path, directory: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """`pytest` there, where nothing of this repository is beside the tests."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("AMI_", "PYTEST", "PYTHON"))}
    line = [python, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir", directory, *arguments]
    return subprocess.run(
        line, cwd=directory, env=kept, capture_output=True, text=True, timeout=3 * PATIENCE_S, check=False
    )
