import { asError } from '../exchange/asError.ts';
import { LASTING_GROUP, LASTING_PREFIX } from './lasting.ts';
import type { RedisNode } from './redisNode.ts';
import type { RedisStore } from './redisStore.ts';

/** Slots that Redis looks at in one step, so that nobody waits for long. */
const SCANNED_AT_A_TIME = '500';
const FIRST_CURSOR = '0';
/** Until it is known for how long. */
const MEANWHILE_MS = 60_000;

/**
 * Gives those of the keys that were missing, which are there now. It only writes: what a connection reads, Redis remembers
 * for CLIENT TRACKING, and this may be every logout of a day.
 */
const ADD_MISSING = `
local missing = {}
for _, key in ipairs(KEYS) do
  if redis.call('SET', key, '1', 'PX', ${MEANWHILE_MS}, 'NX') then missing[#missing + 1] = key end
end
return missing
`;

const LIVES_LEFT = `
local left = {}
for i, key in ipairs(KEYS) do left[i] = redis.call('PTTL', key) end
return left
`;
const SET_LIVES = `
for i, key in ipairs(KEYS) do
  if tonumber(ARGV[i]) > 0 then redis.call('PEXPIRE', key, ARGV[i]) end
end
`;

export interface StoreRepairOptions {
  /** All of them; may still grow. */
  readonly nodes: readonly RedisNode[];
  /** Something could not be copied; the other nodes still have it. */
  readonly onError: (error: Error) => void;
}

/**
 * Copies between a node that is there, or there again, and the others what one has that was stored for good and another has
 * not: it was away, or has started without the last it knew. So nodes may be lost one after the other. Nothing is taken
 * away.
 */
export class StoreRepair {
  readonly #options: StoreRepairOptions;
  #queue: Promise<void> = Promise.resolve();
  #isOver = false;

  constructor(options: StoreRepairOptions) {
    this.#options = options;
  }

  /** The node answers from now on. */
  begin(node: RedisNode): void {
    this.#queue = this.#queue.then(() => this.#repair(node));
  }

  /** What is under way is given up. */
  end(): void {
    this.#isOver = true;
  }

  async #repair({ tokens: returned }: RedisNode): Promise<void> {
    for (const { tokens: other } of this.#options.nodes) {
      if (other === returned || other.awayBecause || this.#isOver) continue;
      try {
        await copyMissing(other, returned);
        await copyMissing(returned, other);
      } catch (error) {
        // Whichever of the two was lost meanwhile, its return begins a repair again.
        const isLost = returned.awayBecause ?? other.awayBecause;
        if (!isLost && !this.#isOver) this.#options.onError(asError(error));
      }
    }
  }
}

async function copyMissing(from: RedisStore, to: RedisStore): Promise<void> {
  await copyKeys(from, to);
  await copyGroup(from, to);
}

async function copyKeys(from: RedisStore, to: RedisStore): Promise<void> {
  let cursor = FIRST_CURSOR;
  do {
    const scan = ['SCAN', cursor, 'MATCH', `${LASTING_PREFIX}*`, 'COUNT', SCANNED_AT_A_TIME];
    const [next, keys] = (await from.read(scan)) as [Buffer, Buffer[]];
    cursor = String(next);
    if (keys.length > 0) await addMissing(keys.map(String), from, to);
  } while (cursor !== FIRST_CURSOR);
}

/** Each key lives for as long as the original. */
async function addMissing(keys: readonly string[], from: RedisStore, to: RedisStore): Promise<void> {
  const added = (await to.evaluate(ADD_MISSING, keys, [], keys.length)) as Buffer[];
  if (added.length === 0) return;
  const missing = added.map(String);
  const leftMs = (await from.evaluate(LIVES_LEFT, missing, [], 0)) as number[];
  await to.evaluate(SET_LIVES, missing, leftMs.map(String), missing.length);
}

async function copyGroup(from: RedisStore, to: RedisStore): Promise<void> {
  const [values, known] = await Promise.all([
    from.read(['HGETALL', LASTING_GROUP]) as Promise<ReadonlyMap<unknown, Buffer> | object>,
    to.read(['HKEYS', LASTING_GROUP]) as Promise<Buffer[]>,
  ]);
  const has = new Set(known.map(String));
  const entries = values instanceof Map ? [...values] : Object.entries(values as Record<string, Buffer>);
  for (const [id, value] of entries) {
    if (!has.has(String(id))) await to.putInGroup(LASTING_GROUP, String(id), String(value));
  }
}
