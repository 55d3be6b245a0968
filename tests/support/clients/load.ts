import { setTimeout as sleep } from 'node:timers/promises';
import { Pool } from 'undici';
import { eventually } from '../eventually.ts';

export interface LoadOptions {
  readonly origin: string;
  /** The target of request number `n`, counted from 0. */
  readonly target: (n: number) => string;
  readonly method?: 'GET' | 'POST';
  readonly headers?: Readonly<Record<string, string>>;
  readonly connections?: number;
  /** Content of each request; its answer must be the same, or counts as broken. */
  readonly echoes?: (n: number) => string;
  /** Whether a connection serves more than one request. Default true. */
  readonly keepAlive?: boolean;
  /** How long each client thinks between two requests, on average. Default 0. */
  readonly pauseMs?: number;
}

export interface Outcome {
  readonly n: number;
  /** 0 when the connection broke. */
  readonly status: number;
  /** When it began, on the clock of `performance.now()`. */
  readonly startedAtMs: number;
  readonly ms: number;
  /** Why the connection broke. */
  readonly error?: string;
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
      const { status, error } = await this.#ask(n);
      const ms = performance.now() - startedAtMs;
      this.outcomes.push({ n, status, startedAtMs, ms, ...(error && { error }) });
      const { pauseMs = 0 } = this.#options;
      if (pauseMs > 0 && !this.#stopped) await sleep(2 * pauseMs * Math.random());
    }
  }

  async #ask(n: number): Promise<Pick<Outcome, 'status' | 'error'>> {
    const { target, method = 'GET', headers, echoes, keepAlive = true } = this.#options;
    const body = echoes?.(n);
    try {
      const answer = await this.#pool.request({ path: target(n), method, headers, body, reset: !keepAlive });
      const content = await answer.body.text();
      const isBroken = body !== undefined && answer.statusCode === 200 && content !== body;
      return isBroken ? { status: 0, error: 'another content' } : { status: answer.statusCode };
    } catch (error) {
      return { status: 0, error: String(error) };
    }
  }
}

/** The time within which 99 of 100 requests were over. */
export function p99Ms(outcomes: readonly Outcome[]): number {
  const sorted = outcomes.map(({ ms }) => ms).sort((a, b) => a - b);
  return sorted[Math.floor(sorted.length * 0.99)] ?? 0;
}

/** How many requests had each status: `{ 200: 5000 }`. */
export function statuses(outcomes: readonly Outcome[]): Record<number, number> {
  const counts: Record<number, number> = {};
  for (const { status } of outcomes) counts[status] = (counts[status] ?? 0) + 1;
  return counts;
}

/** What went wrong, and how often: empty when every answer was 200. */
export function failures(outcomes: readonly Outcome[]): string[] {
  const counts = new Map<string, number>();
  for (const { status, error = `status ${status}` } of outcomes) {
    if (status !== 200) counts.set(error, (counts.get(error) ?? 0) + 1);
  }
  return [...counts].map(([error, count]) => `${count} x ${error}`);
}
