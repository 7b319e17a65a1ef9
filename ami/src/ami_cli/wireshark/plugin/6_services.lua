-- APDUs: a walk over the tree of codecs with which the project's own decoder reads them --------------------------------------------

local walk

-- What is said of an APDU on its way: for the list of packets, and for links between packets.
local function new_message(name, tag)
  return {service = name, tag = tag, said = {}, subjects = 0, refused = {}}
end

local function say(message, text)
  if #message.said < 4 then message.said[#message.said + 1] = text end
end

local function words(name) return (name:gsub("_", " ")) end

local function named(list, number) return known.lists[list][number] or "number " .. number end

local numbers = {u8 = 1, i8 = 1, u16 = 2, u32 = 4}

local by_name = {
  class_id = f.class_id, attribute_id = f.attribute, method_id = f.method, name = f.short_name, selector = f.selector,
  block_number = f.block_number, block_number_ack = f.block_ack, last_block = f.last_block,
  client_max_receive_pdu_size = f.max_pdu_size, server_max_receive_pdu_size = f.max_pdu_size,
  raw_data = f.block_data, block_data = f.block_data, system_title = f.title, originator_system_title = f.title,
  recipient_system_title = f.title,
}
local by_list = {DataAccessResult = f.result, ActionResult = f.result, StateError = f.state_error, ServiceError = f.service_error}

local function invoke_id(c, tree, from, value, is_long, message)
  local high = is_long and 24 or 0
  local item = tree:add(is_long and f.long_invoke_id or f.invoke_id, c:range(from), is_long and band(value, 0xFFFFFF) or band(value, 0x0F))
  local top = is_long and band(rshift(value, high), 0xFF) or value
  message.confirmed = band(top, 0x40) ~= 0
  message.invoke_id = is_long and "L" .. band(value, 0xFFFFFF) or "I" .. band(value, 0x0F)
  item:add(f.confirmed, c:range(from), message.confirmed)
  item:add(f.high_priority, c:range(from), band(top, 0x80) ~= 0)
end

local function result(c, tree, from, list, number, message)
  local name = named(list, number)
  local item = tree:add(by_list[list] or f.octets, c:range(from), by_list[list] and number or nil)
  item:append_text(" (" .. name .. ")")
  item:add(f.result_name, c:range(from), name):set_generated()
  message.results = (message.results or 0) + 1
  if message.results == 1 then say(message, name) end
  if number ~= 0 then message.refused[#message.refused + 1] = {item = item, name = name} end
end

local leaves = {}

function leaves.octets(c, tree, name, message)
  local from = c.at
  local length = c:length()
  local start = c.at
  local octets = c:take(length)
  message[name] = octets
  if by_name[name] then
    if length > 0 then tree:add(by_name[name], c.tvb(start, length)) end
  elseif name ~= "content" then
    tree:add(c:range(from), words(name) .. ": " .. octets_text(octets))
  end
  message[name .. "_at"] = start
  return octets
end

function leaves.boolean(c, tree, name, message)
  local from = c.at
  local value = c:number(1) ~= 0
  message[name] = value
  if by_name[name] then tree:add(by_name[name], c:range(from), value) else tree:add(c:range(from), words(name) .. ": " .. tostring(value)) end
end

local function number_leaf(kind)
  return function(c, tree, name, message)
    local from = c.at
    local value = kind:sub(1, 1) == "i" and c:signed(numbers[kind]) or c:number(numbers[kind])
    message[name] = value
    if name == "invoke_id_and_priority" then
      invoke_id(c, tree, from, value, false, message)
    elseif name == "long_invoke_id_and_priority" then
      invoke_id(c, tree, from, value, true, message)
    elseif by_name[name] then
      tree:add(by_name[name], c:range(from), value)
      if name == "block_number" then say(message, "block " .. value) end
      if name == "name" then say(message, string.format("0x%04X", value)) end
    else
      tree:add(c:range(from), words(name) .. ": " .. value)
    end
  end
end
for kind in pairs(numbers) do leaves[kind] = number_leaf(kind) end

function leaves.conformance(c, tree, _, message)
  local from = c.at
  if c:number(1) ~= 0x5F then refuse(c, "expected the tag of the conformance block") end
  if c.octets:byte(c.at + 1) == 0x1F then c:take(1) end
  if c:take(2) ~= "\4\0" then refuse(c, "expected a bit string of 24 bits") end
  local start = c.at
  local value = c:number(3)
  local item = tree:add(f.conformance, c.tvb(start, 3), value)
  for at = 23, 0, -1 do
    local one = 2 ^ at
    if band(value, one) ~= 0 and known.conformance[one] then item:add(c.tvb(start, 3), known.conformance[one]) end
  end
  return from
end

function leaves.data(c, tree, name, message)
  message.values = (message.values or 0) + 1
  local text = data.field(c, tree, words(name))
  if message.values == 1 then say(message, text) end
end

function leaves.write_result(c, tree, _, message)
  local from = c.at
  local kind = c:number(1)
  if kind == 0 then
    result(c, tree, from, "DataAccessResult", 0, message)
  elseif kind == 1 then
    from = c.at
    result(c, tree, from, "DataAccessResult", c:number(1), message)
  elseif kind == 2 then
    from = c.at
    tree:add(f.block_number, c.tvb(from, 2), c:number(2))
  else
    refuse(c, "no result of a write")
  end
end

function leaves.date_time(c, tree, name)
  local from = c.at
  if c.octets:byte(c.at + 1) == 9 and c.octets:byte(c.at + 2) == 12 then c:take(1) end
  local octets = c:counted()
  if #octets ~= 0 and #octets ~= 12 then refuse(c, "a date-time has 12 octets") end
  tree:add(f.time, c:range(from), #octets == 12 and date_time_text(octets) or "absent")
end

function leaves.obis(c, tree, _, message)
  local from = c.at
  local octets = c:take(6)
  local name = obis_name(octets)
  message.obis = octets
  tree:add(f.obis, c:range(from), obis_text(octets))
  if name ~= "" then tree:add(f.obis_name, c:range(from), name):set_generated() end
end

function leaves.expected_counter(c, tree)
  if c.octets:byte(c.at) ~= 6 or c:left() == 0 then return end
  local from = c.at
  local value = c:number(4)
  tree:add(c:range(from), string.format("expected invocation counter: %.0f", value))
end

function leaves.block_control(c, tree, _, message)
  local from = c.at
  local value = c:number(1)
  message.last_block, message.window = value >= 0x80, band(value, 0x3F)
  tree:add(f.last_block, c:range(from), message.last_block)
  tree:add(f.streaming, c:range(from), band(value, 0x40) ~= 0)
  tree:add(f.window, c:range(from), message.window)
end

-- Class, object, and attribute or method: what a request is about.
local function describe_reference(c, item, from, message)
  local class_id, range = message.class_id, c:range(from)
  local class = known.classes[class_id]
  item:add(f.class_name, range, class_name(class_id)):set_generated()
  local number, names, field = message.attribute_id, class and class[2], f.attribute_name
  if not number then number, names, field = message.method_id, class and class[3], f.method_name end
  local name = names and names[number] or (message.attribute_id == 0 and "all attributes" or "number " .. number)
  item:add(field, range, name):set_generated()
  local code = obis_text(message.obis)
  local text = class_name(class_id) .. " " .. code .. " " .. name
  item:set_text(text)
  message.subjects = message.subjects + 1
  if message.subjects == 1 then say(message, text) end
  message.attribute_id, message.method_id = nil, nil
end

local function walk_seq(node, c, tree, name, message)
  local from, item = c.at, tree
  if name then item = tree:add(c.tvb(from, c:left()), words(name)) end
  for at = 2, #node do walk(node[at][2], c, item, node[at][1], message) end
  if name then item:set_len(c.at - from) end
  if message.class_id and (message.attribute_id or message.method_id) then describe_reference(c, item, from, message) end
end

local function walk_choice(node, c, tree, name, message)
  local from = c.at
  local number = c:number(1)
  local chosen = node[2][number]
  if not chosen then
    c.at = from
    refuse(c, "no choice: " .. number)
  end
  if not name then message.service = chosen[1] end
  message.choice = number
  walk(chosen[2], c, tree, name and (chosen[1] == "data" and name or chosen[1]), message)
end

local function walk_list(node, c, tree, name, message)
  local from, count = c.at, c:count(1)
  local item = tree:add(c.tvb(from, c:left()), words(name) .. ": " .. count)
  if count > 1 then say(message, count .. " " .. words(name)) end
  for _ = 1, count do walk(node[2], c, item, "item", message) end
  item:set_len(c.at - from)
end

local function walk_optional(node, c, tree, name, message)
  local flag = c:number(1)
  if flag == 0 then return end
  if flag ~= 1 and flag ~= node[3] then refuse(c, "expected 0 or 1 for absent or present") end
  walk(node[2], c, tree, name, message)
end

local function walk_enum(node, c, tree, name, message)
  local from = c.at
  local number = c:number(1)
  local list = node[2]
  if by_list[list] == f.result then
    result(c, tree, from, list, number, message)
  else
    local item = by_list[list] and tree:add(by_list[list], c:range(from), number) or tree:add(c:range(from), words(name))
    item:append_text(" (" .. named(list, number) .. ")")
    say(message, named(list, number))
  end
end

local composed = {seq = walk_seq, choice = walk_choice, list = walk_list, optional = walk_optional, enum = walk_enum}

function walk(node, c, tree, name, message)
  if type(node) == "string" then return leaves[node](c, tree, name, message) end
  return composed[node[1]](node, c, tree, name, message)
end

-- ACSE: elements of BER with context tags.

local acse = {}

local function ber(c)
  local tag = c:number(1)
  return tag, c:length()
end

local function oid_arc(c, length) return length >= 7 and c.octets:byte(c.at + length) or 255 end

local function last_arc(c, wrapped)
  if wrapped then ber(c) end
  return oid_arc(c, c:left())
end

-- Each takes the contents of an element as a cursor of its own.
function acse.application_context(c, tree, range, message)
  local number = last_arc(c, true)
  local text = known.contexts[number] or "unknown"
  tree:add(f.context, range, text)
  say(message, text)
end

function acse.mechanism(c, tree, range, message)
  local number = last_arc(c, false)
  local text = known.mechanisms[number] or "unknown"
  tree:add(f.mechanism, range, text)
  say(message, text)
end

local function explicit(c)
  local _, length = ber(c)
  return c:take(length)
end

function acse.calling_ap_title(c, tree, range, message)
  message.client_title = explicit(c)
  tree:add(f.title, c.tvb(c.at - #message.client_title, #message.client_title))
end

function acse.responding_ap_title(c, tree, range, message)
  message.server_title = explicit(c)
  tree:add(f.title, c.tvb(c.at - #message.server_title, #message.server_title))
end

function acse.result(c, tree, range, message)
  ber(c)
  local number = c:number(1)
  local name = named("AssociationResult", number)
  local item = tree:add(f.association_result, range, number)
  item:append_text(" (" .. name .. ")")
  say(message, name)
  if number ~= 0 then message.refused[1] = {item = item, name = name} end
end

function acse.diagnostic(c, tree, range, message)
  local source = ber(c)
  ber(c)
  local number = c:number(1)
  local name = named(source == 0xA2 and "AcseServiceProviderDiagnostic" or "AcseServiceUserDiagnostic", number)
  tree:add(f.diagnostic, range, number):append_text(" (" .. name .. ")")
  if number ~= 0 then say(message, name) end
end

function acse.user_information(c, tree, range, message)
  local octets = explicit(c)
  message.user_information, message.user_information_at = octets, c.at - #octets
end

function acse.reason(c, tree, range, message)
  tree:add(range, "reason: " .. named("ReleaseReason", c:number(1)))
end

function composed.elements(node, c, tree, _, message)
  local length = c:length()
  if length > c:left() then refuse(c, "expected " .. length .. " octets, got " .. c:left()) end
  local stop = c.at + length
  while c.at < stop do
    local from = c.at
    local tag, size = ber(c)
    local name = node[2][tag]
    local inner = setmetatable({tvb = c.tvb, octets = c.octets:sub(1, c.at + size), at = c.at, depth = 0, shown = 0}, Cursor)
    c:take(size)
    if name and acse[name] then acse[name](inner, tree, c:range(from), message)
    else tree:add(c:range(from), name and words(name) or string.format("element %02X", tag)) end
  end
end

