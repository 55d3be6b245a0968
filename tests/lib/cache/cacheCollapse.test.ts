import { describe, expect, it } from '@jest/globals';
import type { Request, RequestHandler, Response } from 'express';
import { type CacheOptions, cache } from '../../../lib/cache/middleware.ts';
import { exchangeOf } from '../../../lib/exchange/exchange.ts';
import { timeout } from '../../../lib/timeout/middleware.ts';
import { asOrigin } from '../../support/asOrigin.ts';
import { answerTo, type CallResponse, call, open } from '../../support/clients/client.ts';
import { eventually } from '../../support/eventually.ts';
import { bareApp } from '../../support/gateway/bareApp.ts';
import { ManualClock } from '../../support/manualClock.ts';
import { memoryStore } from '../../support/stores/memoryStore.ts';

const MAX_BODY_BYTES = 100_000;
const TIMEOUT_MS = 3_000;

/** A call of the service that waits for the test to answer it. */
interface Called {
  readonly req: Request;
  readonly res: Response;
  readonly fail: (error: Error) => void;
  readonly signal: AbortSignal;
}

/** Several clients in front of one cache, and a service that the test speaks for. */
async function startWorld(options: Partial<CacheOptions> = {}) {
  const clock = new ManualClock();
  const calls: Called[] = [];
  const origin: RequestHandler = (req, res, next) => {
    calls.push({ req, res, fail: next, signal: exchangeOf(res).signal });
  };
  const identifies: RequestHandler = (req, res, next) => {
    const subject = req.headers['x-subject'];
    if (typeof subject === 'string') exchangeOf(res).identity = { subject, key: subject, claims: '' };
    next();
  };
  const store = memoryStore(clock);
  const handler = cache({
    store,
    origin: asOrigin(origin),
    defaultTtlMs: 30_000,
    maxBodyBytes: MAX_BODY_BYTES,
    clock,
    ...options,
  });
  const app = await bareApp([timeout({ timeoutMs: TIMEOUT_MS, clock }), identifies, handler]);
  const reached = (count: number) => eventually(`${count} calls`, () => calls.length === count);
  /** Sends requests and waits until all have come to the cache. */
  async function ask(count: number, headers: Record<string, string> = {}): Promise<Promise<CallResponse>[]> {
    const before = app.exchanges.length;
    const answers = Array.from({ length: count }, () => call(app.url, { headers }));
    for (const answer of answers) answer.catch(() => {});
    await eventually('they have come', () => app.exchanges.length === before + count);
    // What waits for the store in memory has its turn.
    await new Promise(setImmediate);
    return answers;
  }
  return { app, clock, calls, reached, ask, store, [Symbol.asyncDispose]: () => app[Symbol.asyncDispose]() };
}

async function bodies(answers: readonly Promise<CallResponse>[]): Promise<string[]> {
  return (await Promise.all(answers)).map(({ body }) => body.toString());
}

function last<T>(list: readonly T[]): T {
  return list.at(-1) as T;
}

describe('many callers of one missing response', () => {
  it('cause one call, and each gets the response', async () => {
    await using world = await startWorld();
    const answers = await world.ask(20);
    expect(world.calls).toHaveLength(1);
    world.calls[0]?.res.end('once');
    expect(await bodies(answers)).toEqual(Array(20).fill('once'));
    expect(world.calls).toHaveLength(1);
    const said = (await Promise.all(answers)).map(({ headers }) => headers['cache-status']);
    expect(said.filter((status) => status === 'gateway; fwd=uri-miss; stored')).toHaveLength(1);
    expect(said.filter((status) => status === 'gateway; fwd=uri-miss; collapsed')).toHaveLength(19);
  });

  it('with different subjects cause a call each', async () => {
    await using world = await startWorld();
    const ann = await world.ask(3, { 'X-Subject': 'ann' });
    const bob = await world.ask(3, { 'X-Subject': 'bob' });
    expect(world.calls).toHaveLength(2);
    for (const { res } of world.calls) res.end(exchangeOf(res).identity?.subject);
    expect(await bodies(ann)).toEqual(Array(3).fill('ann'));
    expect(await bodies(bob)).toEqual(Array(3).fill('bob'));
  });

  it('with different subjects cause one once the response is known to be for everyone', async () => {
    await using world = await startWorld();
    const shared = { 'Cache-Control': 'public, max-age=10' };
    const [first] = await world.ask(1, { 'X-Subject': 'ann' });
    world.calls[0]?.res.writeHead(200, shared).end('one');
    await first;
    world.clock.advance(3_600_000);
    const ann = await world.ask(2, { 'X-Subject': 'ann' });
    const bob = await world.ask(2, { 'X-Subject': 'bob' });
    expect(world.calls).toHaveLength(2);
    last(world.calls).res.writeHead(200, shared).end('two');
    expect(await bodies([...ann, ...bob])).toEqual(Array(4).fill('two'));
  });

  it('wait for nobody else once a response for everyone was followed by one that is not', async () => {
    await using world = await startWorld();
    const answered = async (fields: Record<string, string>) => {
      const [answer] = await world.ask(1, { 'X-Subject': 'ann' });
      last(world.calls).res.writeHead(200, fields).end();
      await answer;
      world.clock.advance(3_600_000);
    };
    await answered({ 'Cache-Control': 'public, max-age=10' });
    await answered({ 'Cache-Control': 'max-age=10' });
    const [ann] = await world.ask(1, { 'X-Subject': 'ann' });
    const [bob] = await world.ask(1, { 'X-Subject': 'bob' });
    expect(world.calls).toHaveLength(4);
    for (const { res } of world.calls.slice(2)) res.end(exchangeOf(res).identity?.subject);
    expect(await bodies([ann, bob] as Promise<CallResponse>[])).toEqual(['ann', 'bob']);
  });

  it('are not collapsed while nobody knows whose Cookie it is', async () => {
    await using world = await startWorld();
    const answers = await world.ask(3, { Cookie: 'a' });
    expect(world.calls).toHaveLength(3);
    for (const [n, { res }] of world.calls.entries()) res.end(`${n}`);
    expect((await bodies(answers)).sort()).toEqual(['0', '1', '2']);
  });

  it('with a Cookie that nobody verified follow what everybody gets, and nothing else', async () => {
    await using world = await startWorld();
    const shared = { 'Cache-Control': 'public, max-age=10' };
    const [first] = await world.ask(1);
    world.calls[0]?.res.writeHead(200, shared).end('one');
    await first;
    world.clock.advance(3_600_000);
    const known = await world.ask(1);
    const strangers = await world.ask(2, { Cookie: 'a' });
    expect(world.calls).toHaveLength(2);
    last(world.calls).res.writeHead(200, shared).end('two');
    expect(await bodies([...known, ...strangers])).toEqual(['two', 'two', 'two']);
    world.clock.advance(3_600_000);
    const [own] = await world.ask(1);
    const others = await world.ask(2, { Cookie: 'a' });
    world.calls[2]?.res.end('not for all');
    await world.reached(5);
    for (const { res } of world.calls.slice(3)) res.end('own');
    expect(await bodies([own as Promise<CallResponse>, ...others])).toEqual(['not for all', 'own', 'own']);
  });

  it('get nothing that was asked for before a change, when nothing was stored before', async () => {
    await using world = await startWorld();
    const [before] = await world.ask(1);
    const changing = call(world.app.url, { method: 'POST' });
    await world.reached(2);
    world.calls[1]?.res.end('changed');
    await changing;
    world.calls[0]?.res.end('old');
    await before;
    const [after] = await world.ask(1);
    await world.reached(3);
    world.calls[2]?.res.end('new');
    expect(await bodies([after as Promise<CallResponse>, ...(await world.ask(1))])).toEqual(['new', 'new']);
    expect(world.calls).toHaveLength(3);
  });

  it('get nothing that was asked for so long before that a change since is forgotten', async () => {
    await using world = await startWorld();
    const [before] = await world.ask(1);
    world.calls[0]?.res.write('o');
    const changing = call(world.app.url, { method: 'POST' });
    await world.reached(2);
    world.calls[1]?.res.end('changed');
    await changing;
    world.clock.advance(40_000);
    world.calls[0]?.res.end('ld');
    expect(await bodies([before as Promise<CallResponse>])).toEqual(['old']);
    const [after] = await world.ask(1);
    await world.reached(3);
    world.calls[2]?.res.end('new');
    expect(await bodies([after as Promise<CallResponse>])).toEqual(['new']);
  });

  it('of several targets below one path that was never asked for may all be stored', async () => {
    await using world = await startWorld();
    const targets = ['?a', '?b'].map((query) => new URL(query, world.app.url));
    const first = targets.map((target) => call(target));
    await world.reached(2);
    for (const { req, res } of world.calls) res.end(req.url);
    const told = await bodies(first);
    expect(await bodies(targets.map((target) => call(target)))).toEqual(told);
    expect(world.calls).toHaveLength(2);
  });

  it('get answers of their own when that proves wrong', async () => {
    await using world = await startWorld();
    const [first] = await world.ask(1, { 'X-Subject': 'ann' });
    world.calls[0]?.res.writeHead(200, { 'Cache-Control': 'public, max-age=10' }).end('for all');
    await first;
    world.clock.advance(3_600_000);
    const [ann] = await world.ask(1, { 'X-Subject': 'ann' });
    const [bob] = await world.ask(1, { 'X-Subject': 'bob' });
    expect(world.calls).toHaveLength(2);
    last(world.calls).res.end('for ann');
    await world.reached(3);
    expect(exchangeOf(last(world.calls).res).identity?.subject).toBe('bob');
    last(world.calls).res.end('for bob');
    expect(await bodies([ann, bob] as Promise<CallResponse>[])).toEqual(['for ann', 'for bob']);
  });

  it('that say other things under Vary get answers of their own', async () => {
    await using world = await startWorld();
    const vary = { Vary: 'Accept-Language' };
    const [ro] = await world.ask(1, { 'Accept-Language': 'ro' });
    const [en] = await world.ask(1, { 'Accept-Language': 'en' });
    expect(world.calls).toHaveLength(1);
    world.calls[0]?.res.writeHead(200, vary).end('ro');
    await world.reached(2);
    world.calls[1]?.res.writeHead(200, vary).end('en');
    expect(await bodies([ro, en] as Promise<CallResponse>[])).toEqual(['ro', 'en']);
  });

  it('wait for its end, while the first gets it as it comes', async () => {
    await using world = await startWorld();
    const req = open(world.app.url).end();
    await world.reached(1);
    const [second] = await world.ask(1);
    world.calls[0]?.res.write('begun ');
    const res = await answerTo(req);
    const [chunk] = await res
      .iterator()
      .next()
      .then(({ value }) => [String(value)]);
    expect(chunk).toBe('begun ');
    world.calls[0]?.res.end('and ended');
    expect((await second)?.body.toString()).toBe('begun and ended');
    expect(world.calls).toHaveLength(1);
  });
});

describe('the first caller may leave', () => {
  it('and the others get the response', async () => {
    await using world = await startWorld();
    const first = open(world.app.url).end();
    await world.reached(1);
    const answers = await world.ask(3);
    first.destroy();
    await eventually('it is noticed', () => world.app.exchanges[0]?.signal.aborted);
    expect(world.calls[0]?.signal.aborted).toBe(false);
    world.calls[0]?.res.end('for those who stayed');
    expect(await bodies(answers)).toEqual(Array(3).fill('for those who stayed'));
    expect(world.calls).toHaveLength(1);
  });

  it('in the midst of the response', async () => {
    await using world = await startWorld();
    const first = open(world.app.url).end();
    await world.reached(1);
    const answers = await world.ask(2);
    world.calls[0]?.res.write('begun ');
    await answerTo(first);
    first.destroy();
    await eventually('it is noticed', () => world.app.exchanges[0]?.signal.aborted);
    world.calls[0]?.res.end('and ended');
    expect(await bodies(answers)).toEqual(Array(2).fill('begun and ended'));
  });

  it('and with the last of them the work ends', async () => {
    await using world = await startWorld();
    const clients = [open(world.app.url).end()];
    await world.reached(1);
    clients.push(open(world.app.url).end());
    await eventually('both are here', () => world.app.exchanges.length === 2);
    await new Promise(setImmediate);
    clients[0]?.destroy();
    await eventually('the first has left', () => world.app.exchanges[0]?.signal.aborted);
    expect(world.calls[0]?.signal.aborted).toBe(false);
    clients[1]?.destroy();
    await eventually('the work has ended', () => world.calls[0]?.signal.aborted);
    expect(world.app.errors).toEqual([]);
  });

  it('and one that comes later starts anew', async () => {
    await using world = await startWorld();
    const first = open(world.app.url).end();
    await world.reached(1);
    first.destroy();
    await eventually('the work has ended', () => world.calls[0]?.signal.aborted);
    const [second] = await world.ask(1);
    await world.reached(2);
    world.calls[1]?.res.end('anew');
    expect((await second)?.body.toString()).toBe('anew');
  });
});

describe('followers do not inherit', () => {
  it('an error: each asks for itself', async () => {
    await using world = await startWorld();
    const answers = await world.ask(3);
    world.calls[0]?.fail(Object.assign(new Error('broken'), { status: 502 }));
    await world.reached(3);
    for (const { res } of world.calls.slice(1)) res.end('well');
    const statuses = (await Promise.all(answers)).map(({ status }) => status).sort();
    expect(statuses).toEqual([200, 200, 502]);
  });

  it('a response of 5xx, after which the next ones collapse as before', async () => {
    await using world = await startWorld();
    const [first] = await world.ask(1);
    world.calls[0]?.res.writeHead(500).end();
    await first;
    await world.ask(3);
    expect(world.calls).toHaveLength(2);
  });

  it('a response that was cut short', async () => {
    await using world = await startWorld();
    const answers = await world.ask(2);
    world.calls[0]?.res.write('a beginning');
    world.calls[0]?.res.destroy();
    await world.reached(2);
    world.calls[1]?.res.end('whole');
    const outcomes = await Promise.allSettled(answers);
    expect(outcomes.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected']);
  });

  it('the time that the first had: half of their own is left to ask themselves', async () => {
    await using world = await startWorld();
    const [first] = await world.ask(1);
    world.clock.advance(TIMEOUT_MS / 2);
    const [second] = await world.ask(1);
    expect(world.calls).toHaveLength(1);
    world.clock.advance(TIMEOUT_MS / 2);
    expect((await first)?.status).toBe(504);
    expect(world.calls[0]?.signal.reason).toMatchObject({ code: 'request_timeout' });
    await world.reached(2);
    world.calls[1]?.res.end('in time');
    expect((await second)?.body.toString()).toBe('in time');
  });
});

describe('a response that cannot be stored', () => {
  const NO_STORE = { 'Cache-Control': 'no-store' };

  it('queues nobody behind another: all others ask at once', async () => {
    await using world = await startWorld();
    const answers = await world.ask(5);
    world.calls[0]?.res.writeHead(200, NO_STORE).flushHeaders();
    // Before the first has its content.
    await world.reached(5);
    for (const { res } of world.calls) res.end('own');
    expect(await bodies(answers)).toEqual(Array(5).fill('own'));
  });

  it('is remembered as such for a while, then tried again', async () => {
    await using world = await startWorld();
    const [first] = await world.ask(1);
    world.calls[0]?.res.writeHead(200, NO_STORE).end();
    await first;
    await world.ask(3);
    expect(world.calls).toHaveLength(4);
    world.clock.advance(5_001);
    await world.ask(3);
    expect(world.calls).toHaveLength(5);
  });

  it('is forgotten as such when it can be', async () => {
    await using world = await startWorld();
    const [first] = await world.ask(1);
    world.calls[0]?.res.writeHead(200, NO_STORE).end();
    await first;
    world.clock.advance(5_001);
    const [second] = await world.ask(1);
    world.calls[1]?.res.end('for a while');
    await second;
    const [third] = await world.ask(1);
    expect((await third)?.headers['x-cache']).toBe('HIT');
  });

  it('because it is too large', async () => {
    await using world = await startWorld();
    const answers = await world.ask(3);
    world.calls[0]?.res.write('x'.repeat(MAX_BODY_BYTES + 1));
    await world.reached(3);
    for (const { res } of world.calls) res.end('.');
    const lengths = (await bodies(answers)).map(({ length }) => length).sort((a, b) => a - b);
    expect(lengths).toEqual([1, 1, MAX_BODY_BYTES + 2]);
  });
});

describe('a client that reads slowly', () => {
  it('keeps what is stored from nobody, and is waited for where nothing is', async () => {
    await using world = await startWorld({ maxBodyBytes: 4_000_000 });
    const slow = open(world.app.url).end();
    await world.reached(1);
    const [quick] = await world.ask(1);
    const { res } = last(world.calls);
    const megabyte = Buffer.alloc(1_000_000, 'x');
    for (let n = 0; n < 4; n += 1) expect(res.write(megabyte)).toBe(true);
    res.end();
    expect((await quick)?.body).toHaveLength(4_000_000);
    slow.destroy();

    const [slower] = [open(`${world.app.url}large`).end()];
    await world.reached(2);
    const large = last(world.calls).res;
    large.setHeader('Content-Length', 100_000_000);
    const incoming = answerTo(slower);
    let accepted = 0;
    while (accepted < 100 && large.write(megabyte)) accepted += 1;
    expect(accepted).toBeLessThan(100);
    const drained = new Promise((resolve) => large.once('drain', resolve));
    (await incoming).resume();
    await drained;
    slower.destroy();
  });
});

describe('stale responses while a new one is on its way', () => {
  const FIELDS = { 'Cache-Control': 'max-age=10, stale-while-revalidate=60' };

  it('cause one call in the background however many ask', async () => {
    await using world = await startWorld();
    const [first] = await world.ask(1);
    world.calls[0]?.res.writeHead(200, FIELDS).end('old');
    await first;
    world.clock.advance(20_000);
    expect(await bodies(await world.ask(5))).toEqual(Array(5).fill('old'));
    expect(world.calls).toHaveLength(2);
    world.calls[1]?.res.writeHead(200, FIELDS).end('new');
    expect(await bodies(await world.ask(1))).toEqual(['new']);
  });

  it('which ends when the service takes too long', async () => {
    await using world = await startWorld();
    const [first] = await world.ask(1);
    world.calls[0]?.res.writeHead(200, FIELDS).end('old');
    await first;
    world.clock.advance(20_000);
    await bodies(await world.ask(1));
    world.clock.advance(TIMEOUT_MS);
    expect(world.calls[1]?.signal.reason).toMatchObject({ code: 'request_timeout' });
    await world.ask(1);
    expect(world.calls).toHaveLength(3);
  });
});

describe('a stale response that may stand in for an error', () => {
  const staleIfErrorMs = 60_000;

  async function startStale() {
    const world = await startWorld({ staleIfErrorMs });
    const [first] = await world.ask(1);
    world.calls[0]?.res.writeHead(200, { 'Cache-Control': 'max-age=10' }).end('old');
    await first;
    world.clock.advance(20_000);
    return world;
  }

  it('does for everybody who waits', async () => {
    await using world = await startStale();
    const answers = await world.ask(4);
    world.calls[1]?.fail(Object.assign(new Error('open'), { status: 503, code: 'circuit_open' }));
    expect(await bodies(answers)).toEqual(Array(4).fill('old'));
    expect(world.calls).toHaveLength(2);
    const { headers } = (await answers[0]) as CallResponse;
    expect(headers['cache-status']).toBe('gateway; fwd=stale; ttl=-10; detail=stale-if-error');
    expect(headers.age).toBe('20');
  });

  it('before the client runs out of time', async () => {
    await using world = await startStale();
    const [answer] = await world.ask(1);
    world.clock.advance(TIMEOUT_MS * 0.9);
    expect((await answer)?.body.toString()).toBe('old');
    expect(world.calls[1]?.signal.reason).toMatchObject({ code: 'request_timeout' });
  });

  it('not where the client is at fault', async () => {
    await using world = await startStale();
    const [answer] = await world.ask(1);
    world.calls[1]?.fail(Object.assign(new Error('no'), { status: 400 }));
    expect((await answer)?.status).toBe(400);
  });
});

it('a response asked for before a change is not used after it', async () => {
  await using world = await startWorld();
  const [first] = await world.ask(1);
  const other = call(world.app.url, { method: 'POST' });
  await world.reached(2);
  world.calls[1]?.res.end('changed');
  await other;
  world.calls[0]?.res.end('from before the change');
  expect((await first)?.body.toString()).toBe('from before the change');
  await world.ask(1);
  await world.reached(3);
});
