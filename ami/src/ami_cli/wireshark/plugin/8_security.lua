-- What is protected: whose key, under which title, and whether the tag holds --------------------------------------------------------

local MOST_TRIED = 64
local AUTHENTICATED, ENCRYPTED, BROADCAST, COMPRESSED = 0x10, 0x20, 0x40, 0x80
local GLO, DED, GENERAL, SIGNING = 219, 220, 221, 223
local TAG_SIZE, HEADER_SIZE = 12, 5

local dissect_apdu

local function is_from_server(tag)
  local name = known.tags[tag] or ""
  return name:find("response$") ~= nil or name:find("error$") ~= nil or name:find("notification") ~= nil or name:find("report") ~= nil
end

-- Entries of the key file that may be meant, the likeliest first.
local function entries_for(talk, title)
  local found, seen = {}, {}
  local function add(entry)
    if entry and not seen[entry] then
      seen[entry] = true
      found[#found + 1] = entry
    end
  end
  add(talk.entry)
  if title then add(keys.by_title[title]) end
  if talk.server_title then add(keys.by_title[talk.server_title]) end
  for _, address in ipairs(talk.addresses) do
    add(keys.by_address[address])
    add(keys.by_address[(address:gsub(":%d+$", ""))])
  end
  if #keys.all <= MOST_TRIED then
    for _, entry in ipairs(keys.all) do add(entry) end
  else
    for _, entry in ipairs(keys.all) do
      if not entry.title then add(entry) end
    end
  end
  return found
end

local function titles_for(talk, entry, title, from_server)
  if title and #title == 8 then return {title} end
  local found = {}
  local function add(one)
    if one and #one == 8 then found[#found + 1] = one end
  end
  if from_server then add(talk.server_title) add(entry.title) else add(talk.client_title) add(entry.client) end
  return found
end

-- One attempt: plaintext, and whether the tag holds (nil when nothing can tell).
local function attempt(content, control, key, auth_key, title, context)
  local nonce, head = title .. content:sub(2, HEADER_SIZE), content:sub(1, 1)
  local is_authenticated = band(control, AUTHENTICATED) ~= 0
  local stop = #content - (is_authenticated and TAG_SIZE or 0)
  local body, tag = content:sub(HEADER_SIZE + 1, stop), content:sub(stop + 1)
  if band(control, ENCRYPTED) == 0 then
    if not auth_key then return body, nil end
    local _, computed = gcm.open(key, nonce, head .. auth_key .. context .. body, "")
    return body, computed:sub(1, TAG_SIZE) == tag
  end
  local aad = is_authenticated and auth_key and head .. auth_key .. context or ""
  local plain, computed = gcm.open(key, nonce, aad, body)
  if is_authenticated and auth_key then return plain, computed:sub(1, TAG_SIZE) == tag end
  return plain, nil
end

-- Whether octets are an APDU to the last of them: where there is no tag, nothing else tells a right key from a wrong one.
local function is_apdu(octets)
  local known_apdu = known.apdus[octets:byte(1)]
  if not known_apdu then return false end
  local c = attempt_of(octets)
  c.at = 1
  return pcall(walk, known_apdu[2], c, nothing, nil, new_message("", octets:byte(1))) and c:left() == 0
end

-- Tries keys and titles; what was found goes into the memo.
local function decipher(message, content, control, memo, talk)
  local is_dedicated = message.tag == DED or (known.ciphered_services[message.tag] and known.tags[message.tag]:sub(1, 3) == "ded")
  local sender = message.system_title or message.originator_system_title
  local tried = false
  for _, entry in ipairs(entries_for(talk, sender)) do
    local key = entry.ek
    if is_dedicated then key = talk.dedicated_key or entry.dk end
    for _, title in ipairs(key and titles_for(talk, entry, sender, is_from_server(message.tag)) or {}) do
      local plain, good = attempt(content, control, key, entry.ak, title, message.context or "")
      if good or (good == nil and is_apdu(plain)) then
        memo.plain, memo.good, memo.title, memo.name = plain, good, title, entry.name
        if good then
          talk.entry = entry
          local number = content:sub(2, 2):byte() * 2 ^ 24 + content:byte(3) * 2 ^ 16 + content:byte(4) * 256 + content:byte(5)
          note_counter(title .. key, number, memo)
        end
        return
      end
      if good == false and (keys.by_title[title] == entry or talk.entry == entry) then memo.good = false end
      tried = true
    end
  end
  if memo.good == false then return end
  if keys.trouble then memo.why = keys.trouble
  elseif #keys.all == 0 then memo.why = "no keys: name a key file in the preferences of amidlms"
  elseif is_dedicated and not talk.dedicated_key then memo.why = "the dedicated key is not known: the association was not seen"
  elseif not tried then memo.why = "no system title is known: the association was not seen"
  else memo.why = "no key of the file fits" end
end

local function show_content(c, tree, message)
  local content, at = message.content, message.content_at
  local control = content:byte(1)
  local range = c.tvb(at, 1)
  local item = tree:add(f.control, range, control)
  item:add(f.suite, range, band(control, 15))
  item:add(f.authenticated, range, band(control, AUTHENTICATED) ~= 0)
  item:add(f.encrypted, range, band(control, ENCRYPTED) ~= 0)
  if band(control, BROADCAST) ~= 0 then item:add(range, "broadcast key") end
  if band(control, COMPRESSED) ~= 0 then item:add(range, "compressed") end
  tree:add(f.ic, c.tvb(at + 1, 4))
  local stop = #content - (band(control, AUTHENTICATED) ~= 0 and TAG_SIZE or 0)
  if band(control, ENCRYPTED) ~= 0 and stop > HEADER_SIZE then tree:add(f.ciphertext, c.tvb(at + HEADER_SIZE, stop - HEADER_SIZE)) end
  if band(control, AUTHENTICATED) ~= 0 then tree:add(f.auth_tag, c.tvb(at + stop, TAG_SIZE)) end
end

local function show_verdict(tree, memo, control)
  if memo.name then tree:add(f.meter, memo.name):set_generated() end
  if memo.title then tree:add(f.sec_title, hex(memo.title)):set_generated() end
  if memo.good ~= nil then tree:add(f.sec_ok, memo.good):set_generated() end
  if memo.good == false then
    tree:add_proto_expert_info(e.tag, "The authentication tag does not hold: another key, or it was changed on its way")
  elseif memo.why then
    tree:add_proto_expert_info(e.no_key, "Not deciphered: " .. memo.why)
  end
  if memo.counter_before then
    tree:add_proto_expert_info(e.counter, string.format("The invocation counter does not rise: %.0f came before", memo.counter_before))
  end
end

-- The octets before the key information, each with its length: the tag of general-ciphering covers them.
local function context_of(c, message, stop)
  if message.tag ~= GENERAL then return "" end
  return c.octets:sub(message.start + 2, stop)
end

local function open_content(c, tree, message, memo, is_new, pinfo, talk, layers)
  local content = message.content
  local control = content:byte(1) or 0
  local least = HEADER_SIZE + (band(control, AUTHENTICATED) ~= 0 and TAG_SIZE or 0)
  if #content < least then refuse(c, "a content that is protected so has at least " .. least .. " octets, got " .. #content) end
  show_content(c, tree, message)
  if is_new then
    if band(control, COMPRESSED) ~= 0 then memo.why = "compressed contents are not supported"
    elseif message.key_choice and message.key_choice > 0 then memo.why = "the message brings its own key"
    elseif band(control, AUTHENTICATED + ENCRYPTED) == 0 then memo.plain = content:sub(HEADER_SIZE + 1)
    else decipher(message, content, control, memo, talk) end
    if memo.plain == nil and band(control, ENCRYPTED) == 0 then
      memo.plain = content:sub(HEADER_SIZE + 1, #content - (band(control, AUTHENTICATED) ~= 0 and TAG_SIZE or 0))
    end
  end
  show_verdict(tree, memo, control)
  if not memo.plain or #memo.plain == 0 then return nil end
  local inner = ByteArray.new(memo.plain, true):tvb(band(control, ENCRYPTED) ~= 0 and "Deciphered APDU" or "APDU")
  tree:add(f.clear, inner()):set_generated()
  return dissect_apdu(inner, pinfo, tree, talk, layers + 1)
end

