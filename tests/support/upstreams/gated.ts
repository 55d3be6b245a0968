import type { ServerResponse } from 'node:http';
import { startUpstream, type Upstream } from './upstream.ts';

/** A service that answers when the test says so. */
export interface GatedUpstream extends Upstream {
  /** Requests that wait for their response, the oldest first. */
  readonly waiting: readonly ServerResponse[];
  /** Answers the one that has waited longest. */
  answerOne(): void;
}

export async function startGated(): Promise<GatedUpstream> {
  const waiting: ServerResponse[] = [];
  const upstream = await startUpstream((_req, res) => {
    waiting.push(res);
    res.once('close', () => {
      if (waiting.includes(res)) waiting.splice(waiting.indexOf(res), 1);
    });
  });
  return Object.assign(upstream, { waiting, answerOne: () => void waiting.shift()?.end('ok') });
}
