import { Pool } from 'undici';
import { eventually } from './eventually.ts';

export interface LoadOptions {
  readonly origin: string;
  /** The target of request number `n`, counted from 0. */
  readonly target: (n: number) => string;
  readonly method?: 'GET' | 'POST';
  readonly headers?: Readonly<Record<string, string>>;
  readonly connections?: number;
}

export interface Outcome {
  readonly n: number;
  /** 0 when the connection broke. */
  readonly status: number;
  readonly ms: number;
}

/** A steady load: each of its connections sends its next request as soon as it has its answer. */
export class Load implements AsyncDisposable {
  /** Whatever is over, in the order of its end. */
  readonly outcomes: Outcome[] = [];
  readonly #options: LoadOptions;
  readonly #pool: Pool;
  readonly #workers: Promise<void>[];
  #next = 0;
  #stopped = false;

  constructor(options: Readonly<LoadOptions>) {
    const { origin, connections = 50 } = options;
    this.#options = options;
    this.#pool = new Pool(origin, { connections, headersTimeout: 0, bodyTimeout: 0 });
    this.#workers = Array.from({ length: connections }, () => this.#work());
  }

  get started(): number {
    return this.#next;
  }

  /** Resolves when that many more requests are over. */
  async more(count: number): Promise<void> {
    const until = this.outcomes.length + count;
    await eventually(`${count} more requests`, () => this.outcomes.length >= until, 60_000);
  }

  /** All outcomes, once those under way are over. */
  async stop(): Promise<readonly Outcome[]> {
    this.#stopped = true;
    await Promise.all(this.#workers);
    return this.outcomes;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
    await this.#pool.close();
  }

  async #work(): Promise<void> {
    while (!this.#stopped) {
      const n = this.#next++;
      const startedAtMs = performance.now();
      const status = await this.#ask(n);
      this.outcomes.push({ n, status, ms: performance.now() - startedAtMs });
    }
  }

  async #ask(n: number): Promise<number> {
    const { target, method = 'GET', headers } = this.#options;
    try {
      const answer = await this.#pool.request({ path: target(n), method, headers });
      await answer.body.dump();
      return answer.statusCode;
    } catch {
      return 0;
    }
  }
}

/** How many requests had each status: `{ 200: 5000 }`. */
export function statuses(outcomes: readonly Outcome[]): Record<number, number> {
  const counts: Record<number, number> = {};
  for (const { status } of outcomes) counts[status] = (counts[status] ?? 0) + 1;
  return counts;
}
