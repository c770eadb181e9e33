// The part of the log that runs inside Redis. A script is one atomic step there: nobody sees half of it.
//
// Keys, all in one slot, below `<prefix>{<name>}:`
//
// | key | what |
// | --- | --- |
// | `hub` | hash: epoch, epochs, the server that epoch was begun on, head, floor |
// | `t:<topic>` | what is known of a topic, as one line; see `load` |
// | `s:<topic>` | its events, a stream; an id is `<sequence>-<size>`, the field is the event's time |
// | `f:<topic>` | set: the mailboxes of nodes that follow it |
// | `n:<box>`, `nt:<box>` | a mailbox (hash), and the topics that it is a member of (set) |
// | `c:<node>` | hash: which of a node's calls was the last one, and the results of the last few |
// | `p:<length>:<topic>:<id>` | the result of a publish that may be repeated |
// | `due`, `empty`, `nodes`, `gone` | topics by the time when they are to be looked at; topics without events; mailboxes by their last sign of life; mailboxes whose memberships are to be removed |

/** A script, and how it is called for short. */
export interface Script {
  readonly name: string;
  readonly source: string;
}

/** How many results of a node's last calls are kept: more than it ever has under way. */
const KEPT_RESULTS = 8;
/** Topics without events that are still remembered, so that their readers are told exactly. */
const MAX_EMPTY_TOPICS = 1000;
/** How many events one call removes at the most: a few milliseconds of the server. */
const MAX_TRIMMED = 2000;
const MAX_EPOCHS = 1000;
/** A node that gave no sign of life for so long is gone. */
const NODE_LIFE_MS = 60_000;
/** How long the results of a node's calls are kept after its last sign of life. */
const CALLS_LIFE_MS = 3_600_000;

/**
 * Every script begins with the question whose data this is. A server that was restarted, or that took over from another,
 * has another identity than the one that the epoch was begun on, and may lack something: a new epoch begins.
 *
 * ARGV: the epoch that the caller goes by, and a number for a new one.
 */
const GUARD = `
local HUB = KEYS[1]
local P = string.sub(HUB, 1, -4)
local function num(text) return tonumber(text or '0') or 0 end
local function txt(number) return string.format('%.0f', number) end
local info = redis.pcall('INFO', 'server', 'replication')
if type(info) ~= 'string' then info = redis.call('INFO', 'server') .. redis.call('INFO', 'replication') end
local server = string.match(info, 'run_id:(%x+)') .. string.match(info, 'master_replid:(%x+)')
local hub = redis.call('HMGET', HUB, 'epoch', 'server', 'head', 'floor')
local epoch, head, floor = hub[1], num(hub[3]), num(hub[4])
if hub[2] ~= server then
  epoch = ARGV[2]
  local epochs = redis.call('HGET', HUB, 'epochs')
  epochs = (epochs and (epochs .. ' ') or '') .. epoch .. ':' .. txt(head + 1)
  local _, older = string.gsub(epochs, ' ', ' ')
  if older >= ${MAX_EPOCHS} then epochs = string.match(epochs, ' (.*)') end
  redis.call('HSET', HUB, 'epoch', epoch, 'server', server, 'head', txt(head), 'floor', txt(floor), 'epochs', epochs, 'format', '1')
end
`;

const SAME_EPOCH = `
if epoch ~= ARGV[1] then return {'EPOCH'} end
`;

/** Mailboxes: one ordered stream of messages for each node, whatever it follows. */
const MAILBOX = `
local function drop(box)
  redis.call('DEL', P .. 'n:' .. box)
  redis.call('ZREM', P .. 'nodes', box)
  redis.call('SADD', P .. 'gone', box)
end
local function post(box, mode, channel, message)
  local receivers
  if mode == 's' then receivers = redis.call('SPUBLISH', channel, message)
  else receivers = redis.call('PUBLISH', channel, message) end
  -- In a cluster of before 7 the count leaves out who listens at other servers.
  if mode == 'c' then return 1 end
  return receivers
end
`;

/** Topics as they are read and written in one call. */
const TOPICS = `
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
  local key, chunk, at, size = P .. 's:' .. t.name, nil, 0, 1
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

/**
 * Makes a mailbox, in place of an older one.
 *
 * ARGV: mailbox, the one before or "", how to push, channel, node, the number of its first call that is not settled.
 * Answers with the epochs and the head.
 */
export const JOIN: Script = {
  name: "join",
  source: `${GUARD}${MAILBOX}
local box, before, mode, channel, node, first = ARGV[3], ARGV[4], ARGV[5], ARGV[6], ARGV[7], num(ARGV[8])
local calls = P .. 'c:' .. node
local done = redis.call('HGET', calls, 'done')
if not done or num(done) < first - 1 then
  redis.call('DEL', calls)
  redis.call('HSET', calls, 'done', txt(first - 1))
end
redis.call('PEXPIRE', calls, ${CALLS_LIFE_MS})
if before ~= '' then drop(before) end
redis.call('HSET', P .. 'n:' .. box, 'through', txt(head), 'mode', mode, 'channel', channel)
redis.call('ZADD', P .. 'nodes', redis.call('TIME')[1], box)
return {'OK', redis.call('HGET', HUB, 'epochs'), txt(head)}
`,
};

/**
 * Has a mailbox follow topics, and leave others.
 *
 * ARGV: mailbox, how many to follow, these, and those to leave. Answers with the head.
 */
export const FOLLOW: Script = {
  name: "follow",
  source: `${GUARD}${SAME_EPOCH}
local box, count = ARGV[3], tonumber(ARGV[4])
if redis.call('EXISTS', P .. 'n:' .. box) == 0 then return {'UNKNOWN'} end
for i = 5, #ARGV do
  if i <= 4 + count then
    redis.call('SADD', P .. 'f:' .. ARGV[i], box)
    redis.call('SADD', P .. 'nt:' .. box, ARGV[i])
  else
    redis.call('SREM', P .. 'f:' .. ARGV[i], box)
    redis.call('SREM', P .. 'nt:' .. box, ARGV[i])
  end
end
return {'OK', txt(head)}
`,
};

/**
 * Posts how far the log is: a message like any other, so that whoever gets it has got all before it, or sees that
 * something is missing.
 *
 * ARGV: mailbox, node, and "sync" where the mailbox begins here. Answers with how many got the message.
 */
export const CHECK: Script = {
  name: "check",
  source: `${GUARD}${SAME_EPOCH}${MAILBOX}
local box, node, sync = ARGV[3], ARGV[4], ARGV[5] == 'sync'
local at = redis.call('HMGET', P .. 'n:' .. box, 'through', 'mode', 'channel')
if not at[1] then return {'UNKNOWN'} end
redis.call('HSET', P .. 'n:' .. box, 'through', txt(head))
redis.call('ZADD', P .. 'nodes', redis.call('TIME')[1], box)
redis.call('PEXPIRE', P .. 'c:' .. node, ${CALLS_LIFE_MS})
local after = sync and txt(head) or at[1]
local message = (sync and 'S ' or 'M ') .. box .. ' ' .. epoch .. ' ' .. after .. ' ' .. txt(head)
return {'OK', tostring(post(box, at[2], at[3], message))}
`,
};

/** Takes a mailbox away. ARGV: mailbox. */
export const LEAVE: Script = {
  name: "leave",
  source: `${GUARD}${MAILBOX}
drop(ARGV[3])
return {'OK'}
`,
};

/**
 * Stores what several publishers want stored, and posts it to the nodes that follow.
 *
 * A node numbers its calls and repeats one until it is answered. So a call that comes again is answered as it was the first
 * time, and one that comes after a later one, out of some buffer of the network, is done no more.
 *
 * ARGV: node, the call's number, how many appends; for each: topic, how many events, mark, condition, publishId, its
 * window, the limits (events, bytes, age), now; for each event: size, time, record. An append whose mark is "skip" is none.
 * Answers with a line for each append.
 */
export const APPEND: Script = {
  name: "append",
  source: `${GUARD}${SAME_EPOCH}${MAILBOX}${TOPICS}
local calls, number = P .. 'c:' .. ARGV[3], tonumber(ARGV[4])
local done = num(redis.call('HGET', calls, 'done'))
if number <= done then
  -- A write, so that replicas can be waited for.
  redis.call('HSET', calls, 'again', ARGV[4])
  return {'OK', redis.call('HGET', calls, 'r' .. ARGV[4]) or ''}
end
if number ~= done + 1 then return {'ORDER', txt(done)} end
-- The first write: where Redis refuses writes it refuses this one, and nothing is done by halves.
redis.call('HSET', calls, 'done', ARGV[4])
local start, at, results = head, 6, { epoch }
local topics, changed, followers, boxes, boxlist = {}, {}, {}, {}, {}

local function change(t)
  if not t.changed then
    t.changed = true
    changed[#changed + 1] = t
  end
end
local function boxOf(name, topic)
  local box = boxes[name]
  if box == nil then
    local found = redis.call('HMGET', P .. 'n:' .. name, 'through', 'mode', 'channel')
    box = found[1] and { name = name, through = found[1], mode = found[2], channel = found[3], lines = {} } or false
    boxes[name] = box
    if box then boxlist[#boxlist + 1] = box end
  end
  return box
end
local function tell(t, block)
  local names = followers[t.name]
  if names == nil then
    names = redis.call('SMEMBERS', P .. 'f:' .. t.name)
    followers[t.name] = names
  end
  for i = 1, #names do
    local box = boxOf(names[i])
    if box then box.lines[#box.lines + 1] = block end
  end
end

for i = 1, tonumber(ARGV[5]) do
  local topic, count, mark, expect, id = ARGV[at], tonumber(ARGV[at + 1]), ARGV[at + 2], ARGV[at + 3], ARGV[at + 4]
  local events = at + 10
  local t = topics[topic]
  if t == nil then
    t = load(topic)
    topics[topic] = t
  end
  local idkey = id ~= '' and (P .. 'p:' .. #topic .. ':' .. topic .. ':' .. id) or nil
  local seen = idkey and redis.call('GET', idkey)
  if seen then
    local deadline, result = string.match(seen, '^(%S+) (.*)')
    seen = tonumber(deadline) > tonumber(ARGV[at + 9]) and result or nil
  end
  local result
  if mark == 'skip' then
    result = 's'
  elseif seen then
    result = '=' .. seen
  elseif t.fin > 0 and mark ~= 'delete' then
    result = (mark == 'finish' and count == 0) and ('=' .. txt(t.fin) .. ' 1 ' .. epoch) or 'f'
  elseif (expect == 'null' and t.n > 0) or (expect ~= '' and expect ~= 'null' and (t.known and t.last or floor) > tonumber(expect)) then
    result = 'c'
  else
    local first = head + 1
    if mark == 'delete' then
      if t.n > 0 or t.fin > 0 then
        head = head + 1
        redis.call('HSET', HUB, 'head', txt(head))
        if t.n > 0 then redis.call('UNLINK', P .. 's:' .. topic) end
        t.last, t.trim, t.del, t.fin, t.n, t.bytes, t.fseq, t.fsize, t.ftime = head, head, 1, 0, 0, 0, 0, 0, 0
        change(t)
        tell(t, txt(head) .. ' 0 delete ' .. cjson.encode(topic))
      end
    else
      local lines = { '' }
      redis.call('HSET', HUB, 'head', txt(head + count + (mark == 'finish' and 1 or 0)))
      for e = events, events + 3 * count - 1, 3 do
        head = head + 1
        local size, time, record = ARGV[e], ARGV[e + 1], ARGV[e + 2]
        redis.call('XADD', P .. 's:' .. topic, txt(head) .. '-' .. size, time, record)
        if t.n == 0 then t.fseq, t.fsize, t.ftime = head, tonumber(size), tonumber(time) end
        t.n, t.bytes = t.n + 1, t.bytes + tonumber(size)
        lines[#lines + 1] = record
      end
      if mark == 'finish' then
        head = head + 1
        t.fin = head
      end
      t.known, t.last = true, head
      t.maxn, t.maxb = tonumber(ARGV[at + 6]), tonumber(ARGV[at + 7])
      t.age = tonumber(ARGV[at + 8])
      t.now = tonumber(ARGV[at + 9])
      change(t)
      lines[1] = txt(first) .. ' ' .. count .. ' ' .. (mark == '' and 'none' or mark) .. ' ' .. cjson.encode(topic)
      tell(t, table.concat(lines, '\\n'))
    end
    result = txt(first) .. ' ' .. txt(head - first + 1) .. ' ' .. epoch
    if idkey then
      local window = tonumber(ARGV[at + 5])
      redis.call('SET', idkey, txt(tonumber(ARGV[at + 9]) + window) .. ' ' .. result, 'PX', txt(window + 60000))
    end
    result = '+' .. result
  end
  results[#results + 1] = result
  at = events + 3 * count
end

for i = 1, #changed do
  local t = changed[i]
  trim(t, large)
  list(t, large(t) and t.now or nil)
  save(t)
end
if #changed > 0 then forget() end
local answer = table.concat(results, '\\n')
redis.call('HSET', calls, 'r' .. ARGV[4], answer)
redis.call('HDEL', calls, 'r' .. txt(number - ${KEPT_RESULTS}))
for i = 1, #boxlist do
  local box = boxlist[i]
  if #box.lines > 0 then
    local message = 'M ' .. box.name .. ' ' .. epoch .. ' ' .. box.through .. ' ' .. txt(head) .. '\\n' .. table.concat(box.lines, '\\n')
    if post(box.name, box.mode, box.channel, message) == 0 then drop(box.name)
    else redis.call('HSET', P .. 'n:' .. box.name, 'through', txt(head)) end
  end
end
return {'OK', answer}
`,
};

/**
 * Reads entries of several topics in their one order. Costs about what it answers with: of each topic only so much is
 * looked at as the page may need.
 *
 * ARGV: "after" or "last", the sequence or how many, most entries, most bytes, topics. Answers with where the page begins
 * and ends, the head, a line for each topic's state, and two lines for each entry.
 */
export const READ: Script = {
  name: "read",
  source: `${GUARD}${SAME_EPOCH}${TOPICS}
local mode, value, most, bytesLeft = ARGV[3], tonumber(ARGV[4]), tonumber(ARGV[5]), tonumber(ARGV[6])
local topics, states = {}, {}
for i = 7, #ARGV do
  local t = load(ARGV[i])
  t.index = i - 7
  topics[#topics + 1] = t
  states[#states + 1] = string.format('%.0f %.0f %.0f %d %.0f', t.fseq, t.last, t.trim, t.del, t.fin)
end

-- A heap of places in topics, the one whose entry comes next on top.
local heap, before
local function sink(i)
  local size = #heap
  while true do
    local least = i
    local child = 2 * i
    if child <= size and before(heap[child], heap[least]) then least = child end
    if child < size and before(heap[child + 1], heap[least]) then least = child + 1 end
    if least == i then return end
    heap[i], heap[least] = heap[least], heap[i]
    i = least
  end
end
local function pop()
  local size = #heap
  heap[1] = heap[size]
  heap[size] = nil
  sink(1)
end
local function parse(place)
  local entry = place.chunk[place.at]
  if not entry then return false end
  local sequence, size = string.match(entry[1], '(%d+)-(%d+)')
  place.id, place.seq, place.size, place.record = entry[1], tonumber(sequence), tonumber(size), entry[2][2]
  return true
end
local function open(forward, from, chunk)
  heap = {}
  for i = 1, #topics do
    local t = topics[i]
    if t.n > 0 and (not forward or t.last > from) then
      local place = { topic = t, at = 1, size = chunk }
      place.count = math.min(chunk, t.n)
      if forward then place.chunk = redis.call('XRANGE', P .. 's:' .. t.name, txt(from + 1) .. '-0', '+', 'COUNT', place.count)
      else place.chunk = redis.call('XREVRANGE', P .. 's:' .. t.name, '+', '-', 'COUNT', place.count) end
      if parse(place) then heap[#heap + 1] = place end
    end
  end
  for i = math.floor(#heap / 2), 1, -1 do sink(i) end
end
local function step(forward, limit)
  local place = heap[1]
  place.at = place.at + 1
  if not place.chunk[place.at] and #place.chunk == place.count then
    local t = place.topic
    local average = math.max(1, t.bytes / math.max(1, t.n))
    place.count = math.max(1, math.min(place.count * 2, 250, limit, math.ceil(bytesLeft / average) + 1))
    place.at = 1
    if forward then place.chunk = redis.call('XRANGE', P .. 's:' .. t.name, '(' .. place.id, '+', 'COUNT', place.count)
    else place.chunk = redis.call('XREVRANGE', P .. 's:' .. t.name, '(' .. place.id, '-', 'COUNT', place.count) end
  end
  if parse(place) then sink(1) else pop() end
end

local after = value
if mode == 'last' then
  local total, oldest = 0, nil
  for i = 1, #topics do
    local t = topics[i]
    total = total + t.n
    if t.n > 0 and (not oldest or t.fseq < oldest) then oldest = t.fseq end
  end
  if value <= 0 or not oldest then
    after = head
  elseif total <= value then
    after = oldest - 1
  else
    before = function(a, b) return a.seq > b.seq end
    open(false, 0, math.max(1, math.min(100, math.ceil(value / #topics))))
    for left = value, 1, -1 do
      oldest = heap[1].seq
      if left > 1 then step(false, left) end
    end
    after = oldest - 1
  end
end

before = function(a, b) return a.seq < b.seq end
local active, least = 0, nil
for i = 1, #topics do
  local t = topics[i]
  if t.n > 0 and t.last > after then
    active = active + 1
    local average = t.bytes / t.n
    if not least or average > least then least = average end
  end
end
local chunk = 1
if active > 0 and most > 1 then
  chunk = math.max(1, math.min(250, most, math.floor(math.min(most, 2000) / active), math.ceil(bytesLeft / math.max(1, least) / active)))
end
local entries, through = {}, math.max(after, head)
if active > 0 then open(true, after, chunk) else heap = {} end
local count, last = 0, after
while #heap > 0 do
  if count >= most or bytesLeft <= 0 then
    through = last
    break
  end
  local place = heap[1]
  entries[#entries + 1] = place.topic.index .. ' ' .. txt(place.seq)
  entries[#entries + 1] = place.record
  count, last, bytesLeft = count + 1, place.seq, bytesLeft - place.size
  if count >= most or bytesLeft <= 0 then
    -- Only whether there is one more is of interest.
    step(true, 1)
  else
    step(true, most - count)
  end
end
return {'OK', txt(after), txt(through), txt(head), table.concat(states, '\\n'), table.concat(entries, '\\n')}
`,
};

/**
 * Removes what is over its age, and what nodes that are gone have left behind: a bounded part of it.
 *
 * ARGV: now. Answers with whether there is more.
 */
export const EXPIRE: Script = {
  name: "expire",
  source: `${GUARD}${SAME_EPOCH}${MAILBOX}${TOPICS}
local now = tonumber(ARGV[3])
local function old(t) return large(t) or (t.age >= 0 and t.ftime + t.age <= now) end
local due = redis.call('ZRANGEBYSCORE', P .. 'due', '-inf', txt(now), 'LIMIT', 0, 500)
for i = 1, #due do
  if budget <= 0 then break end
  local t = load(due[i])
  if t.known then
    trim(t, old)
    list(t, old(t) and now or nil, true)
    save(t)
  else
    redis.call('ZREM', P .. 'due', due[i])
  end
end
forget()
local time = tonumber(redis.call('TIME')[1])
local silent = redis.call('ZRANGEBYSCORE', P .. 'nodes', '-inf', txt(time - ${NODE_LIFE_MS / 1000}), 'LIMIT', 0, 10)
for i = 1, #silent do drop(silent[i]) end
local box = redis.call('SRANDMEMBER', P .. 'gone')
if box then
  local left = redis.call('SPOP', P .. 'nt:' .. box, 500)
  for i = 1, #left do redis.call('SREM', P .. 'f:' .. left[i], box) end
  if #left < 500 then redis.call('SREM', P .. 'gone', box) end
end
return {'OK', (budget <= 0 or #due == 500) and '1' or '0'}
`,
};

/** Uses every command that the others use, on a key that is gone afterwards: so missing rights show when the log is opened. */
export const PROBE: Script = {
  name: "probe",
  source: `${GUARD}${MAILBOX}
local key = P .. 'probe:' .. ARGV[3]
redis.call('SET', key, '1', 'PX', 60000)
redis.call('GET', key)
redis.call('EXISTS', key)
redis.call('PEXPIRE', key, 60000)
redis.call('DEL', key)
redis.call('SADD', key, 'a', 'b')
redis.call('SMEMBERS', key)
redis.call('SRANDMEMBER', key)
redis.call('SREM', key, 'b')
redis.call('SPOP', key, 1)
redis.call('ZADD', key, 1, 'a', 2, 'b')
redis.call('ZCARD', key)
redis.call('ZRANGEBYSCORE', key, '-inf', 1, 'LIMIT', 0, 1)
redis.call('ZPOPMIN', key, 1)
redis.call('ZREM', key, 'b')
redis.call('XADD', key, '1-1', 'f', 'v')
redis.call('XRANGE', key, '(1-0', '+', 'COUNT', 1)
redis.call('XREVRANGE', key, '+', '-', 'COUNT', 1)
redis.call('XTRIM', key, 'MINID', '1-1')
redis.call('UNLINK', key)
redis.call('HDEL', key, 'f')
post('', ARGV[4], ARGV[5], '')
return {'OK'}
`,
};
