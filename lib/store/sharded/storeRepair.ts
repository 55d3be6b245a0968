import type { Cancel, Clock } from '../../clock/clock.ts';
import { asError } from '../../util/asError.ts';
import { LASTING_GROUPS, LASTING_PREFIX } from '../lasting.ts';
import type { RedisNode } from '../redis/redisNode.ts';
import type { RedisStore } from '../redis/redisStore.ts';
import { StoreUnavailableError } from '../store.ts';

/**
 * How many slots Redis scans, or how many fields it adds, in one step, so that its other clients do not wait for long.
 */
const AT_A_TIME = 500;
const FIRST_CURSOR = '0';
/** How long to wait before copying is tried again after a failure. */
const AGAIN_AFTER_MS = 5_000;

/**
 * Returns those of the keys that are missing. SETRANGE with an empty text changes nothing and returns the length. As it is a
 * writing command, Redis does not track the key for this client (CLIENT TRACKING), as it would after a read: there may be as
 * many keys as logouts in a day.
 */
const MISSING = `
local missing = {}
for _, key in ipairs(KEYS) do
  if redis.call('SETRANGE', key, 0, '') == 0 then missing[#missing + 1] = key end
end
return missing
`;

const LIVES_LEFT = `
local left = {}
for i, key in ipairs(KEYS) do left[i] = redis.call('PTTL', key) end
return left
`;
/**
 * Adds keys with their times to live, of which -1 means no end and -2 that the key has expired. Each is set in one
 * step.
 */
const ADD = `
for i, key in ipairs(KEYS) do
  local life = tonumber(ARGV[i])
  if life > 0 then redis.call('SET', key, '1', 'PX', life, 'NX') end
  if life == -1 then redis.call('SET', key, '1', 'NX') end
end
`;

/** Adds all fields in one step, because every gateway reads the whole group again after each change. */
const ADD_FIELDS = `
for i = 1, #ARGV, 2 do redis.call('HSETNX', KEYS[1], ARGV[i], ARGV[i + 1]) end
`;

export interface StoreRepairOptions {
  /** All nodes. More may be added later. */
  readonly nodes: readonly RedisNode[];
  /** Called when something could not be copied. The other nodes still have it. */
  readonly onError: (error: Error) => void;
  readonly clock: Clock;
}

/**
 * Copies lasting values between a node that has come (back) and the others, in both directions. A node may lack some because it
 * was away, was full, or has restarted without its latest data. Thanks to the repair, nodes may be lost one after the other.
 * A failed copy is tried again. Nothing is ever deleted.
 */
export class StoreRepair {
  readonly #options: StoreRepairOptions;
  readonly #waiting = new Set<RedisNode>();
  readonly #again = new Map<RedisNode, Cancel>();
  #queue: Promise<void> = Promise.resolve();
  #isOver = false;

  constructor(options: StoreRepairOptions) {
    this.#options = options;
  }

  /**
   * The node responds from now on. Repairs run one after the other; a node that is already waiting is not queued again.
   */
  begin(node: RedisNode): void {
    if (this.#waiting.has(node)) return;
    this.#waiting.add(node);
    this.#queue = this.#queue.then(() => {
      this.#waiting.delete(node);
      return this.#repair(node);
    });
  }

  /** The node has failed to store something, and may need some time. */
  beginLater(node: RedisNode): void {
    if (this.#again.has(node) || this.#isOver) return;
    const begin = () => {
      this.#again.delete(node);
      this.begin(node);
    };
    this.#again.set(node, this.#options.clock.after(AGAIN_AFTER_MS, begin));
  }

  /** Stops the repair under way, and begins no other. */
  end(): void {
    this.#isOver = true;
    for (const cancel of this.#again.values()) cancel();
  }

  /** The node gets what it lacks first. After that it has everything that any of the others may lack. */
  async #repair(node: RedisNode): Promise<void> {
    const others = this.#options.nodes.filter((other) => other !== node);
    for (const other of others) await this.#copy(other, node, node);
    for (const other of others) await this.#copy(node, other, node);
  }

  async #copy(from: RedisNode, to: RedisNode, returned: RedisNode): Promise<void> {
    // When either node is away, its return begins another repair.
    const isUseless = () => this.#isOver || (from.tokens.awayBecause ?? to.tokens.awayBecause) !== undefined;
    if (isUseless()) return;
    try {
      await copyKeys(from.tokens, to.tokens);
      for (const group of LASTING_GROUPS) await copyGroup(group, from.tokens, to.tokens);
    } catch (cause) {
      if (isUseless()) return;
      const what = `Redis node ${to.name} has not got all revocations and API keys of ${from.name}`;
      this.#options.onError(new StoreUnavailableError(`${what}: ${asError(cause).message}`, { cause }));
      this.beginLater(returned);
    }
  }
}

async function copyKeys(from: RedisStore, to: RedisStore): Promise<void> {
  let cursor = FIRST_CURSOR;
  do {
    const scan = ['SCAN', cursor, 'MATCH', `${LASTING_PREFIX}*`, 'COUNT', String(AT_A_TIME)];
    const [next, keys] = (await from.read(scan)) as [Buffer, Buffer[]];
    cursor = String(next);
    if (keys.length > 0) await addMissing(keys.map(String), from, to);
  } while (cursor !== FIRST_CURSOR);
}

/** Each key gets the time to live that the original has left. */
async function addMissing(keys: readonly string[], from: RedisStore, to: RedisStore): Promise<void> {
  const missing = ((await to.evaluate(MISSING, keys, [], 0)) as Buffer[]).map(String);
  if (missing.length === 0) return;
  const leftMs = (await from.evaluate(LIVES_LEFT, missing, [], 0)) as number[];
  await to.evaluate(ADD, missing, leftMs.map(String), missing.length);
}

async function copyGroup(group: string, from: RedisStore, to: RedisStore): Promise<void> {
  const [ids, known] = await Promise.all([idsIn(group, from), idsIn(group, to)]);
  const has = new Set(known);
  const missing = ids.filter((id) => !has.has(id));
  for (let i = 0; i < missing.length; i += AT_A_TIME)
    await addFields(group, missing.slice(i, i + AT_A_TIME), from, to);
}

async function addFields(
  group: string,
  ids: readonly string[],
  from: RedisStore,
  to: RedisStore,
): Promise<void> {
  const values = await valuesIn(group, from, ids);
  const fields = ids.flatMap((id, i) => (values[i] ? [id, values[i]] : []));
  await to.evaluate(ADD_FIELDS, [group], fields);
  // What was removed on both nodes meanwhile, such as a revocation that was undone, must not come back.
  const later = await valuesIn(group, from, ids);
  const gone = ids.filter((_id, i) => values[i] && !later[i]);
  await Promise.all(gone.map((id) => to.removeFromGroup(group, id)));
}

async function valuesIn(
  group: string,
  store: RedisStore,
  ids: readonly string[],
): Promise<(Buffer | null)[]> {
  return (await store.read(['HMGET', group, ...ids])) as (Buffer | null)[];
}

async function idsIn(group: string, store: RedisStore): Promise<string[]> {
  return ((await store.read(['HKEYS', group])) as Buffer[]).map(String);
}
