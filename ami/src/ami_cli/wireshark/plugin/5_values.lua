-- Octets, names and values of Data ----------------------------------------------------------------------------------------

local MOST_DEPTH, MOST_TEXT, MOST_SHOWN = 32, 60, 10000

local function hex(octets)
  return (octets:gsub(".", function(one) return string.format("%02X", one:byte()) end))
end

-- A place in a tvb. Everything that is read passes `take`, which refuses to go beyond the end.
local Cursor = {}
Cursor.__index = Cursor

local function cursor_of(tvb)
  return setmetatable({tvb = tvb, octets = tvb:len() > 0 and tvb:raw() or "", at = 0, depth = 0, shown = 0}, Cursor)
end

-- A tree, and a tvb, that show nothing: for an attempt.
local nothing = setmetatable({}, {__index = function() return function(self) return self end end, __call = function(self) return self end})

local function attempt_of(octets)
  return setmetatable({tvb = nothing, octets = octets, at = 0, depth = 0, shown = 0, is_attempt = true}, Cursor)
end

local function refuse(c, what)
  error({at = c.at, what = what}, 0)
end

function Cursor:left() return #self.octets - self.at end

function Cursor:take(count)
  if count > self:left() then refuse(self, "expected " .. count .. " octets, got " .. self:left()) end
  local found = self.octets:sub(self.at + 1, self.at + count)
  self.at = self.at + count
  return found
end

function Cursor:number(size)
  local value = 0
  for _, one in ipairs({self:take(size):byte(1, size)}) do value = value * 256 + one end
  return value
end

function Cursor:signed(size)
  local value = self:number(size)
  return value >= 2 ^ (8 * size - 1) and value - 2 ^ (8 * size) or value
end

function Cursor:length()
  local first = self:number(1)
  if first < 0x80 then return first end
  if first < 0x81 or first > 0x84 then refuse(self, "no length") end
  return self:number(first - 0x80)
end

function Cursor:counted() return self:take(self:length()) end

-- A count of things that take `smallest` octets each.
function Cursor:count(smallest)
  local count = self:length()
  if count * smallest > self:left() then refuse(self, "a list of " .. count .. " in " .. self:left() .. " octets") end
  return count
end

function Cursor:range(from) return self.tvb(from, self.at - from) end

-- Names

local function obis_text(octets)
  return string.format("%d-%d:%d.%d.%d*%d", octets:byte(1, 6))
end

local function with_channel(name, channel)
  return channel > 0 and name .. ", channel " .. channel or name
end

local function object_name(octets)
  local a, b, c, d, e, last = octets:byte(1, 6)
  for _, channel in ipairs({tostring(b), "*"}) do
    for _, number in ipairs({tostring(e), "n"}) do
      local name = known.objects[a .. "-" .. channel .. ":" .. c .. "." .. d .. "." .. number .. "*" .. last]
      if name then
        if number == "n" then
          name = (" " .. name .. " "):gsub(" n ", " " .. e .. " "):sub(2, -2)
        end
        return with_channel(name, channel == "*" and b or 0)
      end
    end
  end
end

local TIME_INTEGRALS = {[8] = true, [9] = true, [10] = true, [29] = true, [30] = true}

local function quantity_name(octets)
  local _, b, c, d, e, last = octets:byte(1, 6)
  local phase, code = floor((c - 1) / 20), (c - 1) % 20 + 1
  local in_phase = phase >= 1 and phase <= 3
  local name, process = known.quantities[c] or (in_phase and known.quantities[code]), known.processing[d]
  if not name or not process then return "" end
  for power, energy in pairs(known.energies) do
    if TIME_INTEGRALS[d] and name:sub(1, #power) == power then name = energy .. name:sub(#power + 1) break end
  end
  local words = {name}
  if in_phase then words[#words + 1] = "L" .. phase end
  words[#words + 1] = process
  if e > 0 then words[#words + 1] = ((d < 7 or TIME_INTEGRALS[d]) and "rate " or "E ") .. e end
  if last ~= 255 then words[#words + 1] = "billing period " .. last end
  return with_channel(table.concat(words, ", "), b)
end

local function obis_name(octets)
  local name = object_name(octets)
  if name then return name end
  local a, b = octets:byte(1, 2)
  if a == 1 then return quantity_name(octets) end
  return a > 0 and known.media[a] and with_channel(known.media[a], b) or ""
end

local function class_name(class_id)
  return known.classes[class_id] and known.classes[class_id][1] or "class " .. class_id
end

-- Date and time: 12 octets, of which any may be unspecified.
local function date_time_text(octets)
  local year, month, day, _, hour, minute, second, hundredths, deviation, status = 0, octets:byte(3, 8)
  year = octets:byte(1) * 256 + octets:byte(2)
  hundredths, deviation, status = octets:byte(9), octets:byte(10) * 256 + octets:byte(11), octets:byte(12)
  local function part(value, form, unset) return value == unset and ("?"):rep(form == "%04d" and 4 or 2) or string.format(form, value) end
  local text = part(year, "%04d", 0xFFFF) .. "-" .. part(month, "%02d", 0xFF) .. "-" .. part(day, "%02d", 0xFF) .. " "
    .. part(hour, "%02d", 0xFF) .. ":" .. part(minute, "%02d", 0xFF) .. ":" .. part(second, "%02d", 0xFF)
  if hundredths ~= 0xFF then text = text .. string.format(".%02d", hundredths) end
  if deviation == 0x8000 then return text end
  if deviation > 0x7FFF then deviation = deviation - 0x10000 end
  local ahead = -deviation
  return string.format("%s UTC%s%02d:%02d", text, ahead < 0 and "-" or "+", floor(math.abs(ahead) / 60), math.abs(ahead) % 60)
end

local function looks_like_date_time(octets)
  if #octets ~= 12 then return false end
  local year = octets:byte(1) * 256 + octets:byte(2)
  local month, day = octets:byte(3), octets:byte(4)
  return year >= 1990 and year < 2100 and (month <= 12 or month >= 0xFD) and (day <= 31 or day >= 0xFD)
end

local function octets_text(octets)
  if looks_like_date_time(octets) then return date_time_text(octets) end
  if #octets > 0 and not octets:find("[^\32-\126]") then return '"' .. octets:sub(1, MOST_TEXT) .. '"' end
  return hex(octets:sub(1, MOST_TEXT)) .. (#octets > MOST_TEXT and "..." or "")
end

-- Values of Data. Each reader returns the text of the value, and its number if it has one.

local data = {}

local function sized(size, is_signed)
  return function(c)
    if size < 8 then
      local value = is_signed and c:signed(size) or c:number(size)
      return string.format("%.0f", value), value
    end
    local from = c.at
    c:take(8)
    if c.is_attempt then return "" end
    local number = is_signed and c:range(from):int64() or c:range(from):uint64()
    return tostring(number), number:tonumber()
  end
end

local function float(size)
  return function(c)
    local from = c.at
    c:take(size)
    if c.is_attempt then return "" end
    local value = c:range(from):float()
    return string.format("%.9g", value), value
  end
end

local function bits(c)
  local count, shown = c:length(), {}
  local octets = c:take(floor((count + 7) / 8))
  for i = 0, math.min(count, 8 * MOST_TEXT) - 1 do
    shown[#shown + 1] = band(rshift(octets:byte(floor(i / 8) + 1), 7 - i % 8), 1)
  end
  return table.concat(shown)
end

local function date_or_time(size)
  return function(c)
    local octets = c:take(size)
    return size == 12 and date_time_text(octets) or hex(octets)
  end
end

local scalars = {
  [0] = function() return "" end,
  [3] = function(c) return c:number(1) == 0 and "false" or "true" end,
  [4] = bits,
  [5] = sized(4, true), [6] = sized(4, false),
  [9] = function(c) return octets_text(c:counted()) end,
  [10] = function(c) return octets_text(c:counted()) end,
  [12] = function(c) return '"' .. c:counted():sub(1, MOST_TEXT) .. '"' end,
  [13] = function(c) return hex(c:take(1)) end,
  [15] = sized(1, true), [16] = sized(2, true), [17] = sized(1, false), [18] = sized(2, false),
  [20] = sized(8, true), [21] = sized(8, false), [22] = sized(1, false),
  [23] = float(4), [24] = float(8),
  [25] = date_or_time(12), [26] = date_or_time(5), [27] = date_or_time(4),
  [28] = sized(1, true), [29] = sized(2, true), [30] = sized(4, true),
  [31] = sized(1, false), [32] = sized(2, false), [33] = sized(4, false),
  [255] = function() return "" end,
}

local function name_of_type(tag)
  return known.lists.DataTag[tag]
end

-- The types in the description of a compact array, as {tag, elements, count}.
local function description(c)
  local tag = c:number(1)
  c.depth = c.depth + 1
  if c.depth > MOST_DEPTH then refuse(c, "more than " .. MOST_DEPTH .. " levels") end
  local found = {tag = tag}
  if tag == 1 then
    found.count = c:number(2)
    found.elements = {description(c)}
  elseif tag == 2 then
    found.elements = {}
    for i = 1, c:count(1) do found.elements[i] = description(c) end
  elseif not scalars[tag] then
    refuse(c, "no type of Data: " .. tag)
  end
  c.depth = c.depth - 1
  return found
end

local function show(c, tree, from, text, number)
  c.shown = c.shown + 1
  if c.shown > MOST_SHOWN or not tree then return nil end
  local item = tree:add(c.tvb(from, math.max(c.at - from, 0)), text)
  if number then item:add(f.number, c:range(from), number):set_hidden() end
  return item
end

local VALUES_PER_OCTET = 8 -- of a compact array: some elements have no octets

local function untagged(c, tree, kind)
  local from = c.at
  c.room = (c.room or VALUES_PER_OCTET * (#c.octets + 8)) - 1
  if c.room < 0 then refuse(c, "a compact array with more than " .. VALUES_PER_OCTET .. " values an octet") end
  if kind.elements then
    local count = kind.count or 1
    for _ = 1, count do
      for _, element in ipairs(kind.elements) do untagged(c, tree, element) end
    end
  else
    local text, number = scalars[kind.tag](c)
    show(c, tree, from, name_of_type(kind.tag) .. " " .. text, number)
  end
  return c.at > from
end

local function compact_array(c, tree)
  local kind = description(c)
  local contents = c:length()
  if contents > c:left() then refuse(c, "a compact array beyond the end") end
  local stop, count = c.at + contents, 0
  while c.at < stop do
    if not untagged(c, tree, kind) then refuse(c, "elements without octets") end
    count = count + 1
  end
  if c.at > stop then refuse(c, "the last element of a compact array is cut") end
  return "compact-array of " .. count
end

-- Reads one value and shows it under `tree`; its text and its number.
function data.read(c, tree)
  local from, tag = c.at, c:number(1)
  if c.depth >= MOST_DEPTH then refuse(c, "more than " .. MOST_DEPTH .. " levels") end
  if tag == 1 or tag == 2 then
    local count = c:count(1)
    local text = (tag == 1 and "array of " or "structure of ") .. count
    local item = show(c, tree, from, text)
    c.depth = c.depth + 1
    for _ = 1, count do data.read(c, item) end
    c.depth = c.depth - 1
    if item then item:set_len(c.at - from) end
    return text
  elseif tag == 19 then
    local item = show(c, tree, from, "compact-array")
    local text = compact_array(c, item)
    if item then item:set_len(c.at - from) item:set_text(text) end
    return text
  elseif not scalars[tag] then
    c.at = from
    refuse(c, "no type of Data: " .. tag)
  end
  local text, number = scalars[tag](c)
  text = name_of_type(tag) .. (text ~= "" and " " .. text or "")
  show(c, tree, from, text, number)
  return text, number
end

-- A value with a name: its octets, its text, its parts.
function data.field(c, tree, name)
  local from = c.at
  local item = tree:add(f.data, c.tvb(from, c:left()))
  local has_parts = scalars[c.octets:byte(from + 1)] == nil
  local text, number = data.read(c, has_parts and item or nil)
  item:set_len(c.at - from)
  if number then item:add(f.number, c:range(from), number):set_hidden() end
  item:set_text(name .. ": " .. text)
  item:add(f.value, c:range(from), text):set_hidden()
  return text
end

