"""`hes images`: firmware images of a running head-end; a file goes there in parts, over a connection that may break."""

import hashlib
from base64 import b64encode
from pathlib import Path
from typing import Annotated
from urllib.parse import quote

import typer
from pydantic import ValidationError
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn

from ami_hes.api import paths
from ami_hes.api.values.images import ACTIVE_FIRMWARE, MOST_OCTETS, PART_OCTETS, Image, ImageList, ImageOrder, ImagePart
from ami_hes.client.asking import (
    DEFAULT_URL,
    AsJson,
    TokenFile,
    Url,
    first_problem,
    format_moment,
    head_end,
    show,
    show_json,
    table,
)
from ami_process.asking import RunningProcess

images = typer.Typer(
    no_args_is_help=True, add_completion=False, rich_markup_mode=None, help="Firmware images of a running HES."
)
Identifier = Annotated[str, typer.Argument(metavar="IDENTIFIER", help="Of the image.")]
_OPTIONS = {
    "identifier": "--identifier",
    "version": "--version",
    "version_object": "--version-object",
    "size": "FILE",
}
AGAIN = "import the file again: what is there is not sent twice"


@images.command("import")
def import_image(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The image as its maker gives it.")],
    identifier: Annotated[
        str, typer.Option(metavar="TEXT", help="What the meter is told that the image is: its image_identifier.")
    ],
    version: Annotated[str, typer.Option(metavar="TEXT", help="What a meter shows that runs it.")],
    version_object: Annotated[
        str, typer.Option(metavar="OBIS", help="Where it shows that: an object of class 1.")
    ] = ACTIVE_FIRMWARE,
    as_json: AsJson = False,
    url: Url = DEFAULT_URL,
    token_file: TokenFile = None,
) -> None:
    """Import a firmware image; the same one again goes on where it was broken off."""
    hes = head_end(url, token_file)
    octets = _read(hes, file)
    order = {"identifier": identifier, "version": version, "version_object": version_object, "size": len(octets)}
    try:
        declared = ImageOrder.model_validate(order | {"sha256": hashlib.sha256(octets).hexdigest()})
    except ValidationError as problem:
        raise hes.refused(first_problem(problem, _OPTIONS)) from None
    image = hes.get(paths.IMAGES, Image, "POST", declared.model_dump_json(), if_lost=AGAIN)
    image = _filled(hes, image, octets)
    if as_json:
        show_json(image)
    else:
        show(_line(image))


@images.command("list")
def list_images(as_json: AsJson = False, url: Url = DEFAULT_URL, token_file: TokenFile = None) -> None:
    """List firmware images."""
    found = head_end(url, token_file).get(paths.IMAGES, ImageList)
    if as_json:
        show_json(found)
        return
    if not found.images:
        show("There are no images.")
        return
    lines = table("identifier", "version", "octets", "complete", "imported")
    for one in found.images:
        octets = str(one.size) if one.complete else f"{one.octets} of {one.size}"
        lines.add_row(one.identifier, one.version, octets, _yes(one.complete), format_moment(one.imported_at))
    show(lines)


@images.command("show")
def show_image(
    identifier: Identifier, as_json: AsJson = False, url: Url = DEFAULT_URL, token_file: TokenFile = None
) -> None:
    """Show an image, with its SHA-256."""
    image = head_end(url, token_file).get(_path(identifier), Image)
    if as_json:
        show_json(image)
    else:
        show(_line(image), f"SHA-256 {image.sha256}", f"meters show the version in {image.version_object}")


@images.command("remove")
def remove_image(identifier: Identifier, url: Url = DEFAULT_URL, token_file: TokenFile = None) -> None:
    """Remove an image that no campaign needs any more."""
    image = head_end(url, token_file).get(_path(identifier), Image, "DELETE")
    show(f"image {image.identifier} is removed")


def _read(hes: RunningProcess, file: Path) -> bytes:
    """At most one octet more than is taken."""
    try:
        with file.open("rb") as opened:
            return opened.read(MOST_OCTETS + 1)
    except OSError as problem:
        raise hes.refused(f"{file}: {problem.strerror}") from None


def _filled(hes: RunningProcess, image: Image, octets: bytes) -> Image:
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn())
    where = paths.IMAGE_PARTS.replace("{identifier:path}", quote(image.identifier, safe=""))
    with Progress(*columns, console=Console(stderr=True)) as progress:
        task = progress.add_task(image.identifier, total=image.size)
        while not image.complete:
            part = octets[image.octets : image.octets + PART_OCTETS]
            content = ImagePart(offset=image.octets, octets=b64encode(part).decode()).model_dump_json()
            image = hes.get(where, Image, "POST", content, if_lost=AGAIN)
            progress.update(task, completed=image.octets)
    return image


def _line(image: Image) -> str:
    there = "" if image.complete else f", {image.octets} of them are there"
    return f"image {image.identifier}: version {image.version}, {image.size} octets{there}"


def _yes(holds: bool) -> str:
    return "yes" if holds else "no"


def _path(identifier: str) -> str:
    return f"{paths.IMAGES}/{quote(identifier, safe='')}"
