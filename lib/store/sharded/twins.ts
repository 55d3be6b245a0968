import type { RedisNode } from '../redis/redisNode.ts';

/**
 * Finds names that lead to the same server, by the ids that servers report: two host names may have the same address. Values
 * that count as stored on both would be lost with that one server.
 */
export class Twins {
  readonly #nodes: readonly RedisNode[];
  readonly #onFound: (message: string) => void;
  readonly #told = new Set<string>();

  /**
   * @param nodes all nodes; more may be added later
   * @param onFound called once for each pair, with a message
   */
  constructor(nodes: readonly RedisNode[], onFound: (message: string) => void) {
    this.#nodes = nodes;
    this.#onFound = onFound;
  }

  /** The node responds from now on: compares its server with the others. Never rejects. */
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
