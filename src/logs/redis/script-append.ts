import { GUARD, MAILBOX, SAME_EPOCH, type Script } from "./script-parts.ts";
import { TOPICS } from "./script-topics.ts";

/** How many results of a node's last calls are kept: more than it ever has under way. */
const KEPT_RESULTS = 8;

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
local function followersOf(t)
  local names = followers[t.name]
  if names == nil then
    names = redis.call('SMEMBERS', P .. 'f:' .. t.name)
    names.json = cjson.encode(t.name)
    followers[t.name] = names
  end
  return names
end
local function tell(names, block)
  for i = 1, #names do
    local box = boxOf(names[i])
    if box then box.lines[#box.lines + 1] = block end
  end
end
-- Whatever happens to this call, no sequence that it may have used is used again.
local reserved = false
local function reserve()
  if reserved then return end
  reserved = true
  local appends = tonumber(ARGV[5])
  redis.call('HSET', HUB, 'head', txt(start + (#ARGV - 5 - 10 * appends) / 3 + appends))
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
        reserve()
        head = head + 1
        if t.n > 0 then redis.call('UNLINK', P .. 's:' .. topic) end
        t.last, t.trim, t.del, t.fin, t.n, t.bytes, t.fseq, t.fsize, t.ftime = head, head, 1, 0, 0, 0, 0, 0, 0
        change(t)
        local names = followersOf(t)
        tell(names, txt(head) .. ' 0 delete ' .. names.json)
      end
    else
      reserve()
      local names = followersOf(t)
      local lines = #names > 0 and { '' }
      for e = events, events + 3 * count - 1, 3 do
        head = head + 1
        local size, time, record = ARGV[e], ARGV[e + 1], ARGV[e + 2]
        redis.call('XADD', P .. 's:' .. topic, txt(head) .. '-' .. size, time, record)
        if t.n == 0 then t.fseq, t.fsize, t.ftime = head, tonumber(size), tonumber(time) end
        t.n, t.bytes = t.n + 1, t.bytes + tonumber(size)
        if lines then lines[#lines + 1] = record end
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
      if lines then
        lines[1] = txt(first) .. ' ' .. count .. ' ' .. (mark == '' and 'none' or mark) .. ' ' .. names.json
        tell(names, table.concat(lines, '\\n'))
      end
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
if reserved then redis.call('HSET', HUB, 'head', txt(head)) end
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
