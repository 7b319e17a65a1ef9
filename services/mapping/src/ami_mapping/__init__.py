"""What CIM means in DLMS/COSEM and the other way round: tables and pure functions."""
