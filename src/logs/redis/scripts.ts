import { NODE_LIFE_MS } from "./options.ts";
import { GUARD, IN_ANY_CASE, MAILBOX, SAME_EPOCH, type Script } from "./script-parts.ts";
import { TOPICS } from "./script-topics.ts";

/** How long the results of a node's calls are kept after its last sign of life. */
const CALLS_LIFE_MS = 3_600_000;

/**
 * Makes a mailbox, in place of an older one.
 *
 * ARGV: mailbox, the one before or "", how to push, channel, node, the number of its first call that is not settled.
 * Answers with the epochs and the head.
 */
export const JOIN: Script = {
  name: "join",
  source: `${GUARD}${MAILBOX}${IN_ANY_CASE}
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
 * Writes, and next to nothing, on the server whose data this is: replicas that have this have all that was written before it,
 * over whichever connection. `WAIT` goes by what its own connection has written.
 *
 * ARGV: node.
 */
export const MARK: Script = {
  name: "mark",
  source: `${GUARD}${SAME_EPOCH}
local written = redis.call('PEXPIRE', P .. 'c:' .. ARGV[3], ${CALLS_LIFE_MS})
return {written == 1 and 'OK' or 'GONE'}
`,
};

/**
 * Has a mailbox follow topics, and leave others.
 *
 * ARGV: mailbox, how many to follow, these, and those to leave. Answers with the head.
 */
export const FOLLOW: Script = {
  name: "follow",
  source: `${GUARD}${SAME_EPOCH}${IN_ANY_CASE}
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
  source: `${GUARD}${SAME_EPOCH}${MAILBOX}${IN_ANY_CASE}
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
 * Removes what is over its age, and what nodes that are gone have left behind: a bounded part of it.
 *
 * ARGV: now. Answers with whether there is more.
 */
export const EXPIRE: Script = {
  name: "expire",
  source: `${GUARD}${SAME_EPOCH}${MAILBOX}${TOPICS}${IN_ANY_CASE}
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
  source: `${GUARD}${MAILBOX}${IN_ANY_CASE}
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
