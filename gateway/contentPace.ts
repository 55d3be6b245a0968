import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Clock } from '../lib/clock/clock.ts';

/** Pieces of content below this size count: each costs as much as a large one. */
const SMALL_BYTES = 256;
/** Small pieces that a request may bring in a second, and those that it may bring at once. */
const PER_SECOND = 10_000;
const BURST = 2_000;
/** How often it is looked at, in small pieces. */
const LOOK_EVERY = 250;

/**
 * Lets a request bring 10,000 small pieces of content a second (of one byte or of 255) and reads no more of its
 * connection for as long as it has brought more. Otherwise one client that sends chunks of a byte would take the time
 * of all: to read 64 KiB of them takes as long as a thousand requests.
 *
 * It stands between Node's parser and whoever reads the content, and holds nothing back that has been read. Content that
 * nobody wants is read like any other: what Node itself drops behind a response would not be counted.
 */
export function paceContent(req: IncomingMessage, res: ServerResponse, clock: Clock): void {
  const push = req.push.bind(req);
  const read = req._read.bind(req);
  let unseen = 0;
  let level = 0;
  let atMs = clock.ticks();
  let isHeld = false;

  function sink(): void {
    const nowMs = clock.ticks();
    level = Math.max(0, level - ((nowMs - atMs) * PER_SECOND) / 1000);
    atMs = nowMs;
  }

  function look(): void {
    sink();
    level += unseen;
    unseen = 0;
    if (isHeld || level <= BURST) return;
    isHeld = true;
    goOnLater();
  }

  function goOnLater(): void {
    clock.after(Math.ceil((level * 1000) / PER_SECOND), () => {
      sink();
      if (level > BURST) return goOnLater();
      isHeld = false;
      if (!req.complete && !req.destroyed) read(0);
    });
  }

  // Before Node's own listener, which drops the content of whoever does not read it by then.
  res.prependListener('finish', () => {
    if (!req.complete) req.resume();
  });
  req._read = (size) => {
    if (!isHeld) read(size);
  };
  req.push = (chunk, encoding) => {
    const takesMore = push(chunk, encoding);
    if (chunk === null || chunk.length >= SMALL_BYTES) return takesMore;
    unseen += 1;
    if (unseen >= LOOK_EVERY) look();
    // On false Node stops reading the connection, until `_read`.
    return takesMore && !isHeld;
  };
}
