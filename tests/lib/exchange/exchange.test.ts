import { setImmediate as turn } from 'node:timers/promises';
import { describe, expect, it } from '@jest/globals';
import type { RequestHandler } from 'express';
import { Attempt, type Outcome } from '../../../lib/exchange/attempt.ts';
import { ClientGoneError, DrainingError } from '../../../lib/exchange/errors.ts';
import { Exchange, exchangeOf, nextWhileDue } from '../../../lib/exchange/exchange.ts';
import { fieldsByName, fieldValue, fieldValues } from '../../../lib/http/fields.ts';
import { pathOf } from '../../../lib/http/path.ts';
import { listener } from '../../../lib/util/listener.ts';
import { BrokenListener } from '../../support/brokenListener.ts';
import { call, open } from '../../support/clients/client.ts';
import { eventually } from '../../support/eventually.ts';
import { answers, bareApp } from '../../support/gateway/bareApp.ts';
import { nowhere } from '../../support/nowhere.ts';

describe('fieldValue, fieldValues', () => {
  const lines = ['Set-Cookie', 'a=1', 'X-A', '', 'SET-COOKIE', 'b=2', 'set-cookies', 'no'];

  it.each([
    { name: 'set-cookie', all: ['a=1', 'b=2'] },
    { name: 'x-a', all: [''] },
    { name: 'absent', all: [] },
    { name: 'a=1', all: [] },
  ])('finds $name', ({ name, all }) => {
    expect(fieldValues(lines, name)).toEqual(all);
    expect(fieldValue(lines, name)).toBe(all[0]);
  });
});

describe('fieldsByName', () => {
  it.each([
    { name: 'nothing', lines: [], out: {} },
    { name: 'names in lower case', lines: ['X-A', '1'], out: { 'x-a': '1' } },
    {
      name: 'values of one name in order',
      lines: ['A', '1', 'B', '2', 'a', '3'],
      out: { a: '1, 3', b: '2' },
    },
    // RFC 9113 section 8.2.3: a comma means something inside a cookie.
    {
      name: 'cookies with a semicolon',
      lines: ['Cookie', 'a=1', 'cookie', 'b=2'],
      out: { cookie: 'a=1; b=2' },
    },
  ])('joins $name', ({ lines, out }) => {
    expect({ ...fieldsByName(lines) }).toEqual(out);
  });

  it.each(['constructor', 'toString', '__proto__', 'hasOwnProperty'])(
    'knows %s as any other name',
    (name) => {
      const fields = fieldsByName([name, '1', name, '2']);
      expect(Object.entries(fields)).toEqual([[name.toLowerCase(), '1, 2']]);
    },
  );
});

describe('pathOf', () => {
  it.each([
    { target: '/a/b', path: '/a/b' },
    { target: '/a/b?c=d', path: '/a/b' },
    { target: '/a?b?c', path: '/a' },
    { target: '/%61//b/?', path: '/%61//b/' },
    { target: '?', path: '' },
    { target: '*', path: '*' },
  ])('of $target is $path', ({ target, path }) => {
    expect(pathOf(target)).toBe(path);
  });
});

describe('an exchange', () => {
  it('is the same for everybody who asks', async () => {
    const seen = new Set<Exchange>();
    const looks: RequestHandler = (_req, res, next) => {
      seen.add(exchangeOf(res));
      next();
    };
    await using app = await bareApp([looks, looks, answers()]);
    await call(app.url);
    await call(app.url);
    expect(seen.size).toBe(2);
    const [first, second] = [...seen] as [Exchange, Exchange];
    expect(first.requestId).toMatch(/^[0-9a-f-]{36}$/);
    expect(first.requestId).not.toBe(second.requestId);
  });

  it('is aborted when the client leaves', async () => {
    await using app = await bareApp([() => {}]);
    const req = open(app.url).end();
    await eventually('the request', () => app.exchanges.length === 1);
    req.destroy();
    await eventually('the abort', () => app.exchanges[0]?.signal.aborted);
    expect(app.exchanges[0]?.signal.reason).toBeInstanceOf(ClientGoneError);
    expect(app.exchanges[0]?.replySettled).toBe(true);
  });

  it('is aborted when the client leaves in the middle of its response', async () => {
    await using app = await bareApp([(_req, res) => void res.write('a beginning')]);
    const req = open(app.url).end();
    req.once('response', () => req.destroy());
    await eventually('the abort', () => app.exchanges[0]?.signal.aborted);
  });

  it('is not aborted by a response that is complete', async () => {
    await using app = await bareApp(answers());
    await call(app.url);
    await eventually('the end', () => app.responses[0]?.closed);
    expect(app.exchanges[0]?.signal.aborted).toBe(false);
  });

  it('is not aborted by a connection that was upgraded', async () => {
    await using app = await bareApp((_req, res) => {
      exchangeOf(res).upgraded = true;
      res.destroy();
    });
    await call(app.url).catch(() => {});
    await eventually('the end', () => app.responses[0]?.closed);
    expect(app.exchanges[0]?.signal.aborted).toBe(false);
  });

  it('keeps the first reason and who replies', () => {
    const exchange = new Exchange(nowhere);
    const first = new DrainingError();
    exchange.abort(first);
    exchange.abort(new ClientGoneError(), 'settled');
    expect(exchange.signal.reason).toBe(first);
    expect(exchange.replySettled).toBe(false);
  });

  it.each([
    { reply: 'due', errors: 2 },
    { reply: 'settled', errors: 1 },
  ] as const)(
    'whose reply is $reply leaves waiting middlewares their say: $errors',
    async ({ reply, errors }) => {
      const waits: RequestHandler = (_req, res, next) => {
        const { signal } = exchangeOf(res);
        const nextOnce = nextWhileDue(res, next);
        signal.addEventListener('abort', () => nextOnce(signal.reason));
        next();
      };
      const said: unknown[] = [];
      const aborts: RequestHandler = (_req, res, next) => {
        const error = new Error('enough');
        exchangeOf(res).abort(error, reply);
        next(error);
      };
      await using app = await bareApp([
        (req, res) =>
          waits(req, res, (error?: unknown) => {
            if (error) said.push(error);
            else aborts(req, res, (why: unknown) => void said.push(why));
          }),
      ]);
      const req = open(app.url).end();
      await eventually('the request', () => app.exchanges.length === 1);
      await turn();
      expect(said).toHaveLength(errors);
      req.destroy();
    },
  );
});

describe('an attempt', () => {
  const target = { key: 'a', id: 'a', url: new URL('http://a') };

  it('tells every listener how it went', () => {
    const attempt = new Attempt(target);
    const told: unknown[] = [];
    attempt.watch({
      responded: (status) => void told.push(status),
      ended: ({ kind }) => void told.push(kind),
    });
    attempt.watch({ responded() {}, ended: ({ kind }) => void told.push(kind) });
    attempt.responded(200);
    attempt.end({ kind: 'completed' });
    expect(told).toEqual([200, 'completed', 'completed']);
  });

  it('ends once', () => {
    const attempt = new Attempt(target);
    const outcomes: Outcome[] = [];
    attempt.watch({
      ended: (outcome) => void outcomes.push(outcome),
      responded: () => expect(true).toBe(false),
    });
    attempt.end({ kind: 'abandoned' });
    attempt.end({ kind: 'completed' });
    attempt.responded(500);
    expect(outcomes).toEqual([{ kind: 'abandoned' }]);
  });

  it('lets the last who asked decide what happens without a response', () => {
    const attempt = new Attempt(target);
    const told: string[] = [];
    attempt.noResponse(new Error('nobody is told'));
    attempt.onNoResponse(() => void told.push('first'));
    attempt.onNoResponse(({ message }) => void told.push(message));
    attempt.noResponse(new Error('refused'));
    expect(told).toEqual(['refused']);
  });
});

describe('listener', () => {
  it('tells whoever wants to know what was thrown, or why a promise was rejected', async () => {
    const thrown: Error[] = [];
    const onThrown = (error: Error) => void thrown.push(error);
    const cause = new Error('broken');
    listener(() => Promise.reject(cause), onThrown)();
    const throwsText = () => {
      throw 'a text';
    };
    listener(throwsText, onThrown)();
    await eventually('both', () => thrown.length === 2);
    expect(thrown.map(String)).toEqual(['Error: a text', 'Error: broken']);
  });

  it('passes arguments on', () => {
    const told: unknown[] = [];
    listener((...args: [string, number]) => void told.push(...args))('a', 1);
    expect(told).toEqual(['a', 1]);
  });

  it('needs no callback', () => {
    expect(() => listener<[string]>(undefined)('a')).not.toThrow();
  });

  it('warns of a callback that throws, and goes on', () => {
    using broken = new BrokenListener();
    expect(() => listener(broken.listen)()).not.toThrow();
  });
});
