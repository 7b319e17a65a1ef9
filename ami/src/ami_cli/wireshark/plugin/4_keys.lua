-- Keys, from the file of the preference -------------------------------------------------------------------------------------

local keys = {all = {}, by_title = {}, by_address = {}, trouble = nil}
do
  local MOST = 1000000
  local hexadecimal = {title = 8, client = 8, ek = true, ak = true, dk = true}

  local function octets_of(hex)
    if #hex % 2 == 1 or hex:find("%X") then return nil end
    return (hex:gsub("%x%x", function(pair) return string.char(tonumber(pair, 16)) end))
  end

  -- `title=HEX ek=HEX ak=HEX ...`: an entry; nil and what is wrong with it. The line itself is a secret.
  local function entry_of(line)
    local found = {}
    for name, text in line:gmatch("(%w+)=(%S+)") do
      if hexadecimal[name] and text ~= "*" then
        local octets = octets_of(text)
        local good = octets and (#octets == hexadecimal[name] or (hexadecimal[name] == true and (#octets == 16 or #octets == 32)))
        if not good then return nil, name .. " has the wrong length or is no hex" end
        found[name] = octets
      elseif name == "name" or name == "address" then
        found[name] = text
      elseif text ~= "*" then
        return nil, "what is " .. name .. "?"
      end
    end
    if not found.ek then return nil, "there is no ek" end
    return found
  end

  local function keep(entry)
    keys.all[#keys.all + 1] = entry
    if entry.title then keys.by_title[entry.title] = entry end
    if entry.address then keys.by_address[entry.address] = entry end
  end

  function keys.read(path)
    keys.all, keys.by_title, keys.by_address, keys.trouble = {}, {}, {}, nil
    gcm.forget()
    if path == "" then return end
    local file, problem = io.open(path, "r")
    if not file then
      keys.trouble = "the key file can't be read: " .. tostring(problem)
      return
    end
    local number = 0
    for line in file:lines() do
      number = number + 1
      if number > MOST then break end
      if line:find("%S") and not line:find("^%s*#") then
        local entry, wrong = entry_of(line)
        if entry then keep(entry) else keys.trouble = keys.trouble or ("key file, line " .. number .. ": " .. wrong) end
      end
    end
    file:close()
  end
end

