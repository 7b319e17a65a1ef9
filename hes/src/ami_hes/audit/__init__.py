"""The audit log as values: what an entry says, how entries are chained, how a chain is checked, and how it is handed to others.

Pure; `ami_hes.store.audit` keeps it, `ami_hes.auditing` writes what no transaction of a request writes (docs/adr/0037).
"""

from ami_hes.audit.chain import (
    BEGINNING,
    Anchor,
    Chain,
    ChainCheck,
    ChainReport,
    Link,
    follow,
    hash_of,
    parse_anchor,
)
from ami_hes.audit.entries import AuditEntry, MetersOf, What, canonical, parse_entry
from ami_hes.audit.formats import format_json_line, format_syslog

__all__ = [
    "BEGINNING",
    "Anchor",
    "AuditEntry",
    "Chain",
    "ChainCheck",
    "ChainReport",
    "Link",
    "MetersOf",
    "What",
    "canonical",
    "follow",
    "format_json_line",
    "format_syslog",
    "hash_of",
    "parse_anchor",
    "parse_entry",
]
