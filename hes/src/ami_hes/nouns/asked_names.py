"""How a request has named its meters, so that its errors name them in the same way; kept with the request, as its `query`.

Who asks by name may know no mRID, so Error/ID is the name then, and Error/relatedID the mRID, which stays when a name is given to another
meter. Whoever asks by mRID, usage point or group gets the mRID in Error/ID.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Self

from ami_cim.identity import EndDevice, Identifier
from ami_cim.message import ReplyError
from ami_hes.commands import MeterId
from ami_hes.nouns.devices import identifier_of

_ALL = "*"


def format_asked(devices: Iterable[EndDevice], *, others: bool) -> str:
    """As it is kept, short where all meters were named alike; `others`: whether usage points or groups are named as well."""
    by_name: list[str] = []
    for one in devices:
        if one.mrid is None:
            by_name += (name.name for name in one.names)
        else:
            others = True
    if not by_name:
        return ""
    return json.dumps(sorted(set(by_name))) if others else _ALL


@dataclass(frozen=True, slots=True)
class AskedNames:
    """Which meters were asked for by name alone; None: all."""

    names: frozenset[str] | None = frozenset()

    @classmethod
    def parse(cls, text: str) -> Self:
        """What `format_asked` wrote."""
        return cls(None if text == _ALL else frozenset(json.loads(text)) if text else frozenset())

    def about(self, meter: MeterId, problem: ReplyError) -> ReplyError:
        """The same error, as that of this meter."""
        mrid = identifier_of(meter.mrid)
        if self.names is not None and meter.name not in self.names:
            return replace(problem, identifier=mrid)
        name = Identifier(value=meter.name, kind="name", object_type=mrid.object_type)
        return replace(problem, identifier=name, related=mrid)
