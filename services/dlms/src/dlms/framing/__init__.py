"""How APDUs are put on a transport."""
