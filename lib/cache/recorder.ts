import type { IncomingHttpHeaders } from 'node:http';
import { type FieldLines, fieldsByName } from '../exchange/fields.ts';
import type { AnswerObserver } from '../exchange/tap.ts';
import type { CacheEntry } from './entry.ts';
import { ageMs, freshnessLifetimeMs, varyingFields } from './policy.ts';

/** Fields that belong to one answer on one connection, not to what is stored. */
const NOT_STORED: ReadonlySet<string> = new Set([
  'connection',
  'keep-alive',
  'transfer-encoding',
  'age',
  'x-request-id',
  'x-cache',
  'cache-status',
]);

export interface RecorderOptions {
  readonly request: IncomingHttpHeaders;
  readonly defaultTtlMs: number;
  readonly maxEntryBytes: number;
  readonly now: () => number;
  /** Called once, with an answer that was given whole and may be stored. */
  readonly onEntry: (entry: CacheEntry) => void;
}

/** Copies an answer that may be stored while it streams past, and gives up when it grows too large. */
export class Recorder implements AnswerObserver {
  readonly #options: RecorderOptions;
  #entry: Omit<CacheEntry, 'body'> | undefined;
  #chunks: Buffer[] = [];
  #bytes = 0;

  constructor(options: Readonly<RecorderOptions>) {
    this.#options = options;
  }

  head(status: number, lines: FieldLines): void {
    const { request, defaultTtlMs } = this.#options;
    const fields = fieldsByName(lines);
    const nowMs = this.#options.now();
    const lifetimeMs = freshnessLifetimeMs(status, fields, { defaultTtlMs, nowMs });
    if (lifetimeMs <= 0) return;
    this.#entry = {
      fields: withoutTransient(lines),
      madeAtMs: nowMs - ageMs(fields),
      freshUntilMs: nowMs + lifetimeMs,
      varying: varyingFields(fields.vary, request),
    };
  }

  data(chunk: Buffer): void {
    if (!this.#entry) return;
    this.#bytes += chunk.length;
    this.#chunks.push(chunk);
    if (this.#bytes > this.#options.maxEntryBytes) this.#giveUp();
  }

  end(): void {
    if (!this.#entry) return;
    this.#options.onEntry({ ...this.#entry, body: Buffer.concat(this.#chunks) });
    this.#giveUp();
  }

  #giveUp(): void {
    this.#entry = undefined;
    this.#chunks = [];
  }
}

function withoutTransient(lines: FieldLines): string[] {
  const kept: string[] = [];
  for (let i = 0; i < lines.length; i += 2) {
    const name = lines[i] as string;
    if (!NOT_STORED.has(name.toLowerCase())) kept.push(name, lines[i + 1] as string);
  }
  return kept;
}
