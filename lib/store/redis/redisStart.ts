import type { Cancel, Clock } from '../../clock/clock.ts';
import { StoreUnavailableError } from '../store.ts';
import type { RedisNode } from './redisNode.ts';
import { isLoading, redisReason } from './redisReason.ts';

const FOREVER_MS = 2 ** 31 - 1;

export interface RedisStart {
  /**
   * Whether a start fails without Redis. When false the start does not wait for a Redis that is loading its data
   * either.
   */
  readonly required: boolean;
  readonly connectTimeoutMs: number;
  readonly clock: Clock;
  readonly onError: (error: Error) => void;
  /** Asked after each `connectTimeoutMs` whether to go on waiting while the server loads its data. Default: always. */
  readonly isNeeded?: () => boolean;
}

/**
 * Waits until both stores of the server have connected. Resolves to undefined then, and to the reason when the server cannot
 * be used. Where the server is required, it also waits while the server loads its data.
 */
export async function startFailure(
  node: RedisNode,
  { required, connectTimeoutMs, clock, onError, isNeeded = () => true }: RedisStart,
): Promise<Error | undefined> {
  const { stores } = node;
  // The clock's timers do not keep the process alive, so that it would end between two attempts.
  const keepAlive = setInterval(() => {}, FOREVER_MS);
  const tooLate = Promise.withResolvers<Error>();
  let cancel: Cancel = () => {};
  function wait(): void {
    cancel = clock.after(connectTimeoutMs, () => {
      const cause = stores.find(({ awayBecause }) => awayBecause)?.awayBecause;
      if (!required || !cause || !isLoading(cause) || !isNeeded()) {
        return tooLate.resolve(notThereError(node, { required, connectTimeoutMs, cause }));
      }
      onError(new StoreUnavailableError(`${placeOf(node)}: ${redisReason(cause)}`, { cause }));
      wait();
    });
  }
  wait();
  const connected = Promise.all(stores.map(({ firstReady }) => firstReady)).then(
    () => undefined,
    (cause: Error) => refusedError(node, cause),
  );
  try {
    return await Promise.race([connected, tooLate.promise]);
  } finally {
    cancel();
    clearInterval(keepAlive);
  }
}

function refusedError({ url, name }: RedisNode, cause: Error): StoreUnavailableError {
  const setting = name === undefined ? 'REDIS_URL' : `REDIS_NODES, ${name}`;
  return new StoreUnavailableError(`${setting}: ${redisReason(cause)}, at ${withoutPassword(url)}`, {
    cause,
  });
}

interface Absence extends Pick<RedisStart, 'required' | 'connectTimeoutMs'> {
  readonly cause: Error | undefined;
}

function notThereError(
  node: RedisNode,
  { required, connectTimeoutMs, cause }: Absence,
): StoreUnavailableError {
  const reason = cause ? redisReason(cause) : 'no reason known';
  const settings = node.name === undefined ? 'REDIS_HOST/REDIS_URL' : 'REDIS_NODES';
  return new StoreUnavailableError(
    `${placeOf(node)} could not be used within ${connectTimeoutMs} ms: ${reason}. Start it` +
      (required
        ? `, correct ${settings}, or set REDIS_REQUIRED=false to start without it`
        : ` or correct ${settings}`),
    { cause },
  );
}

function placeOf({ url, name }: RedisNode): string {
  return `Redis${name === undefined ? '' : ` node ${name}`} at ${withoutPassword(url)}`;
}

function withoutPassword(url: string): string {
  return url.replace(/(\/\/[^:@]*):.*@/, '$1:***@');
}

/** Throws `TypeError` unless it is the URL of a Redis. */
export function assertUrl(url: string): void {
  if (/^rediss?:/.test(url) && /^\/?\d*$/.test(URL.parse(url)?.pathname ?? 'not a URL')) return;
  throw new TypeError(`openRedisStore: url must look like redis://host:6379/0, got ${withoutPassword(url)}`);
}

/** Throws `RangeError` unless all are whole numbers above 0. */
export function assertPositive(numbers: Record<string, number>): void {
  for (const [name, value] of Object.entries(numbers)) {
    if (Number.isSafeInteger(value) && value > 0) continue;
    throw new RangeError(`openRedisStore: ${name} must be a whole number above 0, got ${value}`);
  }
}
