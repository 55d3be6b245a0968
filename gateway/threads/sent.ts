import type { SharedCells } from '../../lib/threads/sharedCells.ts';
import type { SharedReplica } from '../wiring/replicas.ts';
import type { SentReplica } from './messages.ts';
import type { Shares } from './shares.ts';

/** Replicas in the form in which another thread can be sent them. */
export function toSend(replicas: readonly SharedReplica[]): SentReplica[] {
  return replicas.map(({ url, counts, breaker, ...rest }) => {
    return { ...rest, href: url.href, counts: bufferOf(counts.cells), breaker: bufferOf(breaker.cells) };
  });
}

/** Replicas as they were sent, seen from this thread. */
export function received(replicas: readonly SentReplica[], shares: Shares): SharedReplica[] {
  return replicas.map(({ href, counts, breaker, ...rest }) => {
    return { ...rest, url: new URL(href), counts: shares.see(counts), breaker: shares.see(breaker) };
  });
}

function bufferOf(cells: unknown): SharedArrayBuffer {
  return (cells as SharedCells).buffer;
}
