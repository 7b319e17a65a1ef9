"""The customer information system: the operator's side, which orders controls over CIM and takes the replies."""
