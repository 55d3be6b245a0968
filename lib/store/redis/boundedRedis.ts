import { hash } from 'node:crypto';
import { ErrorReply } from 'redis';
import { entryBytes } from '../bytes.ts';
import {
  assertTtl,
  isLive,
  type Live,
  RENEWED,
  type Remembered,
  type ResponseStore,
  type SetOptions,
  type Unsubscribe,
  type Usage,
} from '../store.ts';
import type { RedisStore } from './redisStore.ts';

/** Sorted set: every key, by the time it expires. */
const INDEX = 'cache:index';
/** Hash: for each key `cost:expiry:owner`; under the empty name the sum of all costs. */
const RECORDS = 'cache:records';
/** Sorted set: every key as `owner:expiry:key`, so that an owner's first entry is the one that expires first. */
const OWNED = 'cache:owned';
/** Sorted set: how much each owner uses. */
const OWNERS = 'cache:owners';

const BOOKS = [INDEX, RECORDS, OWNED, OWNERS] as const;
/** The script writes a value and the word that it is under. */
const WRITTEN_KEYS = 2;

/** The owner of values that two owners have set. */
const NOBODY = '*';
/** Owners are named by a digest of this length. */
const OWNER_CHARACTERS = 16;

/** With every fourth write up to this many expired entries are removed from the books. */
const MOST_STRUCK = 64;

/**
 * Writes one value within the bound. Expired entries are removed first. Then, while there is too little room, the entry that
 * expires first is evicted of whichever owner uses most; values of nobody are spared while they take no more than half. The
 * script's first write is one that a Redis without memory refuses, so that the books are never left half updated. Each call
 * costs Redis microseconds, which all gateways share.
 *
 * A Redis that evicts by itself may delete any of the books. Without the records the other books are worthless and are
 * deleted; without an owner's entries the key that expires first of all is evicted. Each round of a loop removes something,
 * so that every loop ends: Redis serves nobody else while a script runs.
 */
const WRITE = `
local key, under, index, records, owned, owners, gone = unpack(KEYS)
local value, ttl, cost, bound, owner = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4]), ARGV[5]
local mode, word, wordTtl, wordCost = ARGV[6], ARGV[7], tonumber(ARGV[8]), tonumber(ARGV[9])
local begins, isVoid = false, false
if mode == 'swap' then
  local present = redis.call('GET', key)
  if present and present ~= word then return present end
elseif mode ~= 'set' then
  local present = redis.call('GET', under)
  begins = present ~= word
  isVoid = begins and present ~= '${RENEWED}' .. word and (present or mode ~= 'begin')
end
if isVoid then
  if gone then redis.call('UNLINK', gone) end
  return
end
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local known = redis.call('HMGET', records, '', key)
local sum = tonumber(known[1]) or 0
local news, told, struck = {}, {}, false
local function account(whose, bytes) told[whose] = (told[whose] or 0) + bytes end
local function settle()
  for whose, bytes in pairs(told) do redis.call('ZINCRBY', owners, bytes, whose) end
  told = {}
end
local function member(whose, expiry, of) return string.format('%s:%014d:%s', whose, expiry, of) end
local function strike(of, record)
  local paid, expiry, whose = string.match(record or '', '^(%d+):(%d+):(.*)$')
  if paid then
    sum = sum - paid
    account(whose, -paid)
    redis.call('ZREM', owned, member(whose, expiry, of))
  end
  redis.call('HDEL', records, of)
  redis.call('ZREM', index, of)
  redis.call('UNLINK', of)
  struck = true
  return whose
end
local function book(of, content, lasts, costs, before)
  local whose = owner
  if before then
    if strike(of, before) ~= owner then whose = '${NOBODY}' end
  end
  sum = sum + costs
  redis.call('SET', of, content, 'PX', lasts)
  redis.call('ZADD', index, now + lasts, of)
  redis.call('ZADD', owned, 0, member(whose, now + lasts, of))
  account(whose, costs)
  news[#news + 1] = of
  news[#news + 1] = string.format('%d:%.0f:%s', costs, now + lasts, whose)
end
local function soonestOfMost()
  settle()
  while true do
    local most = redis.call('ZREVRANGE', owners, 0, 1, 'WITHSCORES')
    local at = 1
    if most[1] == '${NOBODY}' and most[3] and tonumber(most[4]) > 0 and most[2] * 2 <= bound then at = 3 end
    if not most[at] then return redis.call('ZRANGE', index, 0, 0)[1] end
    local first = redis.call('ZRANGEBYLEX', owned, '[' .. most[at] .. ':', '(' .. most[at] .. ';', 'LIMIT', 0, 1)
    if first[1] then return string.sub(first[1], #most[at] + 17) end
    redis.call('ZREM', owners, most[at])
  end
end
if not known[1] and redis.call('EXISTS', index, owned, owners) > 0 then redis.call('UNLINK', index, owned, owners) end
local fits = cost <= bound
local needed = (fits and cost or 0) + (begins and wordCost or 0)
if known[2] then needed = needed - (tonumber(string.match(known[2], '^%d+')) or 0) end
for _ = 1, time[2] % 4 == 0 and ${MOST_STRUCK} or 0 do
  local soonest = redis.call('ZRANGE', index, 0, 0, 'WITHSCORES')
  if not soonest[1] or tonumber(soonest[2]) > now then break end
  if soonest[1] == key then break end
  strike(soonest[1], redis.call('HGET', records, soonest[1]))
end
while sum + needed > bound do
  local leaving = soonestOfMost()
  if not leaving then break end
  if leaving == key then
    needed = needed + (tonumber(string.match(known[2] or '', '^%d+')) or 0)
    known[2] = false
  end
  strike(leaving, redis.call('HGET', records, leaving))
end
if begins then book(under, word, wordTtl, wordCost, redis.call('HGET', records, under)) end
if fits then
  book(key, value, ttl, cost, known[2])
elseif known[2] then
  strike(key, known[2])
else
  redis.call('UNLINK', key)
end
redis.call('HSET', records, '', sum, unpack(news))
settle()
if struck then redis.call('ZREMRANGEBYSCORE', owners, '-inf', 0) end
if gone then redis.call('UNLINK', gone) end
if mode == 'swap' then return value end
`;

/** Memory of the books for each key: two numbers, an owner and three more copies of the key. */
const BOOKKEEPING_BYTES = 400;

/**
 * Responses in a Redis that also keeps tokens. They are bounded here: a Redis that evicts by itself would evict revocations
 * as well, and one that does not would refuse revocations when it is full.
 */
export class BoundedRedis implements ResponseStore {
  readonly isShared = true;
  readonly #store: RedisStore;
  readonly #maxBytes: number;

  constructor(store: RedisStore, maxBytes: number) {
    this.#store = store;
    this.#maxBytes = maxBytes;
  }

  /** Why Redis is away; undefined when it is not. */
  get awayBecause(): Error | undefined {
    return this.#store.awayBecause;
  }

  /** Every response is taken in: Redis makes room among all gateways, and this one sees only its own requests. */
  admits(_name: string): boolean {
    return true;
  }

  get(key: string): Promise<Buffer | undefined> {
    return this.#store.get(key);
  }

  getAll(keys: readonly string[]): Promise<(Buffer | undefined)[]> {
    return this.#store.getAll(keys);
  }

  peek(key: string): Remembered<Buffer | undefined> | undefined {
    return this.#store.peek(key);
  }

  async set(
    key: string,
    value: Buffer | string | Live,
    ttlMs: number,
    { owner, under, gone }: SetOptions = {},
  ): Promise<void> {
    const bytes = isLive(value) ? value.toBytes() : value;
    const mode = under ? (under.mayBegin ? 'begin' : 'under') : 'set';
    const keys = [key, under?.key ?? key, ...BOOKS, ...(gone === undefined ? [] : [gone])];
    const word = under ? [under.value, String(under.ttlMs), String(costOf(under.key, under.value))] : [];
    await this.#write(keys, bytes, ttlMs, [ownerName(owner), mode, ...word]);
  }

  async swap(key: string, expected: Buffer | undefined, value: string, ttlMs: number): Promise<Buffer> {
    return (await this.#write([key, key, ...BOOKS], value, ttlMs, [
      NOBODY,
      'swap',
      expected ?? '',
    ])) as Buffer;
  }

  /**
   * The word is not counted in the books: it expires after `ttlMs`, or is counted along with what is set under it. The old
   * word is deleted first, which even a Redis without memory does. From then on nothing is set under the old word.
   */
  async renew(key: string, word: string, ttlMs: number): Promise<void> {
    assertTtl(ttlMs);
    const deleted = this.#store.delete(key);
    const renewed = this.#store.set(key, RENEWED + word, ttlMs).catch((error: Error) => {
      if (!(error.cause instanceof ErrorReply)) throw error;
    });
    await Promise.all([deleted, renewed]);
  }

  /** Not counted in the books, which would cost many times as much: there is at most one for each request under way. */
  claim(key: string, value: string, ttlMs: number): Promise<boolean> {
    return this.#store.setIfAbsent(key, value, ttlMs);
  }

  /** Its cost stays in the books until it would have expired. */
  delete(key: string): Promise<void> {
    return this.#store.delete(key);
  }

  publish(channel: string, message: string): Promise<void> {
    return this.#store.publish(channel, message);
  }

  subscribe(channel: string, listener: (message: string) => void): Promise<Unsubscribe> {
    return this.#store.subscribe(channel, listener);
  }

  async usage(): Promise<readonly Usage[]> {
    const [entries, bytes] = await Promise.all([
      this.#store.read(['ZCARD', INDEX]),
      this.#store.read(['HGET', RECORDS, '']),
    ]);
    return [{ tier: 'store', entries: Number(entries), bytes: Number(bytes ?? 0) }, this.#store.nearUsage];
  }

  async #write(
    keys: readonly string[],
    value: Buffer | string,
    ttlMs: number,
    rest: readonly (string | Buffer)[],
  ): Promise<unknown> {
    assertTtl(ttlMs);
    const bytes = typeof value === 'string' ? Buffer.from(value) : value;
    const numbers = [String(ttlMs), String(costOf(keys[0] as string, bytes)), String(this.#maxBytes)];
    return this.#store.evaluate(WRITE, keys, [bytes, ...numbers, ...rest], WRITTEN_KEYS);
  }
}

function costOf(key: string, value: Buffer | string): number {
  return entryBytes(key, value.length) + 3 * key.length + BOOKKEEPING_BYTES;
}

function ownerName(owner: string | undefined): string {
  return owner ? hash('sha256', owner, 'base64url').slice(0, OWNER_CHARACTERS) : NOBODY;
}
