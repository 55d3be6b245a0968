import type { RedisNode } from '../redis/redisNode.ts';

/**
 * Finds names that lead to one server, by what the servers say of themselves: two host names may have one address. What
 * counts as stored on both is lost with that server.
 */
export class Twins {
  readonly #nodes: readonly RedisNode[];
  readonly #onFound: (message: string) => void;
  readonly #told = new Set<string>();

  /**
   * @param nodes all of them; may still grow
   * @param onFound told once of each two, in words
   */
  constructor(nodes: readonly RedisNode[], onFound: (message: string) => void) {
    this.#nodes = nodes;
    this.#onFound = onFound;
  }

  /** The node answers from now on. Never rejects. */
  async look(node: RedisNode): Promise<void> {
    const ids = await Promise.all(this.#nodes.map((each) => each.runId()));
    const id = ids[this.#nodes.indexOf(node)];
    if (id === undefined) return;
    const same = this.#nodes.filter((_, i) => ids[i] === id).map(({ name }) => name);
    const names = same.join(' and ');
    if (same.length < 2 || this.#told.has(names)) return;
    this.#told.add(names);
    this.#onFound(`REDIS_NODES: ${names} are one server: what is stored on them is lost with it`);
  }
}
