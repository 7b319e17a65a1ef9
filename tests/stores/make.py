"""Write the small stores of a version with the code of that version: python tests/stores/make.py COMMIT WRITER DIRECTORY ...."""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile
import tempfile
from io import BytesIO
from pathlib import Path

HERE = Path(__file__).parent
SOURCES = (
    "services/dlms/src",
    "services/cim/src",
    "services/mapping/src",
    "services/registry/src",
    "services/packs/src",
    "services/trace/src",
    "services/process/src",
    "hes/src",
    "cis/src",
    "meter-sim/src",
)


def main(commit: str, writer: str, *arguments: str) -> None:
    archive = subprocess.run(["git", "archive", commit], cwd=HERE.parents[1], check=True, capture_output=True).stdout
    with tempfile.TemporaryDirectory() as tree:
        with tarfile.open(fileobj=BytesIO(archive)) as files:
            files.extractall(tree, filter="data")
        path = os.pathsep.join(str(Path(tree, source)) for source in SOURCES)
        environment = os.environ | {"PYTHONPATH": path, "PYTHONHASHSEED": "0"}
        subprocess.run([sys.executable, HERE / writer, *arguments], env=environment, check=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
