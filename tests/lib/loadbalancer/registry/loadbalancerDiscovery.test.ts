import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { Discovery, type DiscoveryOptions } from '../../../../lib/loadbalancer/registry/discovery.ts';
import type { ListedReplica } from '../../../../lib/loadbalancer/registry/listing.ts';
import { RegistryClient } from '../../../../lib/loadbalancer/registry/registryClient.ts';
import { registryApp } from '../../../../playground/registry/app.ts';
import { Replicas } from '../../../../playground/registry/replicas.ts';
import { BrokenListener } from '../../../support/brokenListener.ts';
import { deferred } from '../../../support/deferred.ts';
import { eventually } from '../../../support/eventually.ts';
import { ManualClock } from '../../../support/manualClock.ts';
import { neverCalled } from '../../../support/neverCalled.ts';
import { refusedUrl, sendJson, startUpstream } from '../../../support/upstreams/upstream.ts';

const EVERY_MS = 30_000;
const TIMEOUT_MS = 3000;

/** A replica that is registered at the playground's registry. */
function budgeting(number: number) {
  const url = `http://127.0.0.1:${4000 + number}`;
  return { name: 'budgeting', host: `budgeting.${number}`, port: 8087, url, health_check: '/health' };
}

describe('Discovery', () => {
  let clock: ManualClock;
  let seen: string[][];
  let skipped: string[];
  let errors: string[];
  let stop: () => void;

  beforeEach(() => {
    clock = new ManualClock();
    seen = [];
    skipped = [];
    errors = [];
  });

  afterEach(async () => {
    stop();
    // A call under way ends its timer once it knows that it is over.
    await eventually('no timer is left', () => clock.pending === 0);
  });

  function discover(url: URL, options: Partial<DiscoveryOptions> = {}): Discovery {
    const client = new RegistryClient({
      url: url.href,
      timeoutMs: TIMEOUT_MS,
      forms: [{ increment: '/{id}', deregister: '/{id}' }],
      clock,
    });
    const discovery = new Discovery({
      source: client,
      intervalMs: EVERY_MS,
      clock,
      onListing: (listed) => void seen.push(idsOf(listed)),
      onSkipped: (reasons) => void skipped.push(...reasons),
      onError: ({ message }) => void errors.push(message),
      ...options,
    });
    stop = () => {
      discovery.stop();
      client.close();
    };
    return discovery;
  }

  function idsOf(listed: readonly ListedReplica[]): string[] {
    return listed.map(({ registered }) => registered.host);
  }

  it('looks at once and then at intervals, and sees replicas come, go and go all at once', async () => {
    const replicas = new Replicas();
    await using registry = await startUpstream(
      registryApp(replicas, { form: 'document', countsIncrements: true }),
    );
    replicas.register(budgeting(1));
    const discovery = discover(registry.url);
    expect(discovery.firstRoundOver).toBe(false);
    await discovery.start();
    expect(discovery.firstRoundOver).toBe(true);
    expect(seen).toEqual([['budgeting.1']]);

    replicas.register(budgeting(2));
    clock.advance(EVERY_MS - 1);
    expect(registry.requests).toHaveLength(1);
    clock.advance(1);
    await eventually('a second look', () => seen.length === 2);
    replicas.deregister('budgeting.1');
    replicas.deregister('budgeting.2');
    clock.advance(EVERY_MS);
    await eventually('a third look', () => seen.length === 3);
    expect(seen.slice(1)).toEqual([['budgeting.1', 'budgeting.2'], []]);
    expect(errors).toEqual([]);
  });

  it('starts with the registry down, and finds it when it is there', async () => {
    let answers = (_res: Parameters<typeof sendJson>[0]): void => void _res.destroy();
    await using registry = await startUpstream((_req, res) => answers(res));
    const discovery = discover(registry.url);
    await discovery.start();
    expect(discovery.firstRoundOver).toBe(true);
    expect(errors).toEqual([expect.stringContaining(`GET ${registry.url.origin}/services failed`)]);
    answers = (res) => sendJson(res, [{ host: 'b', name: 'budgeting', url: 'http://127.0.0.1:1' }]);
    clock.advance(EVERY_MS);
    await eventually('it is found', () => seen.length === 1);
    expect(seen).toEqual([['b']]);
  });

  it('starts with nobody listening', async () => {
    await discover(refusedUrl(), { onListing: neverCalled('onListing') }).start();
    expect(errors).toEqual([expect.stringContaining('ECONNREFUSED')]);
  });

  it('reports nonsense and goes on', async () => {
    const bodies: unknown[] = [[], '<html>', { services: [] }];
    await using registry = await startUpstream((_req, res) => sendJson(res, bodies.shift()));
    await discover(registry.url).start();
    for (const looks of [2, 3]) {
      clock.advance(EVERY_MS);
      await eventually('another look', () => seen.length + errors.length === looks);
    }
    expect(seen).toEqual([[], []]);
    expect(errors).toEqual([expect.stringContaining('got HTML "<html>"')]);
  });

  it('reports what it could not read, and only then', async () => {
    const good = { id: 'a', host: 'a', name: 'budgeting', url: 'http://127.0.0.1:1' };
    const bodies = [[good], [good, { id: 'b' }]];
    await using registry = await startUpstream((_req, res) => sendJson(res, bodies.shift()));
    await discover(registry.url).start();
    expect(skipped).toEqual([]);
    clock.advance(EVERY_MS);
    await eventually('another look', () => seen.length === 2);
    expect(seen).toEqual([['a'], ['a']]);
    expect(skipped).toEqual([expect.stringContaining('entry 1 ("b"): name: ')]);
  });

  it('never has two looks under way at a slow registry', async () => {
    const held: (() => void)[] = [];
    await using registry = await startUpstream((_req, res) => void held.push(() => sendJson(res, [])));
    const discovery = discover(registry.url, { intervalMs: 100 });
    const first = discovery.start();
    await eventually('it is asked', () => held.length === 1);
    clock.advance(TIMEOUT_MS - 1);
    expect(clock.pending).toBe(1);
    held[0]?.();
    await first;
    expect(registry.requests).toHaveLength(1);
    clock.advance(100);
    await eventually('it is asked again', () => held.length === 2);
    clock.advance(TIMEOUT_MS);
    await eventually('the look is given up', () => errors.length === 1);
    expect(registry.requests).toHaveLength(2);
    expect(errors).toEqual([expect.stringContaining('no whole response within 3000 ms')]);
  });

  it('drops what a look brings after the stop', async () => {
    const gate = deferred();
    await using registry = await startUpstream(async (_req, res) => {
      await gate.promise;
      sendJson(res, []);
    });
    const discovery = discover(registry.url, {
      onListing: neverCalled('onListing'),
      onError: neverCalled('onError'),
    });
    const first = discovery.start();
    await eventually('it is asked', () => registry.requests.length === 1);
    discovery.stop();
    gate.resolve();
    await first;
    expect(clock.pending).toBe(0);
  });

  it('is stopped from within its own callback', async () => {
    await using registry = await startUpstream((_req, res) => sendJson(res, []));
    const discovery = discover(registry.url, { onListing: () => discovery.stop() });
    await discovery.start();
    expect(clock.pending).toBe(0);
  });

  it('starts once', async () => {
    await using registry = await startUpstream((_req, res) => sendJson(res, []));
    const discovery = discover(registry.url);
    await Promise.all([discovery.start(), discovery.start()]);
    await discovery.start();
    expect(registry.requests).toHaveLength(1);
    expect(clock.pending).toBe(1);
  });

  it('goes on when a callback throws', async () => {
    using broken = new BrokenListener();
    await using registry = await startUpstream((_req, res) => sendJson(res, []));
    await discover(registry.url, { onListing: broken.listen }).start();
    clock.advance(EVERY_MS);
    await eventually('another look', () => registry.requests.length === 2);
    expect(errors).toEqual([]);
  });

  it.each([0, -1, Number.NaN])('refuses an interval of %p', (intervalMs) => {
    stop = () => {};
    const options = { source: { list: neverCalled('list') }, intervalMs, clock };
    const build = () => new Discovery({ ...options, onListing: () => {}, onError: () => {} });
    expect(build).toThrow(`intervalMs must be above 0, got ${intervalMs}`);
  });
});
