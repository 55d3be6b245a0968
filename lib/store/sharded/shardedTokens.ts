import type { Group, Member, Remembered, SetTokenOptions, TokenStore, Unsubscribe } from '../store.ts';
import { Combined, enoughToAsk, enoughToLast, resolvedOf } from './copies.ts';
import { publishOn, subscribeOn } from './shardedChannels.ts';

/** The part of the store that is on one node. */
export interface TokenShard extends TokenStore {
  /** Why the node is away; undefined when it is not. */
  readonly awayBecause: Error | undefined;
}

/**
 * Tokens and revocations, all of which are on each of several nodes. A value counts when any responding node has it. It counts
 * as absent only when all nodes but one say so. Lasting values are stored on enough nodes to survive the loss of any one. So a
 * node that is lost, or comes back without its data, cannot bring back a revoked token.
 */
export class ShardedTokens implements TokenStore {
  readonly #nodes: readonly TokenShard[];
  readonly #groups = new Map<string, Combined<Group, Remembered<Group>>>();
  readonly #onMissed: (index: number) => void;
  readonly #enoughToAsk: number;
  readonly #enoughToLast: number;

  /**
   * @param nodes one or more
   * @param onMissed called with the index of a node that has failed to store a lasting value
   */
  constructor(nodes: readonly TokenShard[], onMissed: (index: number) => void = () => {}) {
    this.#nodes = nodes;
    this.#onMissed = onMissed;
    this.#enoughToAsk = enoughToAsk(nodes.length);
    this.#enoughToLast = enoughToLast(nodes.length);
  }

  peek(key: string): Remembered<Buffer | undefined> | undefined {
    let absent: Remembered<undefined> | undefined;
    let absences = 0;
    let mustAsk = false;
    for (const node of this.#nodes) {
      if (node.awayBecause) continue;
      const known = node.peek(key);
      if (known === undefined) {
        mustAsk = true;
      } else if (known.value !== undefined) {
        return known;
      } else {
        absent = known as Remembered<undefined>;
        absences += 1;
      }
    }
    return mustAsk || absences < this.#enoughToAsk ? undefined : absent;
  }

  async get(key: string): Promise<Buffer | undefined> {
    let found: Buffer | undefined;
    const asked = this.#nodes.map(async (node) => {
      found = (await node.get(key)) ?? found;
    });
    try {
      await resolvedOf(asked, this.#enoughToAsk);
    } catch (error) {
      if (found === undefined) throw error;
    }
    return found;
  }

  async set(
    key: string,
    value: Buffer | string,
    ttlMs: number,
    { lasts = false }: SetTokenOptions = {},
  ): Promise<void> {
    const set = (node: TokenShard) => node.set(key, value, ttlMs);
    await (lasts ? this.#keep(set) : this.#tell(set, 1));
  }

  async delete(key: string): Promise<void> {
    await this.#tell((node) => node.delete(key), this.#enoughToAsk);
  }

  async getGroup(name: string): Promise<Group> {
    const groups = await this.#tell((node) => node.getGroup(name), this.#enoughToAsk);
    return this.#combined(name, groups).value;
  }

  peekGroup(name: string): Remembered<Group> | undefined {
    const groups: Group[] = [];
    for (const node of this.#nodes) {
      if (node.awayBecause) continue;
      const known = node.peekGroup(name);
      if (known === undefined) return undefined;
      groups.push(known.value);
    }
    return groups.length >= this.#enoughToAsk ? this.#combined(name, groups) : undefined;
  }

  async putInGroup(name: string, id: string, value: string): Promise<void> {
    await this.#keep((node) => node.putInGroup(name, id, value));
  }

  /** Rejects unless every node has removed it: a node that has not would bring it back. */
  async removeFromGroup(name: string, id: string): Promise<boolean> {
    const were = await this.#tell((node) => node.removeFromGroup(name, id), this.#nodes.length);
    return were.includes(true);
  }

  publish(channel: string, message: string): Promise<void> {
    return publishOn(this.#nodes, channel, message);
  }

  subscribe(channel: string, listener: (message: string) => void): Promise<Unsubscribe> {
    return subscribeOn(this.#nodes, channel, listener);
  }

  async #keep(what: (node: TokenShard) => Promise<void>): Promise<void> {
    const kept = this.#nodes.map((node, index) =>
      what(node).catch((error: unknown) => {
        this.#onMissed(index);
        throw error;
      }),
    );
    await resolvedOf(kept, this.#enoughToLast);
  }

  #tell<T>(what: (node: TokenShard) => Promise<T>, enough: number): Promise<T[]> {
    return resolvedOf(this.#nodes.map(what), enough);
  }

  #combined(name: string, groups: readonly Group[]): Remembered<Group> {
    let combined = this.#groups.get(name);
    if (!combined) {
      combined = new Combined((parts) => ({ value: withoutCopies(parts) }));
      this.#groups.set(name, combined);
    }
    return combined.of(groups);
  }
}

/** The members of all groups, each once. Where copies of one differ, all of them are there. */
function withoutCopies(groups: readonly Group[]): Group {
  const members = new Map<string, Member>();
  for (const member of groups.flat()) members.set(`${member.id}\0${member.value.toString('latin1')}`, member);
  return [...members.values()];
}
