/**
 * The shared tier's commands that must be atomic for one key. KEYS[1] is the value, KEYS[2] the flight: who runs the
 * statement now, or `-` when nobody is to be waited for. Both have the digest as their hash tag, so that in a cluster they
 * are on one node, and each pair of them anywhere. `pcall`: something else under a key, or a Redis that takes no writes,
 * is a value that is not there and a flight that is not waited for.
 */
export const sharedScripts = {
  /** ARGV: owner, lease in ms. The value and its life in ms; or 1 leading, 2 alone, 3 busy. */
  find: `
local value = redis.pcall('GET', KEYS[1])
if type(value) == 'string' then return {value, redis.call('PTTL', KEYS[1])} end
local taken = redis.pcall('SET', KEYS[2], ARGV[1], 'NX', 'PX', ARGV[2])
if taken and not taken.err then return 1 end
if taken and taken.err then return 2 end
local holder = redis.pcall('GET', KEYS[2])
if type(holder) ~= 'string' or holder == '-' then return 2 end
return 3`,
  /** ARGV: owner, how long nobody is to be waited for, in ms; 0 = the next one leads. */
  leave: `
if redis.pcall('GET', KEYS[2]) ~= ARGV[1] then return 0 end
if tonumber(ARGV[2]) > 0 then redis.call('SET', KEYS[2], '-', 'PX', ARGV[2]) else redis.call('DEL', KEYS[2]) end
return 1`,
  /** ARGV: owner, lease in ms. */
  extend: `
if redis.pcall('GET', KEYS[2]) ~= ARGV[1] then return 0 end
return redis.call('PEXPIRE', KEYS[2], ARGV[2])`,
} as const
