-- APDUs in frames, frames in packets ---------------------------------------------------------------------------------------------

local MOST_LAYERS = 8
local PROTECTED = {[GLO] = true, [DED] = true, [GENERAL] = true}
local BLOCK_TRANSFER = 224

local function headline(message)
  return message.service .. (#message.said > 0 and ": " .. table.concat(message.said, ", ") or "")
end

local function show_refusals(message)
  for _, one in ipairs(message.refused) do one.item:add_proto_expert_info(e.refused, one.name) end
  if message.tag == 216 then message.root:add_proto_expert_info(e.refused, table.concat(message.said, ", ")) end
end

-- What the blocks of a service carry is not written in them, so the forms that it may have are tried in turn.
local function show_whole_value(tree, octets, tag)
  local tvb = ByteArray.new(octets, true):tvb("Value of all blocks")
  tree:add(f.together, tvb()):set_generated()
  for _, node in ipairs(known.carried[tag] or {}) do
    local c = attempt_of(octets)
    local fits = pcall(walk, node, c, nothing, "value", new_message("", tag)) and c:left() == 0
    if fits then return walk(node, cursor_of(tvb), tree, "value", new_message("", tag)) end
  end
end

local function follow_blocks(c, tree, message, memo, is_new, pinfo, talk, layers, sender)
  local octets = message.raw_data or message.block_data
  if is_new and octets and message.block_number then
    local key = sender .. (message.tag == BLOCK_TRANSFER and "general" or message.tag .. (message.invoke_id or ""))
    -- a block that only confirms has a number too, behind which an answer goes on
    if message.block_number > 0 then gather(talk, key, message.block_number, octets, message.last_block, memo) end
  end
  if memo.gap then
    tree:add_proto_expert_info(e.block_gap, string.format("Block %.0f was expected, this is block %.0f", memo.gap, message.block_number))
  end
  if not memo.together or memo.together == "" then return nil end
  if message.tag ~= BLOCK_TRANSFER then return show_whole_value(tree, memo.together, message.tag) end
  local inner = ByteArray.new(memo.together, true):tvb("APDU of all blocks")
  tree:add(f.together, inner()):set_generated()
  return dissect_apdu(inner, pinfo, tree, talk, layers + 1)
end

local function learn(message, talk)
  if message.client_title then talk.client_title = message.client_title end
  if message.server_title then talk.server_title = message.server_title end
  if message.service == "initiate-request" and message.dedicated_key and #message.dedicated_key > 0 then
    talk.dedicated_key = message.dedicated_key
  end
end

local function read_general(c, tree, message)
  -- transaction id to other information are covered by the tag; the key information is not
  for at = 2, 6 do walk(known.apdus[message.tag][2][at][2], c, tree, known.apdus[message.tag][2][at][1], message) end
  message.context = c.octets:sub(message.start + 2, c.at)
  if message.tag == GENERAL and c:number(1) == 1 then
    local from = c.at
    message.key_choice = c:number(1)
    local choices = known.apdus[GENERAL][2][7][2][2][2]
    local chosen = choices[message.key_choice]
    if not chosen then refuse(c, "no choice of a key: " .. message.key_choice) end
    walk(chosen[2], c, tree:add(c.tvb(from, 1), chosen[1]), nil, message)
  end
  leaves.octets(c, tree, "content", message)
  if message.tag == SIGNING then leaves.octets(c, tree, "signature", message) end
end

local function read_fields(c, tree, message, known_apdu)
  if message.tag == GENERAL or message.tag == SIGNING then return read_general(c, tree, message) end
  walk(known_apdu[2], c, tree, nil, message)
end

local function inner_of(c, tree, message, memo, is_new, pinfo, talk, layers, sender)
  if message.user_information then
    local tvb = c.tvb(message.user_information_at, #message.user_information):tvb()
    return dissect_apdu(tvb, pinfo, tree, talk, layers + 1), true
  elseif message.tag == SIGNING then
    return dissect_apdu(c.tvb(message.content_at, #message.content):tvb(), pinfo, tree, talk, layers + 1), true
  elseif message.content and (PROTECTED[message.tag] or known.ciphered_services[message.tag]) then
    return open_content(c, tree, message, memo, is_new, pinfo, talk, layers)
  end
  return follow_blocks(c, tree, message, memo, is_new, pinfo, talk, layers, sender)
end

local function show_broken(c, tree, problem)
  if type(problem) ~= "table" then error(problem, 0) end -- a fault of this plug-in, not of the octets
  local at, what = problem.at, problem.what
  local rest = math.max(#c.octets - at, 0)
  tree:add(c.tvb(math.min(at, #c.octets), rest), "not decoded"):add_proto_expert_info(e.malformed, what .. " at octet " .. at)
end

-- One APDU; its headline.
function dissect_apdu(tvb, pinfo, tree, talk, layers, sender)
  local c = cursor_of(tvb)
  local tag = c.octets:byte(1)
  local memo, is_new = memo_of(pinfo.number, layers .. c.octets)
  local known_apdu = known.apdus[tag]
  local name = known_apdu and known_apdu[1] or "unknown APDU"
  local root = tree:add(tvb(), name)
  local message = new_message(name, tag)
  message.root, message.start = root, 0
  sender = sender or tostring(pinfo.src) .. ":" .. pinfo.src_port
  local inner, is_more
  local good, problem = pcall(function()
    if layers > MOST_LAYERS then refuse(c, "more than " .. MOST_LAYERS .. " APDUs one in the other") end
    c:take(1)
    local item = root:add(f.tag, tvb(0, 1))
    if not known_apdu then refuse(c, "no tag of an APDU") end
    item:append_text(" (" .. known.tags[tag] .. ")")
    read_fields(c, root, message, known_apdu)
    if c:left() > 0 then refuse(c, c:left() .. " octets too many") end
    if is_new then learn(message, talk) end
    inner, is_more = inner_of(c, root, message, memo, is_new, pinfo, talk, layers, sender)
  end)
  root:set_text("DLMS " .. headline(message))
  root:add(f.service, message.service):set_generated()
  show_refusals(message)
  if good then link(message, memo, is_new, pinfo, root, talk) else show_broken(c, root, problem) end
  if inner and is_more then return headline(message) .. " (" .. inner .. ")" end
  if inner then return inner end
  return headline(message) .. (not good and " [malformed]" or memo.good == false and " [tag does not hold]" or memo.why and " [not deciphered]" or "")
end

-- Lists of packets: what the first PDU says replaces the text, others follow it.

local told = false

local function tell(pinfo, text)
  pinfo.cols.protocol:set("DLMS")
  if told then pinfo.cols.info:append("; " .. text) else pinfo.cols.info:set(text) end
  told = true
end

-- Frames

local WRAPPER_HEADER = 8

local function dissect_wrapper(tvb, pinfo, tree, kind)
  local length = tvb(6, 2):uint()
  local root = tree:add(amidlms, tvb(0, math.min(WRAPPER_HEADER + length, tvb:len())))
  root:add(f.version, tvb(0, 2))
  root:add(f.source, tvb(2, 2))
  root:add(f.destination, tvb(4, 2))
  local item = root:add(f.length, tvb(6, 2))
  local there = tvb:len() - WRAPPER_HEADER
  if tvb(0, 2):uint() ~= 1 then root:add_proto_expert_info(e.malformed, "The version of a wrapper is 1") end
  if there < length then item:add_proto_expert_info(e.malformed, length .. " octets of APDU wanted, " .. there .. " are there") end
  if length > 0 and there > 0 then
    local talk, sender = conversation_of(pinfo, kind, tvb(2, 2):uint(), tvb(4, 2):uint())
    tell(pinfo, dissect_apdu(tvb(WRAPPER_HEADER, math.min(length, there)):tvb(), pinfo, root, talk, 1, sender))
  end
  return tvb:len()
end

local KINDS = {[0x93] = "SNRM", [0x73] = "UA", [0x53] = "DISC", [0x1F] = "DM", [0x97] = "FRMR", [0x13] = "UI", [0x83] = "SNRM", [0x63] = "UA", [0x43] = "DISC", [0x0F] = "DM", [0x87] = "FRMR", [0x03] = "UI"}

local function hdlc_kind(control)
  if band(control, 1) == 0 then return "I" end
  if band(control, 15) == 1 then return "RR" end
  if band(control, 15) == 5 then return "RNR" end
  return KINDS[control] or "unknown"
end

-- CRC-16 of HDLC (ISO/IEC 13239), least significant bit first.
local function check_of(octets)
  local crc = 0xFFFF
  for at = 1, #octets do
    crc = bxor(crc, octets:byte(at))
    for _ = 1, 8 do crc = band(crc, 1) == 1 and bxor(rshift(crc, 1), 0x8408) or rshift(crc, 1) end
  end
  crc = bxor(crc, 0xFFFF)
  return string.char(band(crc, 255), rshift(crc, 8))
end

-- An address ends with the first octet whose lowest bit is set; its value without these bits, and its octets.
local function hdlc_address(octets, at)
  local value, size = 0, 0
  repeat
    local one = octets:byte(at + size) or 1
    size = size + 1
    value = value * 128 + rshift(one, 1)
  until band(one, 1) == 1 or size == 4
  return value, size
end

local function show_check(root, tvb, octets, from, to, at)
  local item = root:add_le(f.hdlc_check, tvb(at - 1, 2))
  local good = check_of(octets:sub(from, to)) == octets:sub(at, at + 1)
  item:add(f.hdlc_good, tvb(at - 1, 2), good):set_generated()
  if not good then item:add_proto_expert_info(e.check, "A check sequence does not hold") end
  return good
end

-- Segments of an APDU wait for the last one; its octets, once they are there.
local function hdlc_information(octets, is_segmented, send_number, talk, sender, pinfo)
  local memo, is_new = memo_of(pinfo.number, "hdlc" .. send_number .. octets)
  if is_new then
    local waiting = talk.segments[sender] or {size = 0, parts = {}}
    talk.segments[sender] = waiting
    if octets:find("^\230[\230\231]%z") and waiting.next ~= send_number then waiting.parts, waiting.size = {}, 0 end
    if waiting.last ~= send_number or #waiting.parts == 0 then
      waiting.parts[#waiting.parts + 1] = octets
      waiting.size = waiting.size + #octets
    end
    waiting.last, waiting.next = send_number, (send_number + 1) % 8
    if not is_segmented then
      memo.whole, memo.segments = table.concat(waiting.parts), #waiting.parts
      talk.segments[sender] = nil
    elseif waiting.size > MOST_WAITING then
      talk.segments[sender] = nil
    end
  end
  return memo
end

local function dissect_information(tvb, from, to, pinfo, root, talk, sender, segmented, control)
  local memo = hdlc_information(tvb:raw(from, to - from), segmented, rshift(band(control, 0x0E), 1), talk, sender, pinfo)
  if not memo.whole then return root:add(f.octets, tvb(from, to - from)) end
  local whole = memo.segments == 1 and tvb(from, to - from):tvb() or ByteArray.new(memo.whole, true):tvb("APDU of all segments")
  local start = 0
  if memo.whole:find("^\230[\230\231]%z") then
    root:add(f.llc, whole(0, 3))
    start = 3
  end
  if #memo.whole > start then tell(pinfo, dissect_apdu(whole(start):tvb(), pinfo, root, talk, 1, sender)) end
end

local function dissect_hdlc(tvb, pinfo, tree, kind)
  local octets = tvb:raw()
  local at = octets:byte(1) == 0x7E and 2 or 1
  local format = (octets:byte(at) or 0) * 256 + (octets:byte(at + 1) or 0)
  local root = tree:add(amidlms, tvb())
  local stop = at + band(format, 0x7FF) - 1 -- the last octet of the frame check
  local destination, size = hdlc_address(octets, at + 2)
  local source, source_size = hdlc_address(octets, at + 2 + size)
  local control_at = at + 2 + size + source_size
  if band(format, 0xF000) ~= 0xA000 or stop > #octets or control_at + 2 > stop then
    if octets:find("[^\126]") then root:add_proto_expert_info(e.malformed, "No frame of HDLC, or a part of one") end
    return tvb:len()
  end
  root:add(f.hdlc_format, tvb(at - 1, 2))
  root:add(f.hdlc_destination, tvb(at + 1, size), destination)
  root:add(f.hdlc_source, tvb(at + 1 + size, source_size), source)
  local control = octets:byte(control_at) or 0
  local name = hdlc_kind(control)
  root:add(f.hdlc_control, tvb(control_at - 1, 1))
  root:add(f.hdlc_kind, tvb(control_at - 1, 1), name):set_generated()
  root:append_text(", HDLC " .. name)
  local has_information = stop - control_at > 4
  local good = show_check(root, tvb, octets, at, stop - 2, stop - 1)
  if has_information then good = show_check(root, tvb, octets, at, control_at, control_at + 1) and good end
  local talk, sender = conversation_of(pinfo, kind .. "hdlc ", source, destination)
  if good and has_information and (name == "I" or name == "UI") then
    dissect_information(tvb, control_at + 2, stop - 2, pinfo, root, talk, sender, band(format, 0x800) ~= 0, control)
  else
    if has_information then root:add(f.octets, tvb(control_at + 2, stop - 4 - control_at)) end
    tell(pinfo, "HDLC " .. name)
  end
  return tvb:len()
end

-- How long the PDU at an offset is; dissect_tcp_pdus asks when the octets of a header are there.
local function wrapper_length(tvb, _, offset)
  if tvb(offset, 2):uint() ~= 1 then return tvb:len() - offset end
  return WRAPPER_HEADER + tvb(offset + 6, 2):uint()
end

local function hdlc_length(tvb, _, offset)
  local first, second, third = tvb(offset, 1):uint(), tvb(offset + 1, 1):uint(), tvb(offset + 2, 1):uint()
  if first == 0x7E and band(second, 0xF0) == 0xA0 then return band(second * 256 + third, 0x7FF) + 2 end
  if band(first, 0xF0) == 0xA0 then return band(first * 256 + second, 0x7FF) + 1 end
  return 1
end

-- Packets

local function dissect_stream(tvb, pinfo, tree)
  local first = tvb(0, 1):uint()
  if first == 0x7E or band(first, 0xF0) == 0xA0 then
    dissect_tcp_pdus(tvb, tree, 3, hdlc_length, function(pdu, info, into) return dissect_hdlc(pdu, info, into, "") end)
  elseif first == 0 then
    dissect_tcp_pdus(tvb, tree, WRAPPER_HEADER, wrapper_length, function(pdu, info, into) return dissect_wrapper(pdu, info, into, "") end)
  else
    return 0
  end
  return tvb:len()
end

-- A datagram, or what an exported PDU holds: framed or not.
local function dissect_whole(tvb, pinfo, tree, kind)
  local first = tvb(0, 1):uint()
  if first == 0x7E then return dissect_hdlc(tvb, pinfo, tree, kind) end
  if first ~= 0 then
    local root = tree:add(amidlms, tvb())
    local talk, sender = conversation_of(pinfo, kind, "", "")
    tell(pinfo, dissect_apdu(tvb, pinfo, root, talk, 1, sender))
    return tvb:len()
  end
  local at = 0
  while tvb:len() - at >= WRAPPER_HEADER do
    local size = math.min(WRAPPER_HEADER + tvb(at + 6, 2):uint(), tvb:len() - at)
    dissect_wrapper(tvb(at, size):tvb(), pinfo, tree, kind)
    at = at + size
  end
  return tvb:len()
end

function amidlms.dissector(tvb, pinfo, tree)
  if tvb:len() == 0 then return 0 end
  told = false
  if pinfo.can_desegment > 0 then return dissect_stream(tvb, pinfo, tree) end
  return dissect_whole(tvb, pinfo, tree, pinfo.port_type == 2 and "clear " or "udp ")
end

-- On other ports: a wrapper header whose length fits, before the tag of an APDU.
local function is_wrapped(tvb)
  if tvb:len() <= WRAPPER_HEADER or tvb(0, 2):uint() ~= 1 then return false end
  local length = tvb(6, 2):uint()
  return length > 0 and length <= tvb:len() - WRAPPER_HEADER and known.tags[tvb(WRAPPER_HEADER, 1):uint()] ~= nil
end

local function guess(tvb, pinfo, tree)
  if not amidlms.prefs.anywhere or not is_wrapped(tvb) then return false end
  pinfo.conversation = amidlms
  amidlms.dissector(tvb, pinfo, tree)
  return true
end

amidlms:register_heuristic("tcp", guess)
amidlms:register_heuristic("udp", guess)

local registered = nil

local function register_ports()
  local ports = amidlms.prefs.ports
  if registered == ports then return end
  for _, name in ipairs({"tcp.port", "udp.port"}) do
    local ports_of = DissectorTable.get(name)
    if registered and registered ~= "" then ports_of:remove(registered, amidlms) end
    if ports ~= "" then ports_of:add(ports, amidlms) end
  end
  registered = ports
end

register_ports()
amidlms.prefs_changed = register_ports
amidlms.init = forget_everything

-- Clear APDUs in captures name the dissector of Wireshark 4.6; where there is none, this one reads them.
local asked, its_own = pcall(Dissector.get, "dlms")
if not asked or not its_own then
  local stand_in = Proto("dlms", "DLMS/COSEM (read by amidlms)")
  function stand_in.dissector(tvb, pinfo, tree) return amidlms.dissector(tvb, pinfo, tree) end
end
