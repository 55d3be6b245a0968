import { describe, expect, it } from '@jest/globals';
import type { RequestHandler } from 'express';
import { cache, type RouteCacheOptions } from '../../../lib/cache/middleware.ts';
import { cacheStatus, type Verdict } from '../../../lib/cache/rules/status.ts';
import type { ServiceCacheOptions } from '../../../lib/cache/serviceCache.ts';
import { Entries } from '../../../lib/cache/stored/entries.ts';
import { ANONYMOUS, Keys } from '../../../lib/cache/stored/key.ts';
import { exchangeOf } from '../../../lib/exchange/exchange.ts';
import { asOrigin } from '../../support/asOrigin.ts';
import { BrokenListener } from '../../support/brokenListener.ts';
import { type CallOptions, type CallResponse, call, open } from '../../support/clients/client.ts';
import { eventually } from '../../support/eventually.ts';
import { type BareApp, bareApp } from '../../support/gateway/bareApp.ts';
import { ManualClock } from '../../support/manualClock.ts';
import { FailingStore, memoryStore, WatchedStore } from '../../support/stores/memoryStore.ts';

const DEFAULT_TTL_MS = 30_000;
const MAX_ENTRY_BYTES = 1_000;

/** The service's turn: counts and answers. */
interface Service {
  readonly handler: RequestHandler;
  calls: number;
}

function service(answer: (...args: Parameters<RequestHandler>) => void): Service {
  const self: Service = {
    calls: 0,
    handler(req, res, next) {
      self.calls += 1;
      answer(req, res, next);
    },
  };
  return self;
}

/** Answers `call 1`, `call 2`, ... with these fields. */
function counting(fields: readonly string[] = [], status = 200): Service {
  const self = service((_req, res) => void res.writeHead(status, [...fields]).end(`call ${self.calls}`));
  return self;
}

/** Takes the caller's word for who it is; without `X-Subject` nobody is known. */
const identifies: RequestHandler = (req, res, next) => {
  const subject = req.headers['x-subject'];
  if (typeof subject === 'string') {
    exchangeOf(res).identity = { subject: decodeURIComponent(subject), key: subject, claims: '' };
  }
  next();
};

function cachingApp(
  { handler }: Service,
  { clock = new ManualClock(), ...options }: Partial<RouteCacheOptions & ServiceCacheOptions> = {},
): Promise<BareApp> {
  const store = memoryStore(clock);
  return bareApp([
    identifies,
    cache({
      store,
      origin: asOrigin(handler),
      defaultTtlMs: DEFAULT_TTL_MS,
      maxBodyBytes: MAX_ENTRY_BYTES,
      clock,
      ...options,
    }),
  ]);
}

function text({ body }: CallResponse): string {
  return body.toString();
}

describe('cache', () => {
  it('answers a GET that it has answered before, byte for byte', async () => {
    const content = Buffer.from(Uint8Array.from({ length: 256 }, (_, byte) => byte));
    const fields = ['X-Odd-CASE', 'a', 'x-dup', '1', 'Link', '<a>', 'X-Dup', '2', 'Content-Type', 'a/b'];
    const origin = service((_req, res) => void res.writeHead(200, fields).end(content));
    await using app = await cachingApp(origin);
    const first = await call(app.url);
    const second = await call(app.url);
    expect(origin.calls).toBe(1);
    expect(second.body).toEqual(content);
    expect(second.body).toEqual(first.body);
    const own = (answer: CallResponse) =>
      answer.fields.filter((_, i, all) => /^(x-odd|x-dup|link|content-type)/i.test(all[i - (i % 2)] ?? ''));
    expect(own(second)).toEqual(own(first));
  });

  it('says what it did', async () => {
    const clock = new ManualClock();
    const verdicts: string[] = [];
    await using app = await cachingApp(counting(), {
      clock,
      onVerdict: (verdict) => void verdicts.push(cacheStatus(verdict).slice('gateway; '.length)),
    });
    const said = async (options?: CallOptions) => {
      const { headers } = await call(app.url, options);
      return [headers['x-cache'], headers['cache-status'], headers.age];
    };
    expect(await said()).toEqual(['MISS', 'gateway; fwd=uri-miss', undefined]);
    clock.advance(12_345);
    expect(await said()).toEqual(['HIT', 'gateway; hit; ttl=17', '12']);
    expect(await said({ headers: { 'Cache-Control': 'no-cache' } })).toEqual([
      'MISS',
      'gateway; fwd=request',
      undefined,
    ]);
    expect(await said({ headers: { 'Cache-Control': 'no-store' } })).toEqual([
      'BYPASS',
      'gateway; fwd=bypass',
      undefined,
    ]);
    expect(verdicts).toEqual(['fwd=uri-miss', 'hit; ttl=17', 'fwd=request', 'fwd=bypass']);
    expect(app.exchanges.map(({ cacheVerdict }) => cacheVerdict)).toEqual(['miss', 'hit', 'miss', 'bypass']);
  });

  it('adds the age that a response came with to its own', async () => {
    const clock = new ManualClock();
    await using app = await cachingApp(counting(['Cache-Control', 'max-age=60', 'Age', '20']), { clock });
    expect((await call(app.url)).headers.age).toBe('20');
    clock.advance(10_000);
    expect((await call(app.url)).headers).toMatchObject({
      age: '30',
      'cache-status': 'gateway; hit; ttl=30',
    });
    clock.advance(30_000);
    expect((await call(app.url)).headers['x-cache']).toBe('MISS');
  });

  it('asks the service again once a response is no longer fresh', async () => {
    const clock = new ManualClock();
    await using app = await cachingApp(counting(), { clock });
    await call(app.url);
    clock.advance(DEFAULT_TTL_MS - 1);
    expect(text(await call(app.url))).toBe('call 1');
    clock.advance(1);
    expect(text(await call(app.url))).toBe('call 2');
    expect(text(await call(app.url))).toBe('call 2');
  });

  it('replaces what it has when the sender wants the service itself', async () => {
    await using app = await cachingApp(counting());
    await call(app.url);
    expect(text(await call(app.url, { headers: { 'Cache-Control': 'no-cache' } }))).toBe('call 2');
    expect(text(await call(app.url))).toBe('call 2');
  });

  it('tells targets apart byte for byte', async () => {
    await using app = await cachingApp(counting());
    const targets = ['/a', '/A', '/a/', '/a?', '/a?b', '/a?b=', '/%61', '//a'];
    const answers: string[] = [];
    for (const path of [...targets, ...targets]) answers.push(text(await call(app.url, { path })));
    expect(answers.slice(targets.length)).toEqual(answers.slice(0, targets.length));
    expect(new Set(answers).size).toBe(targets.length);
  });

  it.each([
    { name: 'Set-Cookie', fields: ['Set-Cookie', 'a=1'] },
    { name: 'private', fields: ['Cache-Control', 'private'] },
    {
      name: 'no-store among other fields',
      fields: ['Cache-Control', 'max-age=60', 'cache-control', 'No-Store'],
    },
    { name: 'Vary: *', fields: ['Vary', 'Accept', 'vary', '*'] },
    { name: 'a status that is cached only when it says so', status: 404, fields: [] },
  ])('does not store a response with $name', async ({ fields, status }) => {
    const origin = counting(fields, status);
    await using app = await cachingApp(origin);
    await call(app.url);
    expect((await call(app.url)).headers['x-cache']).toBe('MISS');
    expect(origin.calls).toBe(2);
  });

  it.each(['OPTIONS', 'TRACE'])('leaves %s alone', async (method) => {
    const origin = counting();
    await using app = await cachingApp(origin);
    await call(app.url);
    const { headers } = await call(app.url, { method });
    expect(headers).toMatchObject({ 'x-cache': 'BYPASS', 'cache-status': 'gateway; fwd=method' });
    expect(origin.calls).toBe(2);
    expect((await call(app.url)).headers['x-cache']).toBe('HIT');
  });

  it('is off with a default of 0', async () => {
    const origin = counting(['Cache-Control', 'max-age=60']);
    await using app = await cachingApp(origin, { defaultTtlMs: 'off' });
    await call(app.url);
    expect((await call(app.url)).headers['cache-status']).toBe('gateway; fwd=bypass');
    expect(origin.calls).toBe(2);
  });

  it('stores what is said in pieces, compressed and without a length', async () => {
    const origin = service((_req, res) => {
      res.setHeader('Content-Encoding', 'gzip');
      res.write('not really ');
      setImmediate(() => {
        res.write(Buffer.from('gzip'));
        res.end();
      });
    });
    await using app = await cachingApp(origin);
    await call(app.url);
    const hit = await call(app.url);
    expect(text(hit)).toBe('not really gzip');
    expect(hit.headers).toMatchObject({ 'x-cache': 'HIT', 'content-encoding': 'gzip' });
  });

  it.each([
    { bytes: MAX_ENTRY_BYTES, stored: true },
    { bytes: MAX_ENTRY_BYTES + 1, stored: false },
  ])('stores a body of $bytes bytes: $stored', async ({ bytes, stored }) => {
    const origin = service((_req, res) => {
      res.write('a');
      res.end('b'.repeat(bytes - 1));
    });
    await using app = await cachingApp(origin);
    expect((await call(app.url)).body).toHaveLength(bytes);
    const again = await call(app.url);
    expect(again.body).toHaveLength(bytes);
    expect(again.headers['x-cache']).toBe(stored ? 'HIT' : 'MISS');
  });

  it('does not store a response that was cut short', async () => {
    const origin = service((_req, res) => {
      if (origin.calls > 1) res.end('whole');
      else res.write('a beginning', () => res.destroy());
    });
    await using app = await cachingApp(origin);
    await expect(call(app.url)).rejects.toThrow();
    expect(text(await call(app.url))).toBe('whole');
  });

  it('passes errors of the service on and stores none', async () => {
    const origin = service((_req, _res, next) => next(Object.assign(new Error('broken'), { status: 502 })));
    await using app = await cachingApp(origin);
    expect((await call(app.url)).status).toBe(502);
    expect((await call(app.url)).status).toBe(502);
    expect(origin.calls).toBe(2);
  });
});

describe('cache tells callers apart', () => {
  it('so that nobody gets the response of another', async () => {
    const origin = service((_req, res) => void res.end(exchangeOf(res).identity?.subject ?? 'nobody'));
    await using app = await cachingApp(origin);
    const subjects = ['alice', 'bob', 'al:ice', 'alice:/', 'sub=alice', 'b\u00fc\u{1F4B0}', ':', '%'];
    const calls = [undefined, ...subjects, undefined, ...subjects];
    for (const [i, subject] of calls.entries()) {
      const headers = subject === undefined ? {} : { 'X-Subject': encodeURIComponent(subject) };
      const answer = await call(app.url, { headers });
      expect(text(answer)).toBe(subject ?? 'nobody');
      expect(answer.headers['x-cache']).toBe(i <= subjects.length ? 'MISS' : 'HIT');
    }
    expect(origin.calls).toBe(subjects.length + 1);
  });

  it('by who somebody is exactly, not by a name that two can have', async () => {
    await using app = await cachingApp(counting());
    const [ann, alsoAnn] = ['ann', '%61nn'].map((subject) => ({ headers: { 'X-Subject': subject } }));
    expect(text(await call(app.url, ann))).toBe('call 1');
    expect(text(await call(app.url, alsoAnn))).toBe('call 2');
    expect(text(await call(app.url, ann))).toBe('call 1');
  });

  it('by the whole name of the host, with the port that the gateway listens on', async () => {
    await using app = await cachingApp(counting(['Cache-Control', 'public, max-age=60']));
    const named = async (Host: string) => text(await call(app.url, { headers: { Host } }));
    expect(await named(`api.example.com:${app.url.port}`)).toBe('call 1');
    expect(await named('api.example.com')).toBe('call 2');
  });

  it('by passing on requests with Authorization when nobody has verified it', async () => {
    const origin = service((req, res) => void res.end(req.headers.authorization));
    await using app = await cachingApp(origin);
    for (const authorization of ['Bearer a', 'Bearer b']) {
      const answer = await call(app.url, { headers: { Authorization: authorization } });
      expect(text(answer)).toBe(authorization);
      expect(answer.headers['x-cache']).toBe('MISS');
    }
  });

  it('and services', async () => {
    const origin = service((_req, res) => void res.end(exchangeOf(res).service));
    const clock = new ManualClock();
    const store = memoryStore(clock);
    const names: RequestHandler = (req, res, next) => {
      exchangeOf(res).service = String(req.headers['x-service']);
      next();
    };
    await using app = await bareApp([
      names,
      cache({ store, origin: asOrigin(origin.handler), defaultTtlMs: 1_000, maxBodyBytes: 1_000, clock }),
    ]);
    for (const name of ['/a', '/b', '/a', '/b']) {
      expect(text(await call(app.url, { headers: { 'X-Service': name } }))).toBe(name);
    }
    expect(origin.calls).toBe(2);
  });
});

describe('cache minds Vary', () => {
  const origin = () =>
    service((req, res) => {
      res.writeHead(200, { Vary: 'Accept-Language, X-Other' }).end(req.headers['accept-language'] ?? 'none');
    });

  it('and uses a response only for a request that says the same', async () => {
    const verdicts: string[] = [];
    const onVerdict = (verdict: Verdict) => void verdicts.push(cacheStatus(verdict));
    await using app = await cachingApp(origin(), { onVerdict });
    for (const language of ['ro', 'ro', 'en', 'en']) {
      expect(text(await call(app.url, { headers: { 'Accept-Language': language } }))).toBe(language);
    }
    expect(verdicts).toEqual([
      'gateway; fwd=uri-miss',
      'gateway; hit; ttl=30',
      'gateway; fwd=vary-miss',
      'gateway; hit; ttl=30',
    ]);
  });

  it('and takes a field that is missing for one of its values', async () => {
    await using app = await cachingApp(origin());
    expect(text(await call(app.url))).toBe('none');
    expect(text(await call(app.url, { headers: { 'Accept-Language': 'ro' } }))).toBe('ro');
    expect(text(await call(app.url))).toBe('none');
  });

  it('and stores no token', async () => {
    const clock = new ManualClock();
    const store = new WatchedStore(clock);
    await using app = await cachingApp(counting(['Vary', 'Authorization, Cookie']), { store, clock });
    const headers = { 'X-Subject': 'alice', Authorization: 'Bearer secret', Cookie: 'secret' };
    await call(app.url, { headers });
    const written = [...store.written].flat().join();
    expect(written).toContain('call 1');
    expect(written).not.toContain('secret');
  });
});

describe('cache without its store', () => {
  it('asks the service and tells of each failure', async () => {
    const clock = new ManualClock();
    const errors: Error[] = [];
    const store = new FailingStore(memoryStore(clock));
    await using app = await cachingApp(counting(), {
      store,
      clock,
      onError: (error) => void errors.push(error),
    });
    expect(text(await call(app.url))).toBe('call 1');
    expect(errors.map(({ message }) => message)).toEqual(['the store is away']);
    expect(text(await call(app.url))).toBe('call 2');
    store.failing = false;
    expect(text(await call(app.url))).toBe('call 3');
    expect(text(await call(app.url))).toBe('call 3');
  });

  it('does no harm when listeners throw', async () => {
    using broken = new BrokenListener();
    const store = new FailingStore(memoryStore(new ManualClock()));
    await using app = await cachingApp(counting(), {
      store,
      onError: broken.listen,
      onVerdict: broken.listen,
    });
    expect(text(await call(app.url))).toBe('call 1');
    expect(text(await call(app.url))).toBe('call 2');
  });

  it('does not hold up a response that the store is slow to take', async () => {
    const clock = new ManualClock();
    const store = memoryStore(clock);
    const slow = Object.assign(new FailingStore(store), {
      failing: false,
      set: () => new Promise<void>(() => {}),
    });
    await using app = await cachingApp(counting(), { store: slow, clock });
    expect(text(await call(app.url))).toBe('call 1');
  });

  it.each(['', 'no entry', '{}\n', 'null\n', '{"fields":[],"terms":{}}\n'])(
    'takes a stored %p for a miss',
    async (stored) => {
      const clock = new ManualClock();
      const store = new WatchedStore(clock);
      const errors: Error[] = [];
      await using app = await cachingApp(counting(), {
        store,
        clock,
        onError: (error) => void errors.push(error),
      });
      await call(app.url);
      for (const key of store.entryKeys) await store.set(key, stored, 1_000);
      expect(text(await call(app.url))).toBe('call 2');
      expect(errors).toHaveLength(1);
      expect((await call(app.url)).headers['x-cache']).toBe('HIT');
    },
  );

  it('says nothing more to a request that was given up while the store was asked', async () => {
    const clock = new ManualClock();
    const store = memoryStore(clock);
    const asked = Promise.withResolvers<undefined>();
    const slow = Object.assign(new FailingStore(store), {
      failing: false,
      get: () => asked.promise,
      getAll: async () => [await asked.promise],
    });
    const origin = counting();
    await using app = await cachingApp(origin, { store: slow, clock });
    const req = open(app.url).end();
    await eventually('the request', () => app.exchanges.length === 1);
    req.destroy();
    await eventually('the abort', () => app.exchanges[0]?.signal.aborted);
    asked.resolve(undefined);
    await asked.promise;
    expect(origin.calls).toBe(0);
    expect(app.errors).toEqual([]);
  });
});

describe('a change that the store could not be told of', () => {
  it('counts once it is back', async () => {
    const clock = new ManualClock();
    const store = new FailingStore(memoryStore(clock));
    store.failing = false;
    await using app = await cachingApp(counting(), { store, clock });
    for (const path of ['/a', '/b']) await call(app.url, { path });
    store.failing = true;
    expect((await call(app.url, { path: '/a', method: 'POST' })).status).toBe(200);
    await call(app.url, { path: '/a' });
    store.failing = false;
    expect((await call(app.url, { path: '/b' })).headers['x-cache']).toBe('HIT');
    expect((await call(app.url, { path: '/a' })).headers['x-cache']).toBe('MISS');
  });

  it('counts for whole services when there are many', async () => {
    const clock = new ManualClock();
    const store = new FailingStore(memoryStore(clock));
    store.failing = false;
    const origin = counting();
    await using app = await cachingApp(origin, { store, clock });
    await call(app.url, { path: '/never-changed' });
    store.failing = true;
    const entries = new Entries({ store, now: () => clock.now(), staleIfErrorMs: 0, onError: () => {} });
    for (let n = 0; n <= 1_000; n += 1) await entries.invalidate('none', `/${n}`).catch(() => {});
    store.failing = false;
    const resource = { service: 'none', authority: `http://${app.url.host}`, target: '/never-changed' };
    const lookup = {
      resource,
      keys: new Keys(resource),
      audiences: [ANONYMOUS],
      selecting: { rawHeaders: [], identity: undefined },
    };
    expect((await entries.find(lookup)).entry).toBeUndefined();
    expect((await call(app.url, { path: '/never-changed' })).headers['x-cache']).toBe('MISS');
  });
});
