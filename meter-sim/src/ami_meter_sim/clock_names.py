"""The clocks by the names of the command line, apart from the settings, which take their time to load."""

from enum import StrEnum, unique


@unique
class ClockName(StrEnum):
    """The clocks by the names of the command line."""

    REAL = "real"
    SCALED = "scaled"
    VIRTUAL = "virtual"
