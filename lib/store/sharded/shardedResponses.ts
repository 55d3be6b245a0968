import {
  EVERYWHERE_KEY,
  type Live,
  type Remembered,
  type ResponseStore,
  type SetOptions,
  type Unsubscribe,
  type Usage,
} from '../store.ts';
import { NewestCopy, type ResponseShard } from './newestCopy.ts';
import type { HashRing } from './ring.ts';
import { publishOn, subscribeOn } from './shardedChannels.ts';

/** The quotes around the first two strings of a key's JSON array. */
const QUOTES_OF_PLACE = 4;
const QUOTE = 0x22;
const BACKSLASH = 0x5c;

export interface ShardedResponsesOptions {
  /** One or more, in the order of the ring's names. */
  readonly nodes: readonly ResponseShard[];
  readonly ring: HashRing;
}

/**
 * Responses spread over several nodes. Everything stored for one path of a service is on the same node, with its epoch and its
 * leases, because these are written together. Calls for a node that is away are refused at once; all others work.
 */
export class ShardedResponses implements ResponseStore {
  readonly isShared = true;
  readonly #nodes: readonly ResponseShard[];
  readonly #ring: HashRing;
  readonly #everywhere: NewestCopy;

  constructor({ nodes, ring }: ShardedResponsesOptions) {
    this.#nodes = nodes;
    this.#ring = ring;
    this.#everywhere = new NewestCopy(EVERYWHERE_KEY, nodes);
  }

  peek(key: string): Remembered<Buffer | undefined> | undefined {
    return key === EVERYWHERE_KEY ? this.#everywhere.peek() : this.#nodeOf(key).peek(key);
  }

  /** Every response is taken in, as with one Redis. */
  admits(_name: string): boolean {
    return true;
  }

  async get(key: string): Promise<Buffer | undefined> {
    return key === EVERYWHERE_KEY ? this.#everywhere.get() : this.#nodeOf(key).get(key);
  }

  async getAll(keys: readonly string[]): Promise<(Buffer | undefined)[]> {
    const byNode = Map.groupBy(
      keys.filter((key) => key !== EVERYWHERE_KEY),
      (key) => this.#nodeOf(key),
    );
    const found = new Map<string, Buffer | undefined>();
    const asked = [...byNode].map(async ([node, of]) => {
      const values = await node.getAll(of);
      for (const [i, key] of of.entries()) found.set(key, values[i]);
    });
    const everywhere = keys.includes(EVERYWHERE_KEY) ? this.#everywhere.get() : undefined;
    await Promise.all([...asked, everywhere]);
    found.set(EVERYWHERE_KEY, await everywhere);
    return keys.map((key) => found.get(key));
  }

  async set(key: string, value: Buffer | string | Live, ttlMs: number, options?: SetOptions): Promise<void> {
    return this.#nodeOf(key).set(key, value, ttlMs, options);
  }

  async renew(key: string, word: string, ttlMs: number): Promise<void> {
    return this.#nodeOf(key).renew(key, word, ttlMs);
  }

  async swap(key: string, expected: Buffer | undefined, value: string, ttlMs: number): Promise<Buffer> {
    if (key === EVERYWHERE_KEY) return this.#everywhere.swap(expected, value, ttlMs);
    return this.#nodeOf(key).swap(key, expected, value, ttlMs);
  }

  async claim(key: string, value: string, ttlMs: number): Promise<boolean> {
    return this.#nodeOf(key).claim(key, value, ttlMs);
  }

  async delete(key: string): Promise<void> {
    return this.#nodeOf(key).delete(key);
  }

  publish(channel: string, message: string): Promise<void> {
    return publishOn(this.#nodes, channel, message);
  }

  subscribe(channel: string, listener: (message: string) => void): Promise<Unsubscribe> {
    return subscribeOn(this.#nodes, channel, listener);
  }

  /** The sum over the nodes that are there. */
  async usage(): Promise<readonly Usage[]> {
    const there = this.#nodes.filter(({ awayBecause }) => awayBecause === undefined);
    const usages = (await Promise.all(there.map((node) => node.usage()))).flat();
    return Map.groupBy(usages, ({ tier }) => tier)
      .entries()
      .map(([tier, of]) => ({
        tier,
        entries: of.reduce((sum, { entries }) => sum + entries, 0),
        bytes: of.reduce((sum, { bytes }) => sum + bytes, 0),
      }))
      .toArray();
  }

  /**
   * Chosen by service and path, the first two strings of the JSON array in a key; by the whole key when it has none.
   */
  #nodeOf(key: string): ResponseShard {
    const from = key.indexOf('["');
    const owner =
      from === -1 ? this.#ring.ownerOf(key) : this.#ring.ownerOf(key, from, endOfPlace(key, from));
    return this.#nodes[owner] as ResponseShard;
  }
}

/** The end of the second string of the JSON array that begins at `from`. */
function endOfPlace(key: string, from: number): number {
  let quotes = 0;
  for (let i = from; i < key.length; i += 1) {
    const code = key.charCodeAt(i);
    if (code === BACKSLASH) i += 1;
    else if (code === QUOTE) quotes += 1;
    if (quotes === QUOTES_OF_PLACE) return i;
  }
  return key.length;
}
