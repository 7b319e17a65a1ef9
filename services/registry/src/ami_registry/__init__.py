"""The meter registry as values: what a [[meters]] entry says, where its secrets come from, which association follows.

Pure: what an environment variable or a file holds is asked of a `Resolve` that comes in as an argument.
"""

from ami_registry.agreement import client_settings, security
from ami_registry.entries import FIELDS, REMOVED, Entry, EntryError, Field, parse_field, parse_meter
from ami_registry.formatting import SECRETS, FormattedMeter, defaults_of, format_meter
from ami_registry.meter import Meter, Parity, Transport, key_id
from ami_registry.references import FORMS, Resolve, parse_secret
from ami_registry.shipments import ShipmentError, parse_cell, parse_row, parse_shipment
from ami_registry.values import DIALS_IN, MAX_CHARACTERS

__all__ = [
    "DIALS_IN",
    "FIELDS",
    "FORMS",
    "MAX_CHARACTERS",
    "REMOVED",
    "SECRETS",
    "Entry",
    "EntryError",
    "Field",
    "FormattedMeter",
    "Meter",
    "Parity",
    "Resolve",
    "ShipmentError",
    "Transport",
    "client_settings",
    "defaults_of",
    "format_meter",
    "key_id",
    "parse_cell",
    "parse_field",
    "parse_meter",
    "parse_row",
    "parse_secret",
    "parse_shipment",
    "security",
]
