"""Protection of APDUs: ciphering, signatures, keys of one message, and the proofs of HLS."""
