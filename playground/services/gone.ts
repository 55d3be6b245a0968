import type { ServerResponse } from 'node:http';

/** Aborted when the caller has its answer, or leaves before. */
export function goneSignal(res: ServerResponse): AbortSignal {
  const gone = new AbortController();
  res.once('close', () => gone.abort());
  return gone.signal;
}
