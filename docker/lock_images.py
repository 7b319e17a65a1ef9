"""Digests of base images: look them up (`--write`), or say the one that a release is built from.

A tag is another image tomorrow, a digest is not. An image that was made on this machine has none, and then a release is refused.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

LOCK = Path(__file__).with_name("images.lock")
DIGEST = re.compile(r"sha256:[0-9a-f]{64}")


def locked() -> dict[str, str]:
    """Images with their digests; without one, an empty text."""
    lines = [line.split() for line in LOCK.read_text("utf-8").splitlines() if line and not line.startswith("#")]
    return {line[0]: line[1] if len(line) > 1 else "" for line in lines}


def looked_up(image: str) -> str:
    """What the registry says that the tag is now."""
    line = ["docker", "buildx", "imagetools", "inspect", image, "--format", "{{json .Manifest}}"]
    done = subprocess.run(line, capture_output=True, text=True, timeout=60, check=False)
    digest = json.loads(done.stdout).get("digest", "") if done.returncode == 0 else ""
    if not DIGEST.fullmatch(digest):
        raise SystemExit(f"{image}: no registry says its digest: {done.stderr.strip() or 'no answer'}")
    return str(digest)


def write() -> None:
    """The digests of today in place of those that the file has."""
    comments = [line for line in LOCK.read_text("utf-8").splitlines() if line.startswith("#")]
    LOCK.write_text("\n".join([*comments, *(f"{one} {looked_up(one)}" for one in locked())]) + "\n", "utf-8")


def base() -> str:
    """What a release is built from."""
    ((image, digest),) = locked().items()
    if not DIGEST.fullmatch(digest):
        raise SystemExit(
            f"{LOCK.name} has no digest of {image}, so this is no release: make lock-images, where a registry answers"
        )
    return f"{image}@{digest}"


if __name__ == "__main__":
    if sys.argv[1:] == ["--write"]:
        write()
    else:
        print(base())
