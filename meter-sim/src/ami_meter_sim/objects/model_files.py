"""The model that a meter's settings name: one that comes with `ami_packs`, or a file's."""

from pathlib import Path

from ami_meter_sim.objects.data_and_register import VALUES
from ami_meter_sim.objects.families import family_of
from ami_packs.model import Model, ModelError, ObjectDescription
from ami_packs.model_files import SUFFIX, parse_model, shipped_model

MAX_OCTETS = 4 * 1024 * 1024


def load_model(name: str) -> Model:
    """The model of this name, or the one in this file when the name ends like one. ModelError says what is wrong."""
    model = parse_model(_text(Path(name)), name) if name.endswith(SUFFIX) else shipped_model(name)
    for described in model.objects.values():
        if described.value and described.value not in VALUES:
            raise ModelError(
                f"{name}: {described.obis}: there is no value {described.value!r}; there are: {', '.join(VALUES)}"
            )
        _check_options(name, described)
    return model


def _check_options(name: str, described: ObjectDescription) -> None:
    """Each is one of its class, and of that one's type."""
    family = family_of(described)
    known = {} if family is None else family.options
    for option, chosen in described.options.items():
        if type(chosen) is not type(known.get(option)):
            there = ", ".join(f"{one} = {usual!r}" for one, usual in known.items()) or "none"
            raise ModelError(f"{name}: {described.obis}: there is no option {option} = {chosen!r}; there are: {there}")


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
