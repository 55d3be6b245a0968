import type { SharedCells } from '../../lib/threads/sharedCells.ts';
import type { SharedReplica } from '../wiring/services/replicas.ts';
import type { SentReplica } from './messages.ts';
import type { Shares } from './shares.ts';

/** Converts replicas into a form that can be sent to another thread. */
export function toSend(replicas: readonly SharedReplica[]): SentReplica[] {
  return replicas.map(({ url, counts, breaker, ...rest }) => {
    return { ...rest, href: url.href, counts: bufferOf(counts.cells), breaker: bufferOf(breaker.cells) };
  });
}

/** Converts replicas that another thread has sent. */
export function received(replicas: readonly SentReplica[], shares: Shares): SharedReplica[] {
  return replicas.map(({ href, counts, breaker, ...rest }) => {
    return { ...rest, url: new URL(href), counts: shares.see(counts), breaker: shares.see(breaker) };
  });
}

function bufferOf(cells: unknown): SharedArrayBuffer {
  return (cells as SharedCells).buffer;
}
