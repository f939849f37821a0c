/**
 * The control plane's scripts. Redis runs each as one step, so that nobody ever sees a token without its log entry, or a
 * position without the tokens that belong to it.
 *
 * Keys, all in one slot of a cluster and none with a TTL:
 *   control    registry, epoch, identity, seq, fence, latest, settled, lease; and how many items the other three must have
 *   tokens     relation -> "token", "token|fence" or, after soft changes, "token|fence|links": the tokens that they replaced and
 *              the time in ms that each allowed, as "token=ms" with commas between, newest first
 *   log        the newest changes, oldest first: {"o": instance that raised, "n": names, or absent for "everything"}
 *   instances  instance -> "seq:beat": the change that it has applied, and the number of its heartbeat
 *
 * `open` comes first in each: what it finds is taken only if it is whole (no key was evicted or flushed) and was written to
 * this very server in this very life (run_id and master_replid). Otherwise tokens may have been lost, and everything is
 * started anew under an epoch and a registry that the caller has drawn at random.
 */
const open = `
local control, tokens, log, instances = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local function identity()
  local id = string.match(redis.call('INFO', 'server'), 'run_id:(%w+)')
  local replid = string.match(redis.call('INFO', 'replication'), 'master_replid:(%w+)')
  return id .. '/' .. replid
end
local function sizes()
  return redis.call('HLEN', tokens) .. '/' .. redis.call('LLEN', log) .. '/' .. redis.call('HLEN', instances)
end
local function stateOf()
  local c = redis.call('HMGET', control, 'registry', 'epoch', 'identity', 'seq', 'sizes', 'fence', 'latest', 'settled', 'lease')
  if c[1] and c[2] and c[4] and c[3] == identity() and c[5] == sizes() then
    return { registry = c[1], epoch = c[2], seq = tonumber(c[4]), fence = c[6], latest = c[7], settled = c[8], lease = tonumber(c[9]) }
  end
  return nil
end
local function open(fresh)
  local state = stateOf()
  if state then return state end
  redis.call('DEL', control, tokens, log, instances)
  redis.call('HSET', control, 'registry', fresh, 'epoch', fresh, 'identity', identity(), 'seq', 0,
    'fence', 'unprovable', 'latest', '', 'settled', '0', 'lease', 0, 'sizes', sizes())
  return stateOf()
end
`

/**
 * ARGV: instance, a random name, registry and seq as the instance knows them, number of the heartbeat, "1" when it has
 * known the registry for a lease, most instances, its lease in ms.
 * Gives registry, epoch, seq, fence, settled, longest lease, kind; then for "news" origins and a flat list of names and tokens, for "all"
 * the flat list.
 */
const heartbeat = `${open}
local state = open(ARGV[2])
local known = tonumber(ARGV[4])
local isLost = ARGV[3] == state.registry and known > state.seq
if isLost or redis.call('HLEN', instances) > tonumber(ARGV[7]) then
  redis.call('DEL', control)
  state = open(ARGV[2])
end
local isKnown = ARGV[3] == state.registry
local applied = isKnown and known or -1
redis.call('HSET', instances, ARGV[1], applied .. ':' .. ARGV[5])
if isKnown and ARGV[6] == '1' and state.settled ~= '1' then
  redis.call('HSET', control, 'settled', '1')
  state.settled = '1'
end
local lease = tonumber(ARGV[8])
if lease > state.lease then
  redis.call('HSET', control, 'lease', lease)
  state.lease = lease
end
redis.call('HSET', control, 'sizes', sizes())
local reply = { state.registry, state.epoch, state.seq, state.fence or '', state.settled, state.lease }
local missing = state.seq - applied
if isKnown and missing == 0 then
  reply[7] = 'same'
  return reply
end
local names, origins, isAll = {}, {}, not isKnown or missing > redis.call('LLEN', log)
if not isAll then
  for _, text in ipairs(redis.call('LRANGE', log, -missing, -1)) do
    local entry = cjson.decode(text)
    origins[#origins + 1] = entry.o
    if entry.n then
      for _, name in ipairs(entry.n) do names[#names + 1] = name end
    else
      isAll = true
    end
  end
end
if isAll then
  reply[7], reply[8], reply[9] = 'all', {}, redis.call('HGETALL', tokens)
  return reply
end
local changes = {}
for _, name in ipairs(names) do
  local value = redis.call('HGET', tokens, name)
  if value then
    changes[#changes + 1] = name
    changes[#changes + 1] = value
  end
end
reply[7], reply[8], reply[9] = 'news', origins, changes
return reply
`

/**
 * ARGV: instance, a random name, a unique text for the tokens, fence or "", most tokens, most log entries, most names in one
 * entry, channel, "1" for a new epoch, ms for which a soft change allows what was before or "" for a hard one, most links of a token, names.
 * Gives registry, epoch, seq, longest lease, and 1 when there were too many tokens and a new epoch has begun for that.
 */
const raise = `${open}
local state = open(ARGV[2])
local function position(fence)
  local high, low = string.match(fence, '^(%x+)/(%x+)$')
  if not high then return nil end
  return tonumber(high, 16), tonumber(low, 16)
end
local function later(left, right)
  if not left or left == '' or left == right then return right end
  if right == '' then return left end
  local leftHigh, leftLow = position(left)
  local rightHigh, rightLow = position(right)
  if not leftHigh or not rightHigh then return 'unprovable' end
  if leftHigh > rightHigh or (leftHigh == rightHigh and leftLow > rightLow) then return left end
  return right
end
local function softLinks(before)
  local links = { (before and string.match(before, '^[^|]*') or '') .. '=' .. ARGV[10] }
  local older = before and string.match(before, '^[^|]*|[^|]*|(.*)$') or ''
  for link in string.gmatch(older, '[^,]+') do
    if #links < tonumber(ARGV[11]) then links[#links + 1] = link end
  end
  return table.concat(links, ',')
end
local fence, isNewEpoch, isOverflow = ARGV[4], ARGV[9] == '1', 0
local seq = redis.call('HINCRBY', control, 'seq', 1)
local token = string.format('%012x', seq) .. '-' .. ARGV[3]
local latest = later(state.latest, fence)
local names = {}
for index = 12, #ARGV do
  local name = ARGV[index]
  names[#names + 1] = name
  local before = redis.call('HGET', tokens, name)
  local own = later(before and string.match(before, '^[^|]*|([^|]*)'), fence)
  local value = own == '' and token or (token .. '|' .. own)
  if ARGV[10] ~= '' then
    value = token .. '|' .. own .. '|' .. softLinks(before)
  end
  redis.call('HSET', tokens, name, value)
end
if redis.call('HLEN', tokens) > tonumber(ARGV[5]) then
  isNewEpoch, isOverflow = true, 1
end
local epoch = state.epoch
if isNewEpoch then
  epoch = token
  redis.call('DEL', tokens)
  redis.call('HSET', control, 'epoch', epoch, 'fence', later(state.fence, latest))
end
local isListed = not isNewEpoch and #names > 0 and #names <= tonumber(ARGV[7])
redis.call('RPUSH', log, cjson.encode({ o = ARGV[1], n = isListed and names or nil }))
redis.call('LTRIM', log, -tonumber(ARGV[6]), -1)
redis.call('HSET', control, 'latest', latest, 'sizes', sizes())
redis.call('PUBLISH', ARGV[8], state.registry .. ' ' .. seq)
return { state.registry, epoch, seq, state.lease, isOverflow }
`

/** ARGV: none. Gives registry or "" (nothing here is to be trusted), settled, and instance -> "seq:beat" as a flat list. */
const status = `${open}
local state = stateOf()
if not state then return { '', '0', {} } end
return { state.registry, state.settled, redis.call('HGETALL', instances) }
`

/** ARGV: registry, then pairs of instance and "seq:beat", or "" for whatever it is. Forgets those that have not changed. */
const forget = `${open}
local state = stateOf()
if not state or state.registry ~= ARGV[1] then return 0 end
local forgotten = 0
for index = 2, #ARGV, 2 do
  local known = redis.call('HGET', instances, ARGV[index])
  if known and (ARGV[index + 1] == '' or known == ARGV[index + 1]) then
    redis.call('HDEL', instances, ARGV[index])
    forgotten = forgotten + 1
  end
end
redis.call('HSET', control, 'sizes', sizes())
return forgotten
`

/**
 * ARGV: registry, position or "". A new registry does not know the fences of the one before, so that only the primary may answer.
 * A position that was read after the registry had begun is not before any of them.
 */
const fence = `${open}
local state = stateOf()
if not state or state.registry ~= ARGV[1] or state.fence ~= 'unprovable' then return 0 end
redis.call('HSET', control, 'fence', ARGV[2])
return 1
`

export const controlScripts = { heartbeat, raise, status, forget, fence }

export type ControlScripts = typeof controlScripts
