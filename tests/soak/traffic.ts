import { Agent } from 'undici';
import { tokenFor } from '../support/gateway/gateway.ts';
import { type Ending, type Site, type Visitor, visitors } from './visitors.ts';

const REGULARS = 20;

/** Endings that nobody expects, each with the visitor: `posts: 502`, and how often. */
export type Surprises = ReadonlyMap<string, number>;

/** A crowd of visitors that comes and goes. */
export class Traffic {
  readonly surprises = new Map<string, number>();
  /** Visits that are over. */
  visits = 0;
  readonly #origins: Pick<Site, 'external' | 'internal'>;
  readonly #clients: number;
  readonly #tokens = Array.from({ length: REGULARS }, (_, n) => tokenFor(`regular-${n}`));
  readonly #urn = Object.entries(visitors).flatMap((visitor) => Array(visitor[1].share).fill(visitor));

  constructor({ external, internal }: Pick<Site, 'external' | 'internal'>, clients: number) {
    this.#origins = { external, internal };
    this.#clients = clients;
  }

  /** Resolves when every client that came has gone, its connections closed. */
  async run(forMs: number): Promise<void> {
    const until = performance.now() + forMs;
    const dispatcher = new Agent();
    const client = async () => {
      while (performance.now() < until) await this.#visit(dispatcher);
    };
    await Promise.all(Array.from({ length: this.#clients }, client));
    await dispatcher.destroy();
  }

  async #visit(dispatcher: Agent): Promise<void> {
    const [name, visitor] = pick<[string, Visitor]>(this.#urn);
    const ending: Ending | string = await visitor
      .visit({ ...this.#origins, dispatcher, token: pick(this.#tokens) })
      .catch((error) => `${error}`);
    this.visits += 1;
    if (visitor.expected.some((expected) => expected === ending)) return;
    const surprise = `${name}: ${ending}`;
    this.surprises.set(surprise, (this.surprises.get(surprise) ?? 0) + 1);
  }
}

function pick<T>(from: readonly T[]): T {
  return from[Math.floor(Math.random() * from.length)] as T;
}
