import { GUARD, SAME_EPOCH, type Script } from "./script-parts.ts";
import { TOPICS } from "./script-topics.ts";

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
