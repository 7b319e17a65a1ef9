-- amidlms: DLMS/COSEM for Wireshark 4.0 to 4.6, deciphered where the keys are known.
--
-- One file, put together by `ami wireshark install` from the AMI reference system (Apache License 2.0); the tables in it come from
-- the decoder of that project. Its own prefix, amidlms, leaves the fields of Wireshark 4.6's dissector "dlms" alone.
-- Keys: a file, named by the preference amidlms.keys; `ami wireshark keys` writes one.

if set_plugin_info then
  set_plugin_info({version = "@VERSION@", description = "DLMS/COSEM, deciphered", author = "AMI reference system"})
end

local amidlms = Proto("amidlms", "DLMS/COSEM (AMI)")
local band, bor, bxor, lshift, rshift, rol = bit.band, bit.bor, bit.bxor, bit.lshift, bit.rshift, bit.rol
local floor = math.floor

-- What is known of DLMS beside the code: generated.
local known = {}

