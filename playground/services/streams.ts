import { createHash } from 'node:crypto';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { Router } from 'express';
import { wholeNumber } from '../replica/httpError.ts';
import { goneSignal } from './gone.ts';

const CHUNKS = { name: 'chunks', minimum: 0, maximum: 1_000_000, fallback: 5 };
const PAUSE_MS = { name: 'ms', minimum: 0, maximum: 60 * 60 * 1000, fallback: 200 };
const LENGTH = { name: 'the length', minimum: 0, maximum: Number.MAX_SAFE_INTEGER };
/** Byte i of /bytes is i mod 251: a prime, so that no block boundary repeats the pattern. */
const PATTERN_LENGTH = 251;
const BLOCK_BYTES = PATTERN_LENGTH * 256;

/** The endpoints every service has for bodies that are long, slow or both. Memory use does not grow with them. */
export function streams(): Router {
  const router = Router();
  const block = Buffer.from(Array.from({ length: BLOCK_BYTES }, (_, i) => i % PATTERN_LENGTH));

  router.get('/stream', async (req, res) => {
    const count = wholeNumber(req.query.chunks, CHUNKS);
    const pauseMs = wholeNumber(req.query.ms, PAUSE_MS);
    const asEvents = req.accepts(['text/plain', 'text/event-stream']) === 'text/event-stream';
    res.type(asEvents ? 'text/event-stream' : 'text/plain').setHeader('Cache-Control', 'no-store');
    res.flushHeaders();
    const chunk = asEvents ? eventOf : lineOf;
    await sendUntilGone(slowly(count, pauseMs, chunk, goneSignal(res)), res);
  });

  router.get('/bytes/:n', async (req, res) => {
    const n = wholeNumber(req.params.n, LENGTH);
    res.type('application/octet-stream').setHeader('Content-Length', n);
    if (req.method === 'HEAD') res.end();
    else await sendUntilGone(blocksOf(block, n), res);
  });

  router.all('/sink', async (req, res) => {
    const hash = createHash('sha256');
    let bytes = 0;
    for await (const chunk of req) {
      hash.update(chunk);
      bytes += chunk.length;
    }
    res.json({ bytes, sha256: hash.digest('hex') });
  });
  return router;
}

/** A caller that leaves half-way is no error here. */
async function sendUntilGone(chunks: AsyncIterable<unknown> | Iterable<unknown>, res: NodeJS.WritableStream) {
  await pipeline(Readable.from(chunks, { objectMode: false }), res).catch(() => {});
}

type Chunk = (n: number, count: number) => string;

async function* slowly(count: number, pauseMs: number, chunk: Chunk, gone: AbortSignal) {
  for (let n = 1; n <= count; n++) {
    yield chunk(n, count);
    if (n < count) await sleep(pauseMs, undefined, { signal: gone });
  }
}

function lineOf(n: number, count: number): string {
  return `chunk ${n} of ${count}\n`;
}

function eventOf(n: number, count: number): string {
  return `id: ${n}\ndata: chunk ${n} of ${count}\n\n`;
}

function* blocksOf(block: Buffer, bytes: number) {
  for (let left = bytes; left > 0; left -= block.length)
    yield block.subarray(0, Math.min(left, block.length));
}
