import { describe, expect, it } from '@jest/globals';
import { RawClient, request } from '../../support/clients/rawClient.ts';
import { bearer, startGateway, tokenFor } from '../../support/gateway/gateway.ts';
import { startUpstream } from '../../support/upstreams/upstream.ts';

const authorization = `Authorization: ${bearer(tokenFor('ann')).Authorization}`;

/** A gateway behind a proxy at 127.0.0.1, and others in 10.0.0.0/8. */
async function startBehindProxies(env: Record<string, string> = {}) {
  const stack = new AsyncDisposableStack();
  const service = stack.use(await startUpstream());
  const gateway = stack.use(
    await startGateway({
      services: { '/up': [service] },
      env: { TRUSTED_PROXIES: '127.0.0.1,10.0.0.0/8', GET_CACHE_TTL: 'off', ...env },
    }),
  );
  return {
    /** The status of the response to a request with these fields. */
    async ask(...fields: string[]): Promise<number> {
      using client = await RawClient.to(gateway.external);
      client.send(request('GET /up/x', authorization, ...fields));
      return (await client.answer()).status;
    },
    /** The value that the service was sent last. */
    sent(name: string): string | undefined {
      const fields = service.requests.at(-1)?.fields ?? [];
      const at = fields.findIndex((field) => field.toLowerCase() === name);
      return at === -1 ? undefined : fields[at + 1];
    },
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  };
}

describe('what a trusted proxy says of its client', () => {
  it.each([
    ['203.0.113.7:4711', '203.0.113.7, 127.0.0.1'],
    ['[2001:db8:1:2::99]', '2001:db8:1:2::99, 127.0.0.1'],
    ['[2001:db8:1:2::99]:4711', '2001:db8:1:2::99, 127.0.0.1'],
    ['203.0.113.7:1, 10.1.2.3:2', '203.0.113.7, 10.1.2.3, 127.0.0.1'],
  ])('reaches services without ports and brackets: %s', async (given, told) => {
    await using world = await startBehindProxies();
    expect(await world.ask(`X-Forwarded-For: ${given}`)).toBe(200);
    expect(world.sent('x-forwarded-for')).toBe(told);
  });

  it.each([
    ['203.0.113.7', '203.0.113.8'],
    ['[2001:db8:1:2::99]', '[2001:db8:1:3::99]'],
  ])('counts %s and %s each for itself, on whatever ports', async (one, other) => {
    await using world = await startBehindProxies({ RATE_LIMIT_PER_ADDRESS: '2/1h' });
    const ask = (client: string, port: number) => world.ask(`X-Forwarded-For: ${client}:${port}`);
    const asked = [await ask(one, 1), await ask(one, 2), await ask(one, 3), await ask(other, 1)];
    expect(asked).toEqual([200, 200, 429, 200]);
  });

  it('is one scheme, never a list of them', async () => {
    await using world = await startBehindProxies();
    expect(await world.ask('X-Forwarded-For: 203.0.113.7, 10.1.1.1', 'X-Forwarded-Proto: https, http')).toBe(
      200,
    );
    expect(world.sent('x-forwarded-proto')).toBe('https');
    expect(world.sent('forwarded')).toBe(
      'for=203.0.113.7, for=10.1.1.1, for=127.0.0.1;host=gateway.test;proto=https',
    );
  });

  it('keeps the port at which the client came', async () => {
    await using world = await startBehindProxies();
    expect(await world.ask('X-Forwarded-Port: 8443')).toBe(200);
    expect(world.sent('x-forwarded-port')).toBe('8443');
  });
});
