-- What is remembered over packets ------------------------------------------------------------------------------------------------
-- Wireshark dissects a packet again whenever it likes, in any order. So whatever depends on the packets before is found once, when
-- an APDU is seen for the first time, and kept under the number of its frame and its own octets.

local MOST_WAITING = 16 * 1024 * 1024
local memos, conversations, counters = {}, {}, {}

local function forget_everything()
  memos, conversations, counters = {}, {}, {}
  keys.read(amidlms.prefs.keys)
end

-- What is known of an APDU of a frame, and whether it is new.
local function memo_of(frame, octets)
  local of_frame = memos[frame]
  if not of_frame then
    of_frame = {}
    memos[frame] = of_frame
  end
  if of_frame[octets] then return of_frame[octets], false end
  of_frame[octets] = {}
  return of_frame[octets], true
end

local function ends_of(pinfo)
  return tostring(pinfo.src) .. ":" .. pinfo.src_port, tostring(pinfo.dst) .. ":" .. pinfo.dst_port
end

-- The conversation of two ends, and of two stations behind them (wrapper ports, HDLC addresses).
local function conversation_of(pinfo, kind, source, destination)
  local one, other = ends_of(pinfo)
  local mine, theirs = one .. "/" .. source, other .. "/" .. destination
  local name = kind .. (mine < theirs and mine .. " " .. theirs or theirs .. " " .. mine)
  local found = conversations[name]
  if not found then
    found = {pending = {}, blocks = {}, segments = {}, addresses = {one, other}}
    conversations[name] = found
  end
  return found, mine
end

-- Requests and responses: a request waits under its invoke id.

local REQUESTS = {
  [5] = "short", [6] = "short", [96] = "association", [98] = "release", [192] = "id", [193] = "id", [195] = "id", [217] = "id", [15] = "push",
}
local RESPONSES = {
  [12] = "short", [13] = "short", [97] = "association", [99] = "release", [196] = "id", [197] = "id", [199] = "id", [218] = "id",
  [16] = "push", [14] = "any", [216] = "any",
}

local function key_of(way, message)
  if way == "id" or way == "push" then return way .. (message.invoke_id or "") end
  return way
end

local function note_request(message, memo, pinfo, talk)
  local way = REQUESTS[message.tag]
  if (way == "id" or way == "push") and not message.confirmed then return end
  talk.asked = true
  local request = {frame = pinfo.number, at = pinfo.rel_ts, memo = memo}
  talk.pending[key_of(way, message)] = request
  talk.last = request
end

local function note_response(message, memo, pinfo, talk)
  local way = RESPONSES[message.tag]
  local key = key_of(way, message)
  local request = way == "any" and talk.last or talk.pending[key]
  if request then
    memo.request_in, memo.took = request.frame, pinfo.rel_ts - request.at
    request.memo.response_in = pinfo.number
    talk.pending[key] = nil
    if talk.last == request then talk.last = nil end
  elseif way == "id" and talk.asked then
    memo.unexpected = true
  end
end

local function link(message, memo, is_new, pinfo, tree, talk)
  if is_new then
    if REQUESTS[message.tag] then note_request(message, memo, pinfo, talk) end
    if RESPONSES[message.tag] then note_response(message, memo, pinfo, talk) end
  end
  if memo.response_in then tree:add(f.response_in, memo.response_in):set_generated() end
  if memo.request_in then
    tree:add(f.request_in, memo.request_in):set_generated()
    local seconds = floor(memo.took)
    tree:add(f.response_time, NSTime.new(seconds, floor((memo.took - seconds) * 1e9 + 0.5))):set_generated()
  end
  if memo.unexpected then
    tree:add_proto_expert_info(e.invoke_id, "No request with this invoke id (" .. message.invoke_id:sub(2) .. ") waits for a response")
  end
end

-- Blocks: those of a transfer wait until the last one is there.

local function gather(talk, key, number, octets, is_last, memo)
  local waiting = talk.blocks[key]
  if not waiting or number == 1 then
    waiting = {size = 0, highest = 0, parts = {}}
    talk.blocks[key] = waiting
  end
  if octets ~= "" and number > waiting.highest + 1 then memo.gap = waiting.highest + 1 end
  if not waiting.parts[number] then waiting.size = waiting.size + #octets end
  if waiting.size > MOST_WAITING then
    talk.blocks[key] = nil
    return
  end
  waiting.parts[number] = octets ~= "" and octets or waiting.parts[number] or ""
  waiting.highest = math.max(waiting.highest, number)
  if not is_last or octets == "" then return end
  talk.blocks[key] = nil
  local parts = {}
  for i = 1, number do
    if not waiting.parts[i] then return end
    parts[i] = waiting.parts[i]
  end
  memo.together, memo.blocks = table.concat(parts), number
end

-- The counter of a key under which a title sends: it has to rise.
local function note_counter(key, counter, memo)
  local before = counters[key]
  if before and counter <= before then memo.counter_before = before end
  if not before or counter > before then counters[key] = counter end
end

