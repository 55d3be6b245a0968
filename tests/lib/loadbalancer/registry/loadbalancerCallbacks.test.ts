import type { ServerResponse } from 'node:http';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { RegistryCalls, type RegistryCallsOptions } from '../../../../lib/loadbalancer/registry/callbacks.ts';
import { RegistryClient } from '../../../../lib/loadbalancer/registry/registryClient.ts';
import { registryApp } from '../../../../playground/registry/app.ts';
import { Replicas } from '../../../../playground/registry/replicas.ts';
import { BrokenListener } from '../../../support/brokenListener.ts';
import { eventually } from '../../../support/eventually.ts';
import { ManualClock } from '../../../support/manualClock.ts';
import { registered } from '../../../support/upstreams/registered.ts';
import {
  hangs,
  refusedUrl,
  resets,
  sendJson,
  startRawUpstream,
  startUpstream,
  type Upstream,
} from '../../../support/upstreams/upstream.ts';

const GATHER_MS = 500;
const REST_MS = 1000;
const TIMEOUT_MS = 3000;
const DEADLINE_MS = 5000;
const AT_ONCE = 4;

describe('RegistryCalls', () => {
  let clock: ManualClock;
  let client: RegistryClient;
  let errors: string[];
  let dropped: number[];

  beforeEach(() => {
    clock = new ManualClock();
    errors = [];
    dropped = [];
  });

  afterEach(() => client.close());

  function callsTo(url: URL, options: Partial<RegistryCallsOptions> = {}): RegistryCalls {
    client = new RegistryClient({
      url: url.href,
      timeoutMs: TIMEOUT_MS,
      forms: [{ increment: '/increment?service_id={id}', deregister: '/deregister?service_id={id}' }],
      clock,
    });
    return new RegistryCalls({
      client,
      clock,
      onError: ({ message }) => void errors.push(message),
      onDropped: (count) => void dropped.push(count),
      ...options,
    });
  }

  /** Calls to a registry that takes counts, as it has just said. */
  async function countingCallsTo(url: URL, options: Partial<RegistryCallsOptions> = {}) {
    const calls = callsTo(url, options);
    await client.list();
    return calls;
  }

  /** What was asked of the registry, listings aside. */
  function told({ requests }: Upstream): string[] {
    return requests
      .filter(({ target }) => target !== '/services')
      .map(({ method, target }) => `${method} ${target.replace('?service_id=', ' ')}`);
  }

  function listsNobody(res: ServerResponse): void {
    res.setHeader('X-Registry-Features', 'increment-count');
    sendJson(res, []);
  }

  describe('at a registry that does not count', () => {
    it('makes one call for each request', async () => {
      await using registry = await startUpstream();
      const calls = callsTo(registry.url);
      for (const id of ['a', 'b', 'a']) calls.increment(registered(id));
      await eventually('three are told', () => told(registry).length === 3);
      await calls.flush(DEADLINE_MS);
      expect(told(registry).sort()).toEqual(['PUT /increment a', 'PUT /increment a', 'PUT /increment b']);
      expect(clock.pending).toBe(0);
    });

    it('has four under way at a time, and drops the oldest when too many wait', async () => {
      const held: (() => void)[] = [];
      await using registry = await startUpstream((_req, res) => void held.push(() => res.end()));
      const calls = callsTo(registry.url, { maxWaiting: AT_ONCE });
      for (const id of ['1', '2', '3', '4']) calls.increment(registered(id));
      await eventually('four are under way', () => held.length === AT_ONCE);
      for (const id of ['5', '6', '7', '8', '9', 'A']) calls.increment(registered(id));
      expect(dropped).toEqual([1, 1]);
      expect(calls.dropped).toBe(2);
      for (let answered = 0; answered < 8; answered += 1) {
        await eventually('another call', () => held.length > answered);
        expect(held.length - answered).toBeLessThanOrEqual(AT_ONCE);
        held[answered]?.();
      }
      await calls.flush(DEADLINE_MS);
      const ids = told(registry).map((call) => call.slice(-1));
      expect(ids.toSorted()).toEqual(['1', '2', '3', '4', '7', '8', '9', 'A']);
      expect(errors).toEqual([]);
    });
  });

  describe('at a registry that counts', () => {
    it('gathers for half a second', async () => {
      const replicas = new Replicas();
      const at = { name: 'budgeting', port: 1, url: 'http://127.0.0.1:1', health_check: '/' };
      replicas.register({ ...at, host: 'a' });
      replicas.register({ ...at, host: 'b', url: 'http://127.0.0.1:2' });
      await using registry = await startUpstream(
        registryApp(replicas, { form: 'document', countsIncrements: true }),
      );
      const calls = await countingCallsTo(registry.url);
      for (let sent = 0; sent < 1000; sent += 1) calls.increment(registered('a'));
      calls.increment(registered('b'));
      clock.advance(GATHER_MS - 1);
      expect(told(registry)).toEqual([]);
      clock.advance(1);
      await eventually('both are told', () => told(registry).length === 2);
      calls.increment(registered('a'));
      clock.advance(GATHER_MS);
      await eventually('the next round is told', () => told(registry).length === 3);
      await calls.flush(DEADLINE_MS);
      expect(told(registry).toSorted()).toEqual([
        'PUT /increment a',
        'PUT /increment a&count=1000',
        'PUT /increment b',
      ]);
      expect(replicas.list().map(({ request_count }) => request_count)).toEqual([1001, 1]);
      expect(clock.pending).toBe(0);
    });

    it('goes on gathering while the registry is behind', async () => {
      const held: (() => void)[] = [];
      await using registry = await startUpstream((req, res) => {
        if (req.url === '/services') listsNobody(res);
        else held.push(() => res.end());
      });
      const calls = await countingCallsTo(registry.url);
      for (const id of ['1', '2', '3', '4', '5']) calls.increment(registered(id));
      clock.advance(GATHER_MS);
      await eventually('four are under way, one waits', () => held.length === AT_ONCE);
      for (let round = 0; round < 4; round += 1) {
        calls.increment(registered('5'));
        clock.advance(GATHER_MS);
      }
      for (const answer of held.splice(0)) answer();
      await eventually('the fifth is under way', () => held.length === 1);
      clock.advance(GATHER_MS);
      await eventually('the next round is under way', () => held.length === 2);
      for (const answer of held) answer();
      await calls.flush(DEADLINE_MS);
      expect(told(registry).slice(AT_ONCE)).toEqual(['PUT /increment 5', 'PUT /increment 5&count=4']);
      expect(dropped).toEqual([]);
    });

    it('drops the counts it has had longest when there are too many replicas', async () => {
      await using registry = await startUpstream((_req, res) => listsNobody(res));
      const calls = await countingCallsTo(registry.url, { maxWaiting: 2 });
      for (const id of ['a', 'a', 'a', 'b', 'c', 'b']) calls.increment(registered(id));
      expect(dropped).toEqual([3]);
      await calls.flush(DEADLINE_MS);
      expect(told(registry).toSorted()).toEqual(['PUT /increment b&count=2', 'PUT /increment c']);
    });

    it('does not count for a replica that it deregisters', async () => {
      await using registry = await startUpstream((_req, res) => listsNobody(res));
      const calls = await countingCallsTo(registry.url);
      calls.increment(registered('a'));
      calls.deregister(registered('a'));
      await calls.flush(DEADLINE_MS);
      expect(told(registry)).toEqual(['DELETE /deregister a']);
    });
  });

  describe('deregistration', () => {
    it('passes the increments that wait at a slow registry', async () => {
      const held: ServerResponse[] = [];
      await using registry = await startUpstream((req, res) => {
        if (req.method === 'PUT') held.push(res);
        else res.end();
      });
      const calls = callsTo(registry.url);
      for (let sent = 0; sent < 100; sent += 1) calls.increment(registered('a'));
      await eventually('the increments are stuck', () => held.length === AT_ONCE);
      calls.deregister(registered('a'));
      await eventually('it is told', () => told(registry).includes('DELETE /deregister a'));
      expect(told(registry)).toHaveLength(AT_ONCE + 1);
    });

    it('is told once for a trip, and again for the next', async () => {
      const held: ServerResponse[] = [];
      await using registry = await startUpstream((_req, res) => void held.push(res));
      const calls = callsTo(registry.url);
      calls.deregister(registered('a'));
      calls.deregister(registered('a'));
      calls.deregister(registered('b'));
      await eventually('they are told', () => held.length === 2);
      calls.deregister(registered('a'));
      for (const res of held.splice(0)) res.end();
      await eventually('the next trip is told', () => {
        calls.deregister(registered('a'));
        return held.length === 1;
      });
      for (const res of held) res.end();
      await calls.flush(DEADLINE_MS);
      expect(told(registry).toSorted()).toEqual([
        'DELETE /deregister a',
        'DELETE /deregister a',
        'DELETE /deregister b',
      ]);
    });
  });

  describe('when calls fail', () => {
    it('reports, counts and does not repeat them', async () => {
      await using registry = await startUpstream(
        registryApp(new Replicas(), { form: 'document', countsIncrements: true }),
      );
      const calls = callsTo(registry.url);
      calls.increment(registered('nobody'));
      calls.deregister(registered('nobody'));
      await eventually('both have failed', () => calls.failed === 2);
      expect(errors.toSorted()).toEqual([
        `registry: DELETE ${registry.url.origin}/deregister?service_id=nobody failed: it answered 404`,
        `registry: PUT ${registry.url.origin}/increment?service_id=nobody failed: it answered 404`,
      ]);
      // A registry that is there gets no rest: what comes next is told at once.
      expect(clock.pending).toBe(0);
      await calls.flush(DEADLINE_MS);
      expect(told(registry)).toHaveLength(2);
    });

    it('tries a registry that is away four times a second, however many requests there are', async () => {
      await using registry = await startRawUpstream(resets);
      const calls = callsTo(registry.url, { maxWaiting: 10 });
      for (let sent = 0; sent < 1000; sent += 1) calls.increment(registered('a'));
      await eventually('all turns rest', () => calls.failed === AT_ONCE && clock.pending === AT_ONCE);
      for (let sent = 0; sent < 1000; sent += 1) calls.increment(registered('a'));
      clock.advance(REST_MS - 1);
      expect(clock.pending).toBe(AT_ONCE);
      clock.advance(1);
      await eventually('all turns rest', () => calls.failed === 2 * AT_ONCE && clock.pending === AT_ONCE);
      expect(told(registry)).toHaveLength(2 * AT_ONCE);
      expect(calls.dropped).toBe(2000 - 10 - AT_ONCE);
    });

    it('frees its turn when the registry does not answer in time', async () => {
      await using registry = await startRawUpstream(hangs);
      const calls = callsTo(registry.url);
      calls.increment(registered('a'));
      await eventually('it is asked', () => told(registry).length === 1);
      clock.advance(TIMEOUT_MS);
      await eventually('it is given up', () => calls.failed === 1);
      expect(errors).toEqual([expect.stringContaining('no whole response within 3000 ms')]);
    });

    it('goes on when callbacks throw', async () => {
      using broken = new BrokenListener();
      await using registry = await startUpstream((_req, res) => sendJson(res, {}, 400));
      const { listen } = broken;
      const calls = callsTo(registry.url, { maxWaiting: 5, onError: listen, onDropped: listen });
      for (let sent = 0; sent < 10; sent += 1) calls.increment(registered('a'));
      await calls.flush(DEADLINE_MS);
      expect([calls.failed, calls.dropped]).toEqual([5, 5]);
    });
  });

  describe('flush', () => {
    it('sends what is gathered, waits for what is under way, and ignores what comes later', async () => {
      const held: ServerResponse[] = [];
      await using registry = await startUpstream((req, res) => {
        if (req.url === '/services') listsNobody(res);
        else held.push(res);
      });
      const calls = await countingCallsTo(registry.url);
      calls.deregister(registered('gone'));
      for (let sent = 0; sent < 7; sent += 1) calls.increment(registered('a'));
      let over = false;
      const flushed = calls.flush(DEADLINE_MS).then(() => {
        over = true;
      });
      calls.increment(registered('late'));
      calls.deregister(registered('late'));
      await eventually('both are told', () => held.length === 2);
      expect(over).toBe(false);
      for (const res of held) res.end();
      await flushed;
      expect(told(registry).toSorted()).toEqual(['DELETE /deregister gone', 'PUT /increment a&count=7']);
      expect([errors, dropped, clock.pending]).toEqual([[], [], 0]);
    });

    it('has nothing to wait for when nothing is under way', async () => {
      const calls = callsTo(refusedUrl());
      await calls.flush(DEADLINE_MS);
      await calls.flush(DEADLINE_MS);
      expect(clock.pending).toBe(0);
    });

    it('ignores what comes after it', async () => {
      await using registry = await startUpstream();
      const calls = callsTo(registry.url);
      await calls.flush(DEADLINE_MS);
      calls.increment(registered('late'));
      calls.deregister(registered('late'));
      // Two calls in a row: what was begun before them is there by then.
      await client.increment(registered('first'));
      await client.increment(registered('second'));
      expect(told(registry)).toEqual(['PUT /increment first', 'PUT /increment second']);
    });

    it('ends at its deadline, and drops what has not begun', async () => {
      await using registry = await startRawUpstream(hangs);
      const calls = callsTo(registry.url);
      for (let sent = 0; sent < 10; sent += 1) calls.increment(registered('a'));
      await eventually('four are under way', () => told(registry).length === AT_ONCE);
      const flushed = calls.flush(TIMEOUT_MS - 1);
      clock.advance(TIMEOUT_MS - 1);
      await flushed;
      expect(dropped).toEqual([10 - AT_ONCE]);
      client.close();
      await eventually('the others end with the client', () => calls.failed === AT_ONCE);
      expect(told(registry)).toHaveLength(AT_ONCE);
      expect(clock.pending).toBe(0);
    });

    it('does not rest', async () => {
      const calls = callsTo(refusedUrl());
      for (let sent = 0; sent < 20; sent += 1) calls.increment(registered('a'));
      await eventually('all turns rest', () => clock.pending === AT_ONCE);
      await calls.flush(DEADLINE_MS);
      expect(calls.failed).toBe(20);
      expect(clock.pending).toBe(0);
    });
  });

  it.each([0, Number.NaN])('refuses a queue of %p', (maxWaiting) => {
    expect(() => callsTo(new URL('http://registry'), { maxWaiting })).toThrow(
      `maxWaiting must be 1 or more, got ${maxWaiting}`,
    );
  });
});
