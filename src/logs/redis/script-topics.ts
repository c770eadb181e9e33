/** Topics without events that are still remembered, so that their readers are told exactly. */
const MAX_EMPTY_TOPICS = 1000;
/** How many events one call removes at the most: a few milliseconds of the server. */
const MAX_TRIMMED = 2000;

/** Topics as they are read and written in one call. */
export const TOPICS = `
local budget = ${MAX_TRIMMED}
local function load(topic)
  local line = redis.call('GET', P .. 't:' .. topic)
  if not line then return { name = topic, known = false, last = 0, trim = floor, del = 0, fin = 0, n = 0, bytes = 0, age = -1, due = 0, fseq = 0, fsize = 0, ftime = 0, empty = 0, maxn = -1, maxb = -1 } end
  local a, b, c, d, e, f, g, h, i, j, k, l, m, o = string.match(line, '^(%S+) (%S+) (%S+) (%S+) (%S+) (%S+) (%S+) (%S+) (%S+) (%S+) (%S+) (%S+) (%S+) (%S+)')
  return { name = topic, known = true, last = tonumber(a), trim = tonumber(b), del = tonumber(c), fin = tonumber(d), n = tonumber(e), bytes = tonumber(f), age = tonumber(g), due = tonumber(h), fseq = tonumber(i), fsize = tonumber(j), ftime = tonumber(k), empty = tonumber(l), maxn = tonumber(m), maxb = tonumber(o) }
end
local function save(t)
  redis.call('SET', P .. 't:' .. t.name, string.format('%.0f %.0f %d %.0f %.0f %.0f %.0f %.0f %.0f %.0f %.17g %d %.0f %.0f', t.last, t.trim, t.del, t.fin, t.n, t.bytes, t.age, t.due, t.fseq, t.fsize, t.ftime, t.empty, t.maxn, t.maxb))
end
local function large(t)
  return t.n > 1 and ((t.maxn >= 0 and t.n > t.maxn) or (t.maxb >= 0 and t.bytes > t.maxb))
end
-- Removes the oldest events while a topic is over a limit, as far as one call may.
local function trim(t, over)
  if t.n == 0 or not over(t) then return end
  local key, chunk, at = P .. 's:' .. t.name, nil, 0
  local size = math.max(1, math.min(100, t.maxn >= 0 and t.n - t.maxn or 1))
  while t.n > 0 and budget > 0 and over(t) do
    budget = budget - 1
    local id = txt(t.fseq) .. '-' .. txt(t.fsize)
    t.n, t.bytes, t.trim, t.del = t.n - 1, t.bytes - t.fsize, t.fseq, 0
    at = at + 1
    if t.n > 0 and (not chunk or not chunk[at]) then
      chunk, at = redis.call('XRANGE', key, '(' .. id, '+', 'COUNT', size), 1
      size = math.min(size * 2, 100)
    end
    if t.n > 0 then
      local sequence, bytes = string.match(chunk[at][1], '(%d+)-(%d+)')
      t.fseq, t.fsize, t.ftime = tonumber(sequence), tonumber(bytes), tonumber(chunk[at][2][1])
    end
  end
  if t.n == 0 then
    t.fseq, t.fsize, t.ftime, t.bytes = 0, 0, 0, 0
    redis.call('UNLINK', key)
  else
    redis.call('XTRIM', key, 'MINID', txt(t.fseq) .. '-' .. txt(t.fsize))
  end
end
-- Keeps a topic in the lists in which it belongs. 'now' where it is to be looked at anew at once; not 'exact' where it may
-- be looked at too early, which saves writes.
local function list(t, now, exact)
  local due = 0
  if t.n > 0 then
    if now then due = now
    elseif t.age >= 0 then due = math.ceil(t.ftime + t.age) end
  end
  if not exact and t.due > 0 and t.due < due then due = t.due end
  if due ~= t.due then
    if due == 0 then redis.call('ZREM', P .. 'due', t.name) else redis.call('ZADD', P .. 'due', txt(due), t.name) end
    t.due = due
  end
  if t.n == 0 then
    t.empty = 1
    redis.call('ZADD', P .. 'empty', txt(head), t.name)
  elseif t.empty == 1 then
    t.empty = 0
    redis.call('ZREM', P .. 'empty', t.name)
  end
end
-- Forgets topics that have been empty for the longest.
local function forget()
  local many = redis.call('ZCARD', P .. 'empty') - ${MAX_EMPTY_TOPICS}
  if many <= 0 then return end
  local forgotten = redis.call('ZPOPMIN', P .. 'empty', math.min(many, 500))
  for i = 1, #forgotten, 2 do
    local t = load(forgotten[i])
    floor = math.max(floor, t.trim, t.last)
    redis.call('DEL', P .. 't:' .. t.name)
    if t.due ~= 0 then redis.call('ZREM', P .. 'due', t.name) end
  end
  redis.call('HSET', HUB, 'floor', txt(floor))
end
`;
