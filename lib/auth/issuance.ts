import type { ServerResponse } from 'node:http';
import { brotliDecompressSync, gunzipSync, inflateSync, zstdDecompressSync } from 'node:zlib';
import { type Cancel, type Clock, systemClock } from '../clock/clock.ts';
import { type FieldLines, fieldValue } from '../http/fields.ts';
import type { ContentGate, HeadObserver } from '../response/hooks.ts';
import { type ResponseWriter, writerOf } from '../response/responseWriter.ts';

/** A response that hands out a token is small; a larger one is passed on unread. */
const MAX_RESPONSE_BYTES = 64 * 1024;
const MAX_HOLD_MS = 3_000;

type Decoder = (content: Buffer) => Buffer;

const limit = { maxOutputLength: MAX_RESPONSE_BYTES };
const DECODERS: ReadonlyMap<string, Decoder> = new Map<string, Decoder>([
  ['identity', (content) => content],
  ['gzip', (content) => gunzipSync(content, limit)],
  // RFC 9110 section 8.4.1.3.
  ['x-gzip', (content) => gunzipSync(content, limit)],
  ['deflate', (content) => inflateSync(content, limit)],
  ['br', (content) => brotliDecompressSync(content, limit)],
  ['zstd', (content) => zstdDecompressSync(content, limit)],
]);

export interface IssuanceOptions {
  /** Longest time that a response which may hold a token is held back, in milliseconds. Default 3000. */
  readonly maxHoldMs?: number;
  readonly clock?: Clock;
}

/**
 * Watches a login's or registration's response for a token. Up to 64 KiB of it are held back until `onToken` has
 * settled, so that the token is known before its owner can use it; a response that is longer, or that takes longer
 * to end than `maxHoldMs`, flows on unread.
 */
export function watchForToken(
  res: ServerResponse,
  onToken: (token: string) => Promise<void>,
  { maxHoldMs = MAX_HOLD_MS, clock = systemClock }: Readonly<IssuanceOptions> = {},
): void {
  const writer = writerOf(res);
  const gate = new TokenGate(res, writer, { onToken, maxHoldMs, clock });
  writer.observeHead(gate);
  writer.gate(gate);
  res.once('close', () => gate.cancel());
}

interface TokenGateOptions extends Required<IssuanceOptions> {
  readonly onToken: (token: string) => Promise<void>;
}

/** Holds the content of one response until it is whole, too large, or too late. */
class TokenGate implements ContentGate, HeadObserver {
  readonly #res: ServerResponse;
  readonly #writer: ResponseWriter;
  readonly #options: TokenGateOptions;
  #encoding: string | undefined;
  /** Undefined once nothing is held any more. */
  #held: Buffer[] | undefined = [];
  #heldBytes = 0;
  #cancel: Cancel | undefined;

  constructor(res: ServerResponse, writer: ResponseWriter, options: TokenGateOptions) {
    this.#res = res;
    this.#writer = writer;
    this.#options = options;
  }

  head(_status: number, fields: FieldLines): void {
    this.#encoding = fieldValue(fields, 'content-encoding') ?? '';
  }

  keeps(chunk: Buffer): boolean {
    if (!this.#held) return false;
    const { clock, maxHoldMs } = this.#options;
    this.#cancel ??= clock.after(maxHoldMs, this.#letGo);
    if (this.#heldBytes + chunk.length > MAX_RESPONSE_BYTES) {
      this.#letGo();
      return false;
    }
    this.#held.push(chunk);
    this.#heldBytes += chunk.length;
    return true;
  }

  keepsEnd(last: Buffer | undefined, whenDone: (() => void) | undefined): boolean {
    const held = this.#held;
    const content = held && Buffer.concat(last ? [...held, last] : held);
    const token = content && this.#res.statusCode < 300 && tokenIn(content, this.#contentEncoding());
    if (!token) {
      this.#letGo();
      return false;
    }
    // Whoever replies meanwhile, because time is up, must not find this response in front of its own.
    this.#held = undefined;
    this.cancel();
    const finish = () => this.#writer.finish(content, whenDone);
    this.#options.onToken(token).then(finish, finish);
    return true;
  }

  /** Stops the clock. */
  cancel(): void {
    this.#cancel?.();
  }

  readonly #letGo = (): void => {
    this.cancel();
    const held = this.#held ?? [];
    this.#held = undefined;
    for (const chunk of held) this.#writer.release(chunk);
  };

  /** Also where the head is still to come. */
  #contentEncoding(): string {
    return this.#encoding ?? String(this.#res.getHeader('content-encoding') ?? '');
  }
}

/** `access_token` or `token` of a JSON object, if there is one. */
function tokenIn(content: Buffer, encoding: string): string | undefined {
  const decode = DECODERS.get(encoding.trim().toLowerCase() || 'identity');
  if (!decode || content.length > MAX_RESPONSE_BYTES) return undefined;
  try {
    const { access_token, token } = JSON.parse(decode(content).toString('utf8'));
    return [access_token, token].find((candidate) => typeof candidate === 'string');
  } catch {
    // Not JSON, or not what its encoding says: somebody else's response to read.
    return undefined;
  }
}
