"""The head-end system: CIM on one side, DLMS/COSEM on the other."""
