"""Options that several commands of `ami` have."""

from enum import StrEnum
from typing import Any

import typer

from ami_cli import configuration


class SecurityOption(StrEnum):
    """What `--security` takes."""

    NONE = "none"
    DEFAULT = "default"


def configuration_option(meaning: str) -> Any:
    return typer.Option(
        default_factory=configuration.default,
        show_default=f"{configuration.DEMO}, or else the one that is installed",
        help=meaning,
    )
