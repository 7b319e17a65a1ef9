"""The numbers of a meter are those of the pack that its entry names (docs/mapping.md, M-173): pushed over real sockets to a running head-end."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from free_ports import free_port
from north_bench import Cis, north
from pushing_meter import PushingMeter, ciphered
from told_events import events_of

from ami_cim.payloads.end_device_events import EndDeviceEvent
from ami_dlms import data
from ami_dlms.security import SendCounter

PACK = """\
[pack]
title = "A standard with a status word"
level = "list"
basis = "this test"
"""
EVENTS = "log,number,meaning,occurrences,alarm,code,basis,source\n0-0:99.98.1,44,magnet,,,0.12.66.242,,here\n"
ALARMS = "register,bit,meaning,numbers,code,source\n0-0:94.91.18,100,cover,44,0.12.141.212,here\n"
PUSHES = "setup,kind,meaning,registers,code,source\n0-6:25.9.0,alarms,status word,0-0:94.91.18,,here\n"


def written(directory: Path) -> Path:
    own = directory / "packs" / "worded"
    own.mkdir(parents=True)
    for name, text in (("pack.toml", PACK), ("events.csv", EVENTS), ("alarms.csv", ALARMS), ("pushes.csv", PUSHES)):
        (own / name).write_text(text)
    return own.parent


def status(*bits: int) -> data.Data:
    return data.bit_string(tuple(place in bits for place in range(128)))


async def test_the_same_number_means_what_the_pack_of_the_meter_says(tmp_path: Path, events: list[Any]) -> None:
    """Of a meter without a pack, of one with a deployment's pack, and of one whose pack nobody knows."""
    port = free_port()
    entries = [ciphered(1), ciphered(2, pack="worded"), ciphered(3, pack="unheard-of")]
    async with Cis().serving() as oms:
        named = {"name": "oms", "url": oms.url, "nouns": ["EndDeviceEvents"]}
        async with north(
            tmp_path, events=events, registry=entries, dlms_port=port, subscribers=[named], packs=written(tmp_path)
        ):
            for entry in entries:
                meter = PushingMeter(entry, port)
                meter.send(meter.notified(1, "0-0:96.11.1", data.unsigned(44)))
            found: dict[str, EndDeviceEvent] = {}
            while len(found) < len(entries):
                found |= {name_of(one): one for one in events_of(await oms.taken.get())}
            codes = {name: one.event_type for name, one in found.items()}
            assert codes == {"M1": "0.12.141.212", "M2": "0.12.66.242", "M3": "0.0.0.0"}

            meter = PushingMeter(entries[1], port, counter=SendCounter(10))
            meter.send(meter.pushed("0-6:25.9.0", status(100, 3)))
            alarms: dict[str, str] = {}
            while len(alarms) < 2:
                alarms |= {bit_of(one): one.event_type for one in events_of(await oms.taken.get())}
            assert alarms == {"100": "0.12.141.212", "3": "0.0.0.0"}
            meter.send(meter.pushed("0-6:25.9.0", status(3)))
            (closed,) = events_of(await oms.taken.get())
            assert bit_of(closed) == "100", "it is no longer set"


def name_of(event: EndDeviceEvent) -> str:
    assert event.asset is not None
    return event.asset.names[0].name


def bit_of(event: EndDeviceEvent) -> str:
    (bit,) = [one.value for one in event.details if one.name == "bit"]
    assert bit is not None
    return bit
