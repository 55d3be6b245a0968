import type { Cancel, Clock } from '../../clock/clock.ts';
import { asError } from '../../util/asError.ts';
import { LASTING_GROUP, LASTING_PREFIX } from '../lasting.ts';
import type { RedisNode } from '../redis/redisNode.ts';
import type { RedisStore } from '../redis/redisStore.ts';
import { StoreUnavailableError } from '../store.ts';

/** Slots that Redis looks at, or what it adds, in one step, so that nobody waits for long. */
const AT_A_TIME = 500;
const FIRST_CURSOR = '0';
/** How long after something could not be copied it is tried again. */
const AGAIN_AFTER_MS = 5_000;

/**
 * Gives those of the keys that are missing. SETRANGE with no text changes nothing and gives the length; as a command that
 * writes it leaves no trace in Redis, which remembers for CLIENT TRACKING what is read: this may be every logout of a day.
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
/** Below 0 a life is Redis's word: -1 for one without end, -2 for one that is over. Each key has its whole life at once. */
const ADD = `
for i, key in ipairs(KEYS) do
  local life = tonumber(ARGV[i])
  if life > 0 then redis.call('SET', key, '1', 'PX', life, 'NX') end
  if life == -1 then redis.call('SET', key, '1', 'NX') end
end
`;

/** Not one by one: all gateways read the whole group anew after each step. */
const ADD_FIELDS = `
for i = 1, #ARGV, 2 do redis.call('HSETNX', KEYS[1], ARGV[i], ARGV[i + 1]) end
`;

export interface StoreRepairOptions {
  /** All of them; may still grow. */
  readonly nodes: readonly RedisNode[];
  /** Something could not be copied; the other nodes still have it. */
  readonly onError: (error: Error) => void;
  readonly clock: Clock;
}

/**
 * Copies between a node that is there, or there again, and the others what one has that was stored for good and another has
 * not: it was away, or full, or has started without the last it knew. So nodes may be lost one after the other. What could
 * not be copied is tried again. Nothing is taken away.
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

  /** The node answers from now on. However often that is said, it waits once for those before it. */
  begin(node: RedisNode): void {
    if (this.#waiting.has(node)) return;
    this.#waiting.add(node);
    this.#queue = this.#queue.then(() => {
      this.#waiting.delete(node);
      return this.#repair(node);
    });
  }

  /** The node has not taken something. It may need some time. */
  beginLater(node: RedisNode): void {
    if (this.#again.has(node) || this.#isOver) return;
    const begin = () => {
      this.#again.delete(node);
      this.begin(node);
    };
    this.#again.set(node, this.#options.clock.after(AGAIN_AFTER_MS, begin));
  }

  /** What is under way is given up. */
  end(): void {
    this.#isOver = true;
    for (const cancel of this.#again.values()) cancel();
  }

  /** First it gets what it lacks: then it has for each of the others what any of them has. */
  async #repair(node: RedisNode): Promise<void> {
    const others = this.#options.nodes.filter((other) => other !== node);
    for (const other of others) await this.#copy(other, node, node);
    for (const other of others) await this.#copy(node, other, node);
  }

  async #copy(from: RedisNode, to: RedisNode, returned: RedisNode): Promise<void> {
    // Whichever is away, its return begins a repair.
    const isUseless = () => this.#isOver || (from.tokens.awayBecause ?? to.tokens.awayBecause) !== undefined;
    if (isUseless()) return;
    try {
      await copyKeys(from.tokens, to.tokens);
      await copyGroup(from.tokens, to.tokens);
    } catch (cause) {
      if (isUseless()) return;
      const what = `Redis node ${to.name} has not got all revocations of ${from.name}`;
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

/** Each key lives for as long as the original. */
async function addMissing(keys: readonly string[], from: RedisStore, to: RedisStore): Promise<void> {
  const missing = ((await to.evaluate(MISSING, keys, [], 0)) as Buffer[]).map(String);
  if (missing.length === 0) return;
  const leftMs = (await from.evaluate(LIVES_LEFT, missing, [], 0)) as number[];
  await to.evaluate(ADD, missing, leftMs.map(String), missing.length);
}

async function copyGroup(from: RedisStore, to: RedisStore): Promise<void> {
  const [ids, known] = await Promise.all([idsIn(from), idsIn(to)]);
  const has = new Set(known);
  const missing = ids.filter((id) => !has.has(id));
  for (let i = 0; i < missing.length; i += AT_A_TIME)
    await addFields(missing.slice(i, i + AT_A_TIME), from, to);
}

async function addFields(ids: readonly string[], from: RedisStore, to: RedisStore): Promise<void> {
  const values = await valuesIn(from, ids);
  const fields = ids.flatMap((id, i) => (values[i] ? [id, values[i]] : []));
  await to.evaluate(ADD_FIELDS, [LASTING_GROUP], fields);
  // What was taken back from both meanwhile is not to come back.
  const later = await valuesIn(from, ids);
  const gone = ids.filter((_id, i) => values[i] && !later[i]);
  await Promise.all(gone.map((id) => to.removeFromGroup(LASTING_GROUP, id)));
}

async function valuesIn(store: RedisStore, ids: readonly string[]): Promise<(Buffer | null)[]> {
  return (await store.read(['HMGET', LASTING_GROUP, ...ids])) as (Buffer | null)[];
}

async function idsIn(store: RedisStore): Promise<string[]> {
  return ((await store.read(['HKEYS', LASTING_GROUP])) as Buffer[]).map(String);
}
