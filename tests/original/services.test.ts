import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { bearer, startGateway, type TestGateway, tokenFor } from '../support/gateway/gateway.ts';
import { sendJson, startUpstream, type Upstream } from '../support/upstreams/upstream.ts';

/** The table of the original's document, with the names by which its registry lists the services. */
const SERVICES = [
  ['/userManagement', 'user-management'],
  ['/notification', 'notification'],
  ['/teaManagement', 'tea-management'],
  ['/communication', 'communication'],
  ['/booking', 'cab-booking'],
  ['/checkin', 'checkin'],
  ['/lostFound', 'lost-found'],
  ['/budgeting', 'budgeting'],
  ['/fundRaising', 'fund-raising'],
  ['/sharing', 'sharing'],
] as const;

describe('each service of the original', () => {
  const stack = new AsyncDisposableStack();
  const upstreams = new Map<string, Upstream>();
  let gateway: TestGateway;

  beforeAll(async () => {
    for (const [, name] of SERVICES) {
      upstreams.set(name, stack.use(await startUpstream((_req, res) => void res.end(name))));
    }
    const listing = Array.from(upstreams, ([name, { url }]) => ({
      id: crypto.randomUUID(),
      name,
      host: url.hostname,
      port: Number(url.port),
      status: 'healthy',
      request_count: 0,
    }));
    const registry = stack.use(await startUpstream((_req, res) => sendJson(res, listing)));
    // An empty GATEWAY_FILE counts as none: these are the built-in services.
    const env = { GATEWAY_FILE: '', SERVICE_DISCOVERY_URL: registry.url.origin };
    gateway = stack.use(await startGateway({ services: {}, env }));
  });
  afterAll(() => stack.disposeAsync());

  it.each(SERVICES)('%s is %s for users, with a token', async (path, name) => {
    expect((await fetch(`${gateway.external}${path}/api/x?a=1`)).status).toBe(401);
    const response = await fetch(`${gateway.external}${path}/api/x?a=1`, {
      headers: bearer(tokenFor('ann')),
    });
    expect(await response.text()).toBe(name);
    expect(upstreams.get(name)?.requests.at(-1)?.target).toBe('/api/x?a=1');
  });

  it.each(SERVICES)('%s is %s for services, below /internal and without a token', async (path, name) => {
    const response = await fetch(`${gateway.internal}/internal${path}/api/y`, { method: 'PUT', body: '{}' });
    expect(await response.text()).toBe(name);
    expect(upstreams.get(name)?.requests.at(-1)).toMatchObject({ method: 'PUT', target: '/api/y' });
  });
});
