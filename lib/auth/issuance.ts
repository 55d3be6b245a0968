import type { ServerResponse } from 'node:http';
import { brotliDecompressSync, gunzipSync, inflateSync, zstdDecompressSync } from 'node:zlib';
import { type Cancel, type Clock, systemClock } from '../clock/clock.ts';
import { fieldValue } from '../http/fields.ts';
import { chunkOf, tapHead } from '../http/tap.ts';

/** An answer that hands out a token is small; a larger one is passed on unread. */
const MAX_ANSWER_BYTES = 64 * 1024;
const MAX_HOLD_MS = 3_000;

type Decoder = (content: Buffer) => Buffer;

const limit = { maxOutputLength: MAX_ANSWER_BYTES };
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
  /** Longest time that an answer which may hold a token is held back, in milliseconds. Default 3000. */
  readonly maxHoldMs?: number;
  readonly clock?: Clock;
}

/**
 * Watches a login's or registration's answer for a token. Up to 64 KiB of it are held back until `onToken` has
 * settled, so that the token is known before its owner can use it; an answer that is longer, or that takes longer
 * to end than `maxHoldMs`, flows on unread.
 */
export function watchForToken(
  res: ServerResponse,
  onToken: (token: string) => Promise<void>,
  { maxHoldMs = MAX_HOLD_MS, clock = systemClock }: Readonly<IssuanceOptions> = {},
): void {
  const { write, end } = res;
  const encoding = encodingOf(res);
  let held: Buffer[] | undefined = [];
  let heldBytes = 0;
  let cancel: Cancel | undefined;
  res.once('close', () => cancel?.());

  function letGo(): void {
    cancel?.();
    for (const chunk of held ?? []) Reflect.apply(write, res, [chunk]);
    held = undefined;
  }

  res.write = function writeHeld(this: ServerResponse, ...args: unknown[]) {
    const chunk = chunkOf(args);
    if (!held || !chunk) return Reflect.apply(write, this, args) as boolean;
    cancel ??= clock.after(maxHoldMs, letGo);
    held.push(chunk);
    heldBytes += chunk.length;
    if (heldBytes > MAX_ANSWER_BYTES) letGo();
    process.nextTick(callbackOf(args));
    return true;
  } as typeof write;

  res.end = function endHeld(this: ServerResponse, ...args: unknown[]) {
    const last = chunkOf(args);
    const content = held && Buffer.concat(last ? [...held, last] : held);
    const token = content && this.statusCode < 300 && tokenIn(content, encoding());
    if (!token) {
      letGo();
      return Reflect.apply(end, this, args) as ServerResponse;
    }
    // Whoever replies meanwhile, because time is up, must not find this answer in front of its own.
    held = undefined;
    cancel?.();
    const finish = () => {
      if (!this.writableEnded && !this.destroyed) Reflect.apply(end, this, [content, callbackOf(args)]);
    };
    onToken(token).then(finish, finish);
    return this;
  } as typeof end;
}

/** Reads the answer's `Content-Encoding`, whether its head was written or is still to come. */
function encodingOf(res: ServerResponse): () => string {
  let written: string | undefined;
  tapHead(res, (_status, fields) => {
    written = fieldValue(fields, 'content-encoding') ?? '';
  });
  return () => written ?? String(res.getHeader('content-encoding') ?? '');
}

function callbackOf(args: readonly unknown[]): () => void {
  const last = args.at(-1);
  return typeof last === 'function' ? (last as () => void) : () => {};
}

/** `access_token` or `token` of a JSON object, if there is one. */
function tokenIn(content: Buffer, encoding: string): string | undefined {
  const decode = DECODERS.get(encoding.trim().toLowerCase() || 'identity');
  if (!decode || content.length > MAX_ANSWER_BYTES) return undefined;
  try {
    const { access_token, token } = JSON.parse(decode(content).toString('utf8'));
    return [access_token, token].find((candidate) => typeof candidate === 'string');
  } catch {
    // Not JSON, or not what its encoding says: somebody else's answer to read.
    return undefined;
  }
}
