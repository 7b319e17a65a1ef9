"""How much of what could go on for ever a run does: `--size test` on every change, `--size ci` before it lands, `--size acceptance` by hand."""

from __future__ import annotations

SHARE = {"test": 0.15, "ci": 1.0, "acceptance": 5.0}
"""Of the examples that CI tries a property with."""
FEWEST = 12
chosen = "ci"
"""Set by conftest before the tests are collected."""


def examples(of_ci: int) -> int:
    """The number of examples of a property for which CI draws `of_ci`."""
    return max(min(of_ci, FEWEST), round(SHARE[chosen] * of_ci))


def larger() -> list[str]:
    """The sizes, which are marks of tests as well, that are not reached by this run."""
    sizes = list(SHARE)
    return sizes[sizes.index(chosen) + 1 :]
