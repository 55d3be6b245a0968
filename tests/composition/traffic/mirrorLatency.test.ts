import { Agent, request, type ServerResponse } from 'node:http';
import { expect, it, jest } from '@jest/globals';
import { bearer, tokenFor } from '../../support/gateway/gateway.ts';
import { startGatewayProcess } from '../../support/gateway/gatewayProcess.ts';
import { hangs, refusedUrl, startRawUpstream, startUpstream } from '../../support/upstreams/upstream.ts';

jest.setTimeout(120_000);

/** What a caller may wait for a request that is copied, of what it waits for one that is not. */
const AT_MOST = 1.8;
const WARM_UP = 200;
const PAIRS = 400;

/** Answers at once, as services do that are asked for little. */
const CONTENT = 'x'.repeat(1000);

/** Sends a request to a path, and tells how many milliseconds its response took. */
type Timed = (path: string) => Promise<number>;

function timed(origin: string, agent: Agent): Timed {
  const headers = bearer(tokenFor('ann'));
  return async (path) => {
    const begunAt = performance.now();
    await new Promise<void>((resolve, reject) => {
      const req = request(`${origin}${path}`, { agent, headers }, (res) => {
        if (res.statusCode !== 200) reject(new Error(`status ${res.statusCode}`));
        res.on('end', resolve).resume();
      });
      req.once('error', reject).end();
    });
    return performance.now() - begunAt;
  };
}

const quantile = (times: readonly number[], part: number) =>
  times.toSorted((one, other) => one - other)[Math.floor(times.length * part)] as number;

it.each([
  ['answers', () => startUpstream((_req, res) => void res.end(CONTENT))],
  ['never answers', () => startRawUpstream(hangs)],
  ['answers late and without end', () => startUpstream((_req, res) => endless(res))],
  ['is not there', async () => ({ url: refusedUrl(), [Symbol.asyncDispose]: async () => {} })],
] as const)(
  'a caller waits no longer since its request is copied to a service that %s',
  async (_what, startShadow) => {
    await using shop = await startUpstream((_req, res) => void res.end(CONTENT));
    await using shadow = await startShadow();
    await using gateway = await startGatewayProcess({
      services: {
        '/plain': { upstreams: [shop], cacheTtl: 'off' },
        '/copied': { upstreams: [shop], cacheTtl: 'off', mirror: { service: 'shadow', timeout: '300ms' } },
        '/shadow': [shadow],
      },
    });
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    const ask = timed(gateway.external, agent);
    const times = { plain: [] as number[], copied: [] as number[] };
    for (let n = 0; n < WARM_UP + PAIRS; n += 1) {
      // In turn, so that whatever else the machine does befalls both.
      const order = n % 2 ? (['plain', 'copied'] as const) : (['copied', 'plain'] as const);
      for (const kind of order) {
        const tookMs = await ask(`/${kind}/x`);
        if (n >= WARM_UP) times[kind].push(tookMs);
      }
    }
    agent.destroy();
    for (const part of [0.5, 0.9]) {
      const ratio = quantile(times.copied, part) / quantile(times.plain, part);
      expect({ part, ratio: ratio <= AT_MOST ? 'fine' : ratio }).toEqual({ part, ratio: 'fine' });
    }
  },
);

/** Begins after a while, and ends when it is cut. */
function endless(res: ServerResponse): void {
  const chunk = Buffer.alloc(64 * 1024);
  const more = () => {
    while (!res.destroyed && res.write(chunk));
  };
  setTimeout(more, 50);
  res.on('drain', more);
}
