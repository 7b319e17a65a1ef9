"""How large the requests of the CIS's own loop are; without imports, so that a demo knows how many to expect and loads no CIS for it."""

MOST_ASKED = 1_000
"""Meters of one request for readings: what they answer has to fit into one answer of a head-end (hes.max_answer_octets)."""
