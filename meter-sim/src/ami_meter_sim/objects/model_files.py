"""The model that a meter's settings name: one that comes with `ami_packs`, one of a pack, or a file's, with the words that objects here know."""

from collections.abc import Mapping
from functools import cache
from pathlib import Path

from ami_meter_sim.objects.data_and_register import VALUES
from ami_meter_sim.objects.families import BY_CLASS, FAMILIES
from ami_packs.document import ModelError
from ami_packs.model import Model
from ami_packs.model_files import SUFFIX, parse_model, shipped_model
from ami_packs.object_keys import Vocabulary
from ami_packs.pack_folders import packs_with

MAX_OCTETS = 4 * 1024 * 1024
OF_PACK = "/"
"""Between the name of a pack and that of a model of it."""


def _options(class_id: int, version: int) -> Mapping[str, bool | int | str]:
    family = FAMILIES.get((class_id, version), BY_CLASS.get(class_id))
    return {} if family is None else family.options


VOCABULARY = Vocabulary(frozenset(VALUES), _options)


def load_model(name: str, packs: Path | None = None) -> Model:
    """The model of this name, of a pack for "pack/model", or the one in this file when the name ends like one. ModelError says all that is wrong.

    `packs` is a folder with packs that lie over those that come with the project.
    """
    if name.endswith(SUFFIX):
        return parse_model(_text(Path(name)), name, VOCABULARY)
    return _of_pack(name, packs) if OF_PACK in name else shipped_model(name, VOCABULARY)


@cache
def _of_pack(name: str, packs: Path | None) -> Model:
    return packs_with(packs).model(name, VOCABULARY)


def _text(path: Path) -> str:
    try:
        with path.open("rb") as file:
            octets = file.read(MAX_OCTETS + 1)
    except OSError as error:
        raise ModelError(f"model {path}: {error.strerror}") from None
    if len(octets) > MAX_OCTETS:
        raise ModelError(f"model {path}: has more than {MAX_OCTETS} octets")
    try:
        return octets.decode("utf-8")
    except UnicodeDecodeError as error:
        raise ModelError(f"model {path}: is not UTF-8: {error.reason} at octet {error.start}") from None
