"""A partner as it is kept with a request, so that its answer is written as its settings were then."""

import json
from dataclasses import asdict, fields

from pydantic import TypeAdapter

from ami_cim.peers import Dialect
from ami_hes.nouns.partners import STANDARD, Partner

_DIALECTS = TypeAdapter(Dialect)
_PARTNER = tuple(field.name for field in fields(Partner) if field.name not in ("codes", "octets"))


def format_partner(partner: Partner) -> str:
    """What a partner has that the standard has not, as JSON; what its codes mean is needed for planning alone."""
    values = {name: getattr(partner, name) for name in _PARTNER if getattr(partner, name) != getattr(STANDARD, name)}
    if (dialect := values.get("dialect")) is not None:
        values["dialect"] = asdict(dialect)
    return json.dumps(values)


def parse_partner(text: str) -> Partner:
    """What `format_partner` wrote; a setting that there is no more has no effect."""
    values = {name: value for name, value in json.loads(text).items() if name in _PARTNER}
    if "dialect" in values:
        values["dialect"] = _DIALECTS.validate_python(values["dialect"])
    for name in ("switches", "dropped"):
        if name in values:
            values[name] = tuple(tuple(one) if isinstance(one, list) else one for one in values[name])
    return Partner(**values)
