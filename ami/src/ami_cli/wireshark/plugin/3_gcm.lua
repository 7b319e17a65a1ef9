-- AES-GCM (FIPS 197, NIST SP 800-38D): Wireshark's libgcrypt where Lua can reach it (from 4.6), else here ------------------------
-- Blocks are four words of 32 bits. Only AES's forward direction is needed.

local gcm = {}
do
  local sbox, te = {}, {{}, {}, {}, {}}
  local function double(x)
    local y = lshift(x, 1)
    return y > 255 and bxor(y, 0x11b) or y
  end

  local function make_tables()
    local power, log, x = {}, {}, 1
    for i = 0, 254 do
      power[i], log[x] = x, i
      x = bxor(x, double(x))
    end
    for i = 0, 255 do
      local inverse = i == 0 and 0 or power[(255 - log[i]) % 255]
      local s = inverse
      for shift = 1, 4 do s = bxor(s, band(bor(lshift(inverse, shift), rshift(inverse, 8 - shift)), 255)) end
      sbox[i] = bxor(s, 0x63)
      local s2 = double(sbox[i])
      local column = bor(lshift(s2, 24), lshift(sbox[i], 16), lshift(sbox[i], 8), bxor(s2, sbox[i]))
      for row = 1, 4 do te[row][i] = rol(column, -8 * (row - 1)) end
    end
  end
  make_tables()
  local te0, te1, te2, te3 = te[1], te[2], te[3], te[4]

  local function word(octets, at)
    local a, b, c, d = octets:byte(at, at + 3)
    return bor(lshift(a or 0, 24), lshift(b or 0, 16), lshift(c or 0, 8), d or 0)
  end

  local function octets_of(...)
    local found = {}
    for i, one in ipairs({...}) do
      found[i] = string.char(band(rshift(one, 24), 255), band(rshift(one, 16), 255), band(rshift(one, 8), 255), band(one, 255))
    end
    return table.concat(found)
  end

  local function substituted(x)
    return bor(lshift(sbox[band(rshift(x, 24), 255)], 24), lshift(sbox[band(rshift(x, 16), 255)], 16),
      lshift(sbox[band(rshift(x, 8), 255)], 8), sbox[band(x, 255)])
  end

  local function schedule(key)
    local size = floor(#key / 4)
    local rounds, w, constant = size + 6, {}, 1
    for i = 0, size - 1 do w[i] = word(key, 4 * i + 1) end
    for i = size, 4 * (rounds + 1) - 1 do
      local t = w[i - 1]
      if i % size == 0 then
        t = bxor(substituted(rol(t, 8)), lshift(constant, 24))
        constant = double(constant)
      elseif size > 6 and i % size == 4 then
        t = substituted(t)
      end
      w[i] = bxor(w[i - size], t)
    end
    return w, rounds
  end

  local function encrypt(w, rounds, a, b, c, d)
    a, b, c, d = bxor(a, w[0]), bxor(b, w[1]), bxor(c, w[2]), bxor(d, w[3])
    for round = 1, rounds - 1 do
      local at = 4 * round
      local a1 = bxor(te0[band(rshift(a, 24), 255)], te1[band(rshift(b, 16), 255)], te2[band(rshift(c, 8), 255)], te3[band(d, 255)], w[at])
      local b1 = bxor(te0[band(rshift(b, 24), 255)], te1[band(rshift(c, 16), 255)], te2[band(rshift(d, 8), 255)], te3[band(a, 255)], w[at + 1])
      local c1 = bxor(te0[band(rshift(c, 24), 255)], te1[band(rshift(d, 16), 255)], te2[band(rshift(a, 8), 255)], te3[band(b, 255)], w[at + 2])
      d = bxor(te0[band(rshift(d, 24), 255)], te1[band(rshift(a, 16), 255)], te2[band(rshift(b, 8), 255)], te3[band(c, 255)], w[at + 3])
      a, b, c = a1, b1, c1
    end
    local at = 4 * rounds
    local function last(p, q, r, s, key)
      return bxor(bor(lshift(sbox[band(rshift(p, 24), 255)], 24), lshift(sbox[band(rshift(q, 16), 255)], 16),
        lshift(sbox[band(rshift(r, 8), 255)], 8), sbox[band(s, 255)]), key)
    end
    return last(a, b, c, d, w[at]), last(b, c, d, a, w[at + 1]), last(c, d, a, b, w[at + 2]), last(d, a, b, c, w[at + 3])
  end

  -- What is shifted out of a product by four bits comes back at its head.
  local reduced = {}
  for nibble = 0, 15 do
    local left, r = nibble, 0
    for _ = 1, 4 do
      r = bxor(rshift(r, 1), band(left, 1) == 1 and 0xe100 or 0)
      left = rshift(left, 1)
    end
    reduced[nibble] = lshift(r, 16)
  end

  -- The products of H and each number of four bits.
  local function multiples(h0, h1, h2, h3)
    local m = {[0] = {0, 0, 0, 0}, [8] = {h0, h1, h2, h3}}
    local a, b, c, d, i = h0, h1, h2, h3, 4
    while i > 0 do
      local out = band(d, 1)
      a, b, c, d = rshift(a, 1), bor(rshift(b, 1), lshift(a, 31)), bor(rshift(c, 1), lshift(b, 31)), bor(rshift(d, 1), lshift(c, 31))
      if out == 1 then a = bxor(a, 0xe1000000) end
      m[i] = {a, b, c, d}
      i = floor(i / 2)
    end
    for _, high in ipairs({2, 4, 8}) do
      for low = 1, high - 1 do
        local p, q = m[high], m[low]
        m[high + low] = {bxor(p[1], q[1]), bxor(p[2], q[2]), bxor(p[3], q[3]), bxor(p[4], q[4])}
      end
    end
    return m
  end

  local function multiplied(m, x0, x1, x2, x3)
    local z0, z1, z2, z3 = 0, 0, 0, 0
    for _, x in ipairs({x3, x2, x1, x0}) do
      for shift = 0, 28, 4 do
        local out = band(z3, 15)
        z3 = bor(rshift(z3, 4), lshift(z2, 28))
        z2 = bor(rshift(z2, 4), lshift(z1, 28))
        z1 = bor(rshift(z1, 4), lshift(z0, 28))
        z0 = bxor(rshift(z0, 4), reduced[out])
        local p = m[band(rshift(x, shift), 15)]
        z0, z1, z2, z3 = bxor(z0, p[1]), bxor(z1, p[2]), bxor(z2, p[3]), bxor(z3, p[4])
      end
    end
    return z0, z1, z2, z3
  end

  local function hashed(m, aad, octets)
    local y0, y1, y2, y3 = 0, 0, 0, 0
    for _, part in ipairs({aad, octets}) do
      for at = 1, #part, 16 do
        y0, y1, y2, y3 = multiplied(m, bxor(y0, word(part, at)), bxor(y1, word(part, at + 4)), bxor(y2, word(part, at + 8)), bxor(y3, word(part, at + 12)))
      end
    end
    return multiplied(m, y0, bxor(y1, 8 * #aad), y2, bxor(y3, 8 * #octets))
  end

  local ready = {}

  local function cipher_of(key)
    if not ready[key] then
      local w, rounds = schedule(key)
      ready[key] = {w = w, rounds = rounds, multiples = multiples(encrypt(w, rounds, 0, 0, 0, 0))}
    end
    return ready[key]
  end

  -- Plaintext, and the tag of 16 octets.
  local function open_in_lua(key, nonce, aad, octets)
    local cipher = cipher_of(key)
    local w, rounds = cipher.w, cipher.rounds
    local n0, n1, n2 = word(nonce, 1), word(nonce, 5), word(nonce, 9)
    local found, number = {}, 1
    for at = 1, #octets, 16 do
      number = number + 1
      local k0, k1, k2, k3 = encrypt(w, rounds, n0, n1, n2, number)
      found[#found + 1] = octets_of(bxor(k0, word(octets, at)), bxor(k1, word(octets, at + 4)), bxor(k2, word(octets, at + 8)), bxor(k3, word(octets, at + 12)))
    end
    local s0, s1, s2, s3 = hashed(cipher.multiples, aad, octets)
    local t0, t1, t2, t3 = encrypt(w, rounds, n0, n1, n2, 1)
    return table.concat(found):sub(1, #octets), octets_of(bxor(s0, t0), bxor(s1, t1), bxor(s2, t2), bxor(s3, t3))
  end

  local function open_with_gcrypt(key, nonce, aad, octets)
    local algorithm = #key == 32 and GCRY_CIPHER_AES256 or GCRY_CIPHER_AES
    local cipher = GcryptCipher.open(algorithm, GCRY_CIPHER_MODE_GCM, 0)
    cipher:setkey(ByteArray.new(key, true))
    cipher:setiv(ByteArray.new(nonce, true))
    if #aad > 0 then cipher:authenticate(ByteArray.new(aad, true)) end
    local plain = #octets > 0 and cipher:decrypt(nil, ByteArray.new(octets, true)):raw() or ""
    return plain, cipher:gettag():raw()
  end

  -- It is taken only if it gives what is computed here.
  local function gcrypt_works()
    local key, nonce, aad, octets = ("k"):rep(16), ("n"):rep(12), ("a"):rep(17), ("o"):rep(33)
    local plain, tag = open_in_lua(key, nonce, aad, octets)
    local good, their_plain, their_tag = pcall(open_with_gcrypt, key, nonce, aad, octets)
    return good and their_plain == plain and their_tag:sub(1, 16) == tag
  end
  gcm.open = GcryptCipher and gcrypt_works() and open_with_gcrypt or open_in_lua
  gcm.is_own = gcm.open == open_in_lua
  function gcm.forget() ready = {} end
end

