import { entryBytes } from './bytes.ts';
import type { RedisStore } from './redisStore.ts';
import {
  assertTtl,
  isLive,
  type Live,
  type Remembered,
  type ResponseStore,
  type Unsubscribe,
  type Usage,
} from './store.ts';

/** Every key by the moment it expires, and what each costs; the sum is under the empty name. */
const INDEX = 'cache:index';
const COSTS = 'cache:costs';

/** What has expired is struck off with a write, up to this many. */
const MOST_STRUCK = 16;

/**
 * Writes one value within the bound: what has expired is struck off, and what expires soonest leaves early, as
 * with Redis's own `volatile-ttl`. The first write of all is one that a Redis without memory refuses, so that
 * the books are never left half done. Each call from here costs Redis microseconds, which all gateways share.
 */
const WRITE = `
local key, index, costs = KEYS[1], KEYS[2], KEYS[3]
local value, ttl, cost, bound = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
if ARGV[5] == 'swap' then
  local present = redis.call('GET', key)
  if present and present ~= ARGV[6] then return present end
end
local sum = redis.call('HINCRBY', costs, '', 0)
local function strike(gone)
  sum = sum - (tonumber(redis.call('HGET', costs, gone)) or 0)
  redis.call('HDEL', costs, gone)
  redis.call('ZREM', index, gone)
  redis.call('UNLINK', gone)
end
if redis.call('HEXISTS', costs, key) == 1 then strike(key) end
local fits = cost <= bound
local needed = fits and cost or 0
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local expired = 0
while expired < ${MOST_STRUCK} or sum + needed > bound do
  local soonest = redis.call('ZRANGE', index, 0, 0, 'WITHSCORES')
  if not soonest[1] then break end
  if tonumber(soonest[2]) <= now then expired = expired + 1
  elseif sum + needed <= bound then break end
  strike(soonest[1])
end
if fits then
  sum = sum + cost
  redis.call('SET', key, value, 'PX', ttl)
  redis.call('ZADD', index, now + ttl, key)
  redis.call('HSET', costs, key, cost, '', sum)
else
  redis.call('UNLINK', key)
  redis.call('HSET', costs, '', sum)
end
if KEYS[4] then redis.call('UNLINK', KEYS[4]) end
if ARGV[5] == 'swap' then return value end
`;

/** Two numbers and two more copies of the key: what the books themselves cost. */
const BOOKKEEPING_BYTES = 200;

/**
 * Responses in a Redis that also keeps tokens: bounded here, because a Redis that evicts by itself would evict
 * revocations as well, and one that does not would refuse them when it is full.
 */
export class BoundedRedis implements ResponseStore {
  readonly #store: RedisStore;
  readonly #maxBytes: number;

  constructor(store: RedisStore, maxBytes: number) {
    this.#store = store;
    this.#maxBytes = maxBytes;
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

  async set(key: string, value: Buffer | string | Live, ttlMs: number): Promise<void> {
    await this.#write([key], isLive(value) ? value.toBytes() : value, ttlMs, ['set']);
  }

  async setAndDelete(key: string, value: Buffer | string | Live, ttlMs: number, gone: string): Promise<void> {
    await this.#write([key, gone], isLive(value) ? value.toBytes() : value, ttlMs, ['set']);
  }

  async swap(key: string, expected: Buffer | undefined, value: string, ttlMs: number): Promise<Buffer> {
    return (await this.#write([key], value, ttlMs, ['swap', expected ?? ''])) as Buffer;
  }

  /** Beside the books, which cost many times as much: there is one for each request under way at the most. */
  claim(key: string, value: string, ttlMs: number): Promise<boolean> {
    return this.#store.setIfAbsent(key, value, ttlMs);
  }

  /** What it costs stays in the books until it would have expired. */
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
      this.#store.read(['HGET', COSTS, '']),
    ]);
    return [{ tier: 'store', entries: Number(entries), bytes: Number(bytes ?? 0) }, this.#store.nearUsage];
  }

  async #write(
    [key, ...gone]: readonly [key: string, ...gone: string[]],
    value: Buffer | string,
    ttlMs: number,
    mode: readonly (string | Buffer)[],
  ): Promise<unknown> {
    assertTtl(ttlMs);
    const bytes = typeof value === 'string' ? Buffer.from(value) : value;
    const cost = entryBytes(key, bytes.byteLength) + 2 * key.length + BOOKKEEPING_BYTES;
    const numbers = [String(ttlMs), String(cost), String(this.#maxBytes)];
    return this.#store.evaluate(WRITE, [key, INDEX, COSTS, ...gone], [bytes, ...numbers, ...mode]);
  }
}
