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

const MAX_EPOCHS = 1000;

/**
 * For scripts that readers depend on: has what follows done also where memory is short. Redis looks at that before a script's
 * first write alone, so as to leave nothing half done, and never where the command can only remove, as this one.
 */
export const IN_ANY_CASE = `
redis.call('HDEL', HUB, '')
`;

/**
 * Every script begins with the question whose data this is. A server that was restarted, or that took over from another,
 * has another identity than the one that the epoch was begun on, and may lack something: a new epoch begins. Its number is
 * by chance, since the data can't tell which ones there were that it lacks; those that it has are not taken again.
 *
 * Before that, in a cluster, the question whether all of it is here. While a hub's slot is moved its keys are on two servers,
 * and a script would be broken off half done, or would take for missing what is elsewhere. Then neither server says of two keys
 * that neither has how many there are, and nothing is done until the slot has moved.
 *
 * ARGV: the epoch that the caller goes by, and a number for a new one.
 */
export const GUARD = `
local HUB = KEYS[1]
local P = string.sub(HUB, 1, -4)
local function num(text) return tonumber(text or '0') or 0 end
local function txt(number) return string.format('%.0f', number) end
local info = redis.pcall('INFO', 'server', 'replication')
if type(info) ~= 'string' then info = redis.call('INFO', 'server') .. redis.call('INFO', 'replication') end
if string.find(info, '_mode:cluster', 1, true) then
  local missing = redis.pcall('EXISTS', P .. 'none', P .. 'nothing')
  if type(missing) ~= 'number' then return redis.error_reply('TRYAGAIN The slot of the hub is being moved') end
end
local server = string.match(info, 'run_id:(%x+)') .. string.match(info, 'master_replid:(%x+)')
local hub = redis.call('HMGET', HUB, 'epoch', 'server', 'head', 'floor')
local epoch, head, floor = hub[1], num(hub[3]), num(hub[4])
if hub[2] ~= server then
${IN_ANY_CASE}
  local epochs = redis.call('HGET', HUB, 'epochs')
  epoch = ARGV[2]
  while string.find(' ' .. (epochs or ''), ' ' .. epoch .. ':', 1, true) do epoch = txt(num(epoch) + 1) end
  epochs = (epochs and (epochs .. ' ') or '') .. epoch .. ':' .. txt(head + 1)
  local _, older = string.gsub(epochs, ' ', ' ')
  if older >= ${MAX_EPOCHS} then epochs = string.match(epochs, ' (.*)') end
  redis.call('HSET', HUB, 'epoch', epoch, 'server', server, 'head', txt(head), 'floor', txt(floor), 'epochs', epochs, 'format', '1')
end
`;

export const SAME_EPOCH = `
if epoch ~= ARGV[1] then return {'EPOCH'} end
`;

/** Mailboxes: one ordered stream of messages for each node, whatever it follows. */
export const MAILBOX = `
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
