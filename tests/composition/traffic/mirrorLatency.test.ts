import { once } from 'node:events';
import { Agent, request } from 'node:http';
import { Worker } from 'node:worker_threads';
import { expect, it, jest } from '@jest/globals';
import { bearer, tokenFor } from '../../support/gateway/gateway.ts';
import { startGatewayProcess } from '../../support/gateway/gatewayProcess.ts';
import { refusedUrl, startUpstream } from '../../support/upstreams/upstream.ts';

jest.setTimeout(120_000);

/** What a caller may wait for a request that is copied, of what it waits for one that is not. */
const AT_MOST = 1.8;
const WARM_UP = 200;
const PAIRS = 400;
const ROUNDS = 3;

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

const SHADOW = new URL('shadow.ts', import.meta.url);

/** The service that gets the copies. */
async function startShadow(behaviour: string): Promise<{ readonly url: URL } & AsyncDisposable> {
  if (behaviour === 'is not there') return { url: refusedUrl(), [Symbol.asyncDispose]: async () => {} };
  const thread = new Worker(SHADOW, { workerData: behaviour });
  const [port] = await once(thread, 'message');
  return {
    url: new URL(`http://127.0.0.1:${port}`),
    async [Symbol.asyncDispose]() {
      await thread.terminate();
    },
  };
}

it.each(['answers', 'never answers', 'answers late and without end', 'is not there'])(
  'a caller waits no longer since its request is copied to a service that %s',
  async (behaviour) => {
    await using shop = await startUpstream((_req, res) => void res.end(CONTENT));
    await using shadow = await startShadow(behaviour);
    await using gateway = await startGatewayProcess({
      services: {
        '/plain': { upstreams: [shop], cacheTtl: 'off' },
        '/copied': { upstreams: [shop], cacheTtl: 'off', mirror: { service: 'shadow', timeout: '300ms' } },
        '/shadow': [shadow],
      },
    });
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    const ask = timed(gateway.external, agent);
    let ratios: readonly number[] = [];
    // Whatever disturbs the machine adds to either, so the round with the least says most.
    for (let round = 0; round < ROUNDS && !isFine(ratios); round += 1) ratios = await measured(ask);
    agent.destroy();
    expect(ratios.filter((ratio) => ratio > AT_MOST)).toEqual([]);
  },
);

const isFine = (ratios: readonly number[]) => ratios.length > 0 && ratios.every((ratio) => ratio <= AT_MOST);

/** How much longer requests take that are copied, in the median and at 90 %: 1 is no longer. */
async function measured(ask: Timed): Promise<number[]> {
  const times = { plain: [] as number[], copied: [] as number[] };
  for (let n = 0; n < WARM_UP + PAIRS; n += 1) {
    // In turn, so that whatever else the machine does befalls both.
    const order = n % 2 ? (['plain', 'copied'] as const) : (['copied', 'plain'] as const);
    for (const kind of order) {
      const tookMs = await ask(`/${kind}/x`);
      if (n >= WARM_UP) times[kind].push(tookMs);
    }
  }
  return [0.5, 0.9].map((part) => quantile(times.copied, part) / quantile(times.plain, part));
}
