"""Simulated DLMS/COSEM meters: servers that behave as meters in the field do, faults included."""
