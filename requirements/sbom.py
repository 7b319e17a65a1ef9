"""What our wheels and images are made of, as CycloneDX 1.6 in JSON: one document for each, from the locked requirements.

Run by `make sbom`, in an environment of its own (requirements/supply.txt). Of a wheel it is what its metadata asks for, and what
that asks for in turn, as `requirements/*.txt` lock it; of an image all that is installed into it, and its base. The lock files
say who needs what ("# via"), so nothing is resolved anew. The same locks give the same octets: there is no time in a document.
"""

from __future__ import annotations

import re
import sys
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from uuid import NAMESPACE_URL, uuid5

from cyclonedx.model import HashAlgorithm, HashType
from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.output.json import JsonV1Dot6
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from packageurl import PackageURL

ROOT = Path(__file__).resolve().parents[1]
OURS = tuple(sorted(path.parent for path in (*ROOT.glob("*/pyproject.toml"), *ROOT.glob("services/*/pyproject.toml"))))
IMAGES = {"cis": ("cis", "postgresql"), "hes": ("hes", "postgresql", "scale"), "meter-sim": ("meter-sim",)}
"""With the files that lock what is installed into them, as docker-compose.yml says."""
LOCKED = re.compile(r"^([A-Za-z0-9._-]+)(?:\[[^\]]*\])?==([^ ;\\]+)")
HASH = re.compile(r"--hash=sha256:([0-9a-f]{64})")
NAME = re.compile(r"[A-Za-z0-9._-]+")


@dataclass
class Locked:
    """A package of somebody else."""

    name: str
    version: str
    hashes: list[str] = field(default_factory=list)
    """SHA-256 of each file that may be installed: the archives of this version."""
    via: list[str] = field(default_factory=list)
    """Who needs it: names of packages, `-r FILE` left out."""


@dataclass
class Own:
    """One of our distributions."""

    name: str
    needs: list[str]
    """Also those of its extras: what may come with it."""


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def read_lock(path: Path) -> dict[str, Locked]:
    """The packages of a lock file by their names."""
    found: dict[str, Locked] = {}
    one: Locked | None = None
    for line in path.read_text("utf-8").splitlines():
        if match := LOCKED.match(line):
            one = found[normal(match[1])] = Locked(normal(match[1]), match[2])
        elif one is not None:
            one.hashes += HASH.findall(line)
            comment = line.strip().removeprefix("#").strip().removeprefix("via").strip()
            if line.strip().startswith("#") and comment and not comment.startswith("-r"):
                one.via.append(normal(comment))
    return found


def read_own(folder: Path) -> Own:
    project = tomllib.loads((folder / "pyproject.toml").read_text("utf-8"))["project"]
    asked = list(project.get("dependencies", ()))
    for extra in project.get("optional-dependencies", {}).values():
        asked += extra
    names = [match[0] for match in map(NAME.match, asked) if match]
    return Own(normal(project["name"]), [normal(name) for name in names if normal(name) != normal(project["name"])])


def closure(name: str, ours: Mapping[str, Own], locks: Mapping[str, Locked]) -> tuple[list[str], list[Locked]]:
    """Names of ours and packages of others that come with one of ours."""
    own, others, left = set[str](), set[str](), [name]
    while left:
        at = left.pop()
        needs = ours[at].needs if at in ours else [one.name for one in locks.values() if at in one.via]
        for need in needs:
            if need in ours and need not in own:
                own.add(need)
                left.append(need)
            elif need in locks and need not in others:
                others.add(need)
                left.append(need)
    return sorted(own - {name}), [locks[one] for one in sorted(others)]


def own_component(name: str, version: str, kind: ComponentType) -> Component:
    purl = PackageURL("pypi", None, name, version)
    return Component(name=name, version=version, type=kind, purl=purl, bom_ref=str(purl))


def component_of(one: Locked) -> Component:
    purl = PackageURL("pypi", None, one.name, one.version)
    hashes = [HashType(alg=HashAlgorithm.SHA_256, content=content) for content in one.hashes]
    return Component(
        name=one.name, version=one.version, type=ComponentType.LIBRARY, purl=purl, bom_ref=str(purl), hashes=hashes
    )


def document(subject: Component, parts: Iterable[Component]) -> str:
    """The document in JSON, checked against the schema of CycloneDX."""
    bom = Bom(serial_number=uuid5(NAMESPACE_URL, str(subject.bom_ref)), components=parts)
    bom.metadata.component = subject
    bom.metadata.timestamp = None  # type: ignore[assignment]  # the same locks are to give the same octets
    for part in bom.components:
        bom.register_dependency(part)
    bom.register_dependency(subject, bom.components)
    written = JsonV1Dot6(bom).output_as_string(indent=2) + "\n"
    if problem := JsonStrictValidator(SchemaVersion.V1_6).validate_str(written):
        raise SystemExit(f"the document of {subject.name} is no CycloneDX: {problem}")
    return written


def base_image() -> Component:
    """As the release lock has it; without a digest where it has none (docker/images.lock)."""
    (line,) = [one for one in (ROOT / "docker/images.lock").read_text("utf-8").splitlines() if one[:1] not in ("", "#")]
    name, _, digest = line.partition(" ")
    image, _, tag = name.partition(":")
    hashes = [HashType(alg=HashAlgorithm.SHA_256, content=digest.removeprefix("sha256:"))] if digest else []
    return Component(name=image, version=tag, type=ComponentType.CONTAINER, bom_ref=f"image:{name}", hashes=hashes)


def wheels(version: str) -> dict[str, str]:
    ours = {one.name: one for one in map(read_own, OURS)}
    locks = {
        **read_lock(ROOT / "requirements/postgresql.txt"),
        **read_lock(ROOT / "requirements/scale.txt"),
        **read_lock(ROOT / "requirements/run.txt"),
    }
    made = {}
    for name in ours:
        own, others = closure(name, ours, locks)
        parts = [own_component(one, version, ComponentType.LIBRARY) for one in own] + [
            component_of(one) for one in others
        ]
        made[f"{name}.cdx.json"] = document(own_component(name, version, ComponentType.APPLICATION), parts)
    return made


def images(version: str) -> dict[str, str]:
    ours = {one.name: one for one in map(read_own, OURS)}
    made = {}
    for image, locks in IMAGES.items():
        name = f"ami-{image}"
        own, _ = closure(name, ours, {})
        locked = {name: one for lock in locks for name, one in read_lock(ROOT / f"requirements/{lock}.txt").items()}
        parts = [own_component(one, version, ComponentType.LIBRARY) for one in (name, *own)]
        subject = Component(name=name, version=version, type=ComponentType.CONTAINER, bom_ref=f"image:{name}:{version}")
        made[f"image-{name}.cdx.json"] = document(subject, [*parts, *map(component_of, locked.values()), base_image()])
    return made


def main(directory: Path) -> None:
    """Write all of them into a directory."""
    version = (ROOT / "VERSION").read_text("utf-8").strip()
    directory.mkdir(parents=True, exist_ok=True)
    made = wheels(version) | images(version)
    for name, text in made.items():
        (directory / name).write_text(text, "utf-8")
    print(f"{len(made)} documents in {directory}")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
