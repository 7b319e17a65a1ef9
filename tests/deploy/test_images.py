"""An image is built of the packages that its service needs, all of them: pip is given folders there, and asks nobody for ours."""

import re
import tomllib
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
PROJECTS = {
    tomllib.loads(file.read_text("utf-8"))["project"]["name"]: file
    for file in [*ROOT.glob("*/pyproject.toml"), *ROOT.glob("services/*/pyproject.toml")]
}


def needed(name: str) -> set[str]:
    """Folders of a package of ours and of those that it depends on, extras included."""
    project = tomllib.loads(PROJECTS[name].read_text("utf-8"))["project"]
    wanted = [
        *project["dependencies"],
        *(one for extra in project.get("optional-dependencies", {}).values() for one in extra),
    ]
    ours = {re.split(r"[^a-z-]", one, maxsplit=1)[0] for one in wanted} & (PROJECTS.keys() - {name})
    return {str(PROJECTS[name].parent.relative_to(ROOT))}.union(*(needed(one) for one in ours))


@pytest.mark.parametrize("file", ["docker-compose.yml", "docker-compose.scale.yml"])
def test_an_image_has_every_package_of_ours_that_its_service_needs(file: str) -> None:
    built = [
        one["build"]["args"]
        for one in yaml.safe_load((ROOT / file).read_text("utf-8"))["services"].values()
        if "PACKAGES" in (one.get("build") or {}).get("args", {})
    ]
    assert {one["SERVICE"] for one in built} == {"cis", "hes", "meter-sim"}
    for args in built:
        assert set(args["PACKAGES"].split()) == needed(f"ami-{args['SERVICE']}"), args["SERVICE"]
