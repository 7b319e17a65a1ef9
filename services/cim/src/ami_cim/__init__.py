"""CIM for metering: IEC 61968-9 payloads in IEC 61968-100 envelopes over SOAP 1.1, as pure functions without I/O.

Begin at `wire` (octets to message and back); `message` and `payloads` are the values, `schemas` the XSD and WSDL."""
