"""ReadingTypes in words."""

from __future__ import annotations

import pytest

from ami_cim.reading_type_names import known_types
from ami_cim.reading_type_words import FIELDS, describe, field_words

WORDS = {
    "0.0.0.1.1.1.12.0.0.0.0.0.0.0.0.3.72.0": "active energy import",
    "0.0.0.1.1.1.12.0.0.0.0.0.0.0.0.0.72.0": "active energy import, Wh",
    "0.0.7.4.19.1.12.0.0.0.0.0.0.0.0.3.73.0": "reactive energy export, of each 60 min, kvarh",
    "0.0.0.12.0.1.54.0.0.0.0.0.0.0.129.-2.29.0": "voltage, phase A to N, instantaneous, cV",
    "11.8.2.6.1.1.8.0.0.0.0.1.0.0.0.3.38.0": "maximum active demand import, tariff 1, daily, every 15 min, indicating, kW",
    "0.0.0.1.0.7.58.0.0.0.0.0.0.0.0.0.42.0": "volume, natural gas, m³",
    "0.0.0.0.0.1.999.0.0.0.0.0.0.0.0.0.0.0": "measurement kind 999",
    "not a code": "not a code",
}


@pytest.mark.parametrize("code", WORDS)
def test_a_code_is_said_in_words(code: str) -> None:
    assert describe(code) == WORDS[code]


def test_what_has_a_name_is_called_so_and_every_list_is_of_a_field() -> None:
    assert all(describe(row.reading_type) == row.meaning for row in known_types())
    assert field_words().keys() < set(FIELDS) and all(words[0] == "none" for words in field_words().values())
