"""A Meter or EndDevice of CIM as the entry of a meter in the registry, and back; pure.

`Names` without an authority of ours is the meter's name. Two kinds of Names are more than a name: those of NameTypeAuthority
`EndDeviceGroup` put the meter into a group (NameType the tag, name its value, an empty one takes the tag away), and one of NameType
`logicalDeviceName` is what the meter calls itself.
"""

from collections.abc import Mapping

from ami_cim.identity import Identified, Name
from ami_cim.payloads.device_assets import DeviceAsset
from ami_hes.master_data.problems import Problem
from ami_hes.meters.meter_index import Table

GROUP = "EndDeviceGroup"
LOGICAL_DEVICE_NAME = "logicalDeviceName"
MODEL = "model"
_TAG = "tags."
IDENTITY = {"device_id": "serialNumber", "logical_device_name": LOGICAL_DEVICE_NAME}
"""What makes a meter this one, by what CIM calls it."""
_WORDS = IDENTITY | {"name": "Names", "address": "electronicAddress/lan"}
_KEPT_ELSEWHERE = {
    "kind": "type",
    "amr_system": "amrSystem",
    "installed_on": "lifecycle",
    "manufactured_on": "lifecycle",
    "received_on": "lifecycle",
    "removed_on": "lifecycle",
}
Fields = dict[str, object]
"""Of an entry. A tag stands as `tags.feeder`; None takes it away."""


def pointer_of(asset: DeviceAsset) -> Identified:
    """Which meter is meant: the mRID where there is one, since the name may be a new one."""
    names = tuple(Name(name=one) for one in _plain_names(asset))
    return Identified(mrid=asset.mrid, names=() if asset.mrid is not None else names)


def fields_of(asset: DeviceAsset) -> Fields:
    """What the asset says of the entry; raises Problem for what can't be one meter."""
    names = _plain_names(asset)
    if len(names) > 1:
        raise Problem("5.2", f"A meter has one name here, and {len(names)} came: {', '.join(names)[:200]}.")
    found: Fields = {"name": names[0] if names else None, "address": asset.lan, "device_id": asset.serial_number}
    for one in asset.names:
        if one.authority == GROUP:
            found[_TAG + (one.name_type or "")] = one.name or None
        elif one.name_type == LOGICAL_DEVICE_NAME:
            found["logical_device_name"] = one.name
    if asset.model is not None:
        found[_TAG + MODEL] = asset.model
    return {field: value for field, value in found.items() if value is not None or _is_tag(field)}


def not_kept(asset: DeviceAsset) -> set[str]:
    """Elements that were read and have no place in the registry."""
    return {word for attribute, word in _KEPT_ELSEWHERE.items() if getattr(asset, attribute) is not None}


def completed(table: Table, fields: Fields) -> Table:
    """The entry with what it does not say yet; raises Problem for what it says otherwise."""
    for field, value in fields.items():
        has = _of(table, field)
        if has is not None and has != value:
            raise Problem(
                "2.4", f"{_word(field)} is {has} here, and the message says {value}: the verb change is for that."
            )
    return changed(table, fields)


def changed(table: Table, fields: Fields) -> Table:
    """The entry with these fields; raises Problem for another identity."""
    for field, word in IDENTITY.items():
        has = table.get(field)
        if field in fields and has is not None and has != fields[field]:
            reason = f"{word} is {has} here, and the message says {fields[field]}: that is another meter, with an mRID of its own."
            raise Problem("2.4", reason)
    tags = dict(table.get("tags", {})) | {_tag(field): value for field, value in fields.items() if _is_tag(field)}
    after = {**table, **{field: value for field, value in fields.items() if not _is_tag(field)}}
    after["tags"] = {tag: value for tag, value in tags.items() if value is not None}
    return {field: value for field, value in after.items() if field != "tags" or value}


def new_entry(mrid: str, fields: Fields) -> Table:
    """That of a meter which no shipment has brought: without keys, so its association has no authentication. Raises Problem."""
    missing = [word for field, word in _WORDS.items() if field not in fields]
    if missing:
        reason = (
            f"No shipment has brought this meter: import its row first (hes meters import), which has its keys as well. "
            f"Without one the message needs {', '.join(missing)} too."
        )
        raise Problem("2.4", reason)
    return changed({"mrid": mrid, "authentication": "none"}, fields)


def asset_of(table: Table) -> DeviceAsset:
    """The entry as CIM has it."""
    tags: Mapping[str, str] = table.get("tags", {})
    groups = tuple(Name(name=value, name_type=tag, authority=GROUP) for tag, value in tags.items() if tag != MODEL)
    device = table.get("logical_device_name")
    own = () if device is None else (Name(name=device, name_type=LOGICAL_DEVICE_NAME),)
    return DeviceAsset(
        mrid=table["mrid"],
        serial_number=table.get("device_id") or table.get("identification"),
        lan=table.get("address"),
        model=tags.get(MODEL),
        names=(Name(name=table["name"]), *own, *groups),
    )


def _plain_names(asset: DeviceAsset) -> list[str]:
    return [one.name for one in asset.names if one.authority != GROUP and one.name_type != LOGICAL_DEVICE_NAME]


def _is_tag(field: str) -> bool:
    return field.startswith(_TAG)


def _tag(field: str) -> str:
    return field.removeprefix(_TAG)


def _of(table: Table, field: str) -> object:
    return table.get("tags", {}).get(_tag(field)) if _is_tag(field) else table.get(field)


def _word(field: str) -> str:
    return f"The group {_tag(field)}" if _is_tag(field) else _WORDS[field]
