"""Lua scripts of the Redis store, each atomic, and the layout of its records.

Each script touches keys of one slot only, all of them declared, so that it runs in a
cluster too. Lua and the commands are those of Redis 6.2.

It does not know connections.
"""

from __future__ import annotations

import hashlib
import math
from struct import Struct
from typing import NamedTuple

# Version, who wrote it, forget_at. A reply may be lost when the write was not: the
# writer's mark shows a repeated commit that it succeeded before.
HEADER = Struct(">Q8sd")
VERSION = Struct(">Q")
SECONDS = Struct(">d")
WRITER_BYTES = 8
# Of what a commit's script returns.
STORED, PASSED, UNMARKED = 1, 2, 3
# Beyond this an expiry in milliseconds would not be exact; it is as good as never.
NEVER_SECONDS = 2.0**42


class Script(NamedTuple):
    """A script's text and the name the server keeps it by."""

    text: str
    sha: str


def _script(text: str) -> Script:
    # SHA-1 is the name Redis gives a script; nothing is secured by it.
    return Script(text, hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest())


# The header of a key of another type, of a value that is cut off, and of one with a
# version that no session reaches: long due, and with a version, so that the entry can
# be replaced and deleted. `read_version` has the same rule.
READ_HEADER = """
local function read_header(entry)
  local stored = redis.pcall('GETRANGE', entry, 0, 23)
  if type(stored) == 'table' and not string.find(stored.err, 'WRONGTYPE') then
    error(stored.err)
  end
  if stored == '' or type(stored) == 'string' and #stored == 24
      and string.byte(stored) == 0
      and string.sub(stored, 1, 8) ~= string.rep('\\0', 8) then
    return stored
  end
  return string.rep('\\0', 7) .. '\\1' .. string.rep('\\0', 16)
end
"""

# Returns 1 where stored, 0 where another's record stands in its place, 2 where the key
# is at another version still: there its own may have stood in between, 3 where an entry
# would begin in a bucket without its store's mark. A step puts its
# key back into a damaged index of keys; `forget` does so for the index by time. ZREM of
# no key: a script that has written something may continue to write at maxmemory, so
# live sessions advance, and end, where no new one may begin.
COMMIT = _script(
    READ_HEADER
    + """
local entry, keys, due, mark = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local expected, record, name, forget_at, expire, id = unpack(ARGV)
local stored = read_header(entry)
local version = stored == '' and string.rep('\\0', 8) or string.sub(stored, 1, 8)
if version ~= expected then
  if stored ~= '' and string.sub(stored, 1, 16) == string.sub(record, 1, 16) then
    return 1
  end
  return version == string.sub(record, 1, 8) and 0 or 2
end
if stored == '' and redis.pcall('GET', mark) ~= id then
  return 3
end
local added = redis.pcall('ZADD', keys, 'NX', 0, name)
if type(added) == 'table' then
  if string.find(added.err, 'WRONGTYPE') then
    redis.call('DEL', keys)
  elseif stored ~= '' then
    redis.call('ZREM', keys, '')
  end
  added = redis.call('ZADD', keys, 'NX', 0, name)
end
if added == 1 then
  redis.call('ZADD', due, 'NX', forget_at, name)
end
if stored ~= '' and struct.unpack('>d', string.sub(record, 17, 24))
    < struct.unpack('>d', string.sub(stored, 17, 24)) then
  redis.call('ZADD', due, 'LT', forget_at, name)
end
if expire == '' then
  redis.call('SET', entry, record)
else
  redis.call('SET', entry, record, 'PXAT', expire)
end
return 1
"""
)

# Returns 1 where the entry is gone now, 0 where it is due later than the index knew.
FORGET = _script(
    READ_HEADER
    + """
local entry, keys, due = KEYS[1], KEYS[2], KEYS[3]
local name, now = unpack(ARGV)
local stored = read_header(entry)
if stored ~= '' then
  redis.call('ZREM', due, name)
  local forget_at = struct.unpack('>d', string.sub(stored, 17, 24))
  if forget_at > struct.unpack('>d', now) then
    redis.call('ZADD', due, string.format('%.17g', forget_at), name)
    return 0
  end
end
redis.call('DEL', entry)
redis.pcall('ZREM', keys, name)
redis.call('ZREM', due, name)
return 1
"""
)


def read_version(reply: bytes) -> int:
    """Read an entry's version; 0 where the entry is damaged."""
    if len(reply) < HEADER.size or reply[0]:
        return 0
    return int(VERSION.unpack_from(reply)[0])


def score(seconds: float) -> str:
    """Write a time as the score of a sorted set, exactly."""
    return "+inf" if math.isinf(seconds) else repr(seconds)


def expiry_ms(forget_at: float) -> str:
    """Write when the server may drop an entry by itself; empty for never."""
    if forget_at >= NEVER_SECONDS:
        return ""
    return str(max(1, math.ceil(forget_at * 1000)))
