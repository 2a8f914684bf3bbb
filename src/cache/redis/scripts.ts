/**
 * What must happen at once in Redis, in its own language.
 *
 * Times are those of its clock, in microseconds for rates. A rate is `free:at`: when it is free again, and when that was
 * written, so that a clock which is set back makes nobody wait for hours. An answer is `=` and its text, a question that
 * somebody is asking is `?` and who. A shelf's order names its answers by when they grow old.
 */

/** Keys: the rate, the sign that some may keep to limits of their own. Arguments: cost and delay, microseconds. -1 = that sign is there. */
export const take = `
if redis.call('EXISTS', KEYS[2]) == 1 then return -1 end
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local free, at = string.match(redis.call('GET', KEYS[1]) or '0:0', '(%d+):(%d+)')
free, at = tonumber(free), tonumber(at)
if at > now then free = now + free - at end
local from = math.max(free, now + ARGV[2])
free = from + ARGV[1]
local value = string.format('%.0f:%.0f', free, now)
redis.call('SET', KEYS[1], value, 'PX', math.ceil((free - now) / 1000) + 1000)
return from - now`

/** Keys: questions. Arguments: who asks, for how long at most, ms. An answer, `?` = another asks, `!` = we ask. */
export const look = `
local found = {}
for i, key in ipairs(KEYS) do
  local value = redis.call('GET', key)
  if not value then
    redis.call('SET', key, ARGV[1], 'PX', ARGV[2])
    found[i] = '!'
  else
    found[i] = string.sub(value, 1, 1) == '=' and value or '?'
  end
end
return found`

/** Keys: the shelf's order, questions. Arguments: how long fresh, ms, how many at most, answers. */
export const keep = `
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
for i = 2, #KEYS do
  redis.call('SET', KEYS[i], ARGV[i + 1], 'PX', ARGV[1])
  redis.call('ZADD', KEYS[1], string.format('%.0f', now + ARGV[1]), KEYS[i])
end
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', string.format('%.0f', now))
local extra = redis.call('ZCARD', KEYS[1]) - ARGV[2]
if extra > 0 then
  for _, key in ipairs(redis.call('ZRANGE', KEYS[1], 0, extra - 1)) do redis.call('DEL', key) end
  redis.call('ZREMRANGEBYRANK', KEYS[1], 0, extra - 1)
end
redis.call('PEXPIRE', KEYS[1], ARGV[1])`

/** Keys: questions. Argument: who asked. */
export const leave = `
for _, key in ipairs(KEYS) do
  if redis.call('GET', key) == ARGV[1] then redis.call('DEL', key) end
end`
