"""Just enough of PromQL to see which metrics and labels a question names; whether it is one at all, a real Prometheus says."""

from __future__ import annotations

import re

FUNCTIONS = {"max", "sum", "rate", "increase", "histogram_quantile", "by", "on", "bool"}
NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
SELECTED = re.compile(r"\{([^}]*)\}")
GROUPED = re.compile(r"\b(?:by|on)\s*\(([^)]*)\)")


def names_and_labels(question: str) -> tuple[set[str], set[str]]:
    """Of metrics, and of labels that are selected or grouped by."""
    selected = [label for found in SELECTED.findall(question) for label in re.findall(r"(\w+)\s*[=!]", found)]
    grouped = [label.strip() for found in GROUPED.findall(question) for label in found.split(",")]
    bare = GROUPED.sub("", SELECTED.sub("", re.sub(r"\[[^\]]*\]", "", question)))
    return set(NAME.findall(bare)) - FUNCTIONS, {*selected, *grouped}
