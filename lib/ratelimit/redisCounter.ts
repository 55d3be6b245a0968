import { type RateLimiterMemory, RateLimiterRedis } from 'rate-limiter-flexible';

/** Runs a Lua script that writes `keys[0]`. Rejects when Redis does not respond in time. */
export type Evaluate = (script: string, keys: readonly string[], args: readonly string[]) => Promise<unknown>;

export interface RedisCounterOptions {
  readonly keyPrefix: string;
  readonly points: number;
  /** In seconds. */
  readonly duration: number;
  readonly evaluate: Evaluate;
  readonly onStoreError: (error: Error) => void;
  /** Counts while Redis cannot. */
  readonly insurance: RateLimiterMemory;
}

/**
 * Returns the count and what is left of the window, in milliseconds. The library's own script reads with PTTL, and a
 * connection that tracks what it reads (CLIENT TRACKING) is then told of every request on every gateway, which costs half
 * of the CPU of counting. HINCRBY by 0 reads without being tracked.
 */
const COUNT = `
local key, points, windowMs = KEYS[1], ARGV[1], ARGV[2] * 1000
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local consumed = redis.call('HINCRBY', key, 'consumed', points)
local ends = redis.call('HINCRBY', key, 'ends', 0)
if ends == 0 then
  ends = redis.call('HINCRBY', key, 'ends', now + windowMs)
  redis.call('PEXPIRE', key, windowMs)
end
return {consumed, math.max(ends - now, 1)}
`;

/** Counts in Redis, and refuses a key that has used up its requests from memory. */
export function redisCounter(options: Readonly<RedisCounterOptions>): RateLimiterRedis {
  const { keyPrefix, points, duration, insurance } = options;
  return new RateLimiterRedis({
    keyPrefix,
    points,
    duration,
    insuranceLimiter: insurance,
    inMemoryBlockOnConsumed: points,
    storeClient: client(options),
    useRedisPackage: true,
    customIncrTtlLuaScript: COUNT,
  });
}

/** A client with the only command of node-redis that the library sends. */
function client({ evaluate, onStoreError }: RedisCounterOptions) {
  return {
    async eval(script: string, { keys, arguments: args }: { keys: string[]; arguments: string[] }) {
      try {
        return await evaluate(script, keys, args);
      } catch (error) {
        onStoreError(Error.isError(error) ? error : new Error(String(error)));
        throw error;
      }
    },
  };
}
