import { describe, expect, it } from '@jest/globals';
import type { RequestHandler } from 'express';
import { queryToken } from '../../../lib/auth/sources/queryToken.ts';
import { exchangeOf } from '../../../lib/exchange/exchange.ts';
import { call } from '../../support/clients/client.ts';
import { bareApp } from '../../support/gateway/bareApp.ts';

/** What is left of a request, and what was taken out of it, by the handlers. */
async function takenOf(target: string, handlers: readonly RequestHandler[], upstreamTarget = '') {
  const routed: RequestHandler = (_req, res, next) => {
    exchangeOf(res).upstreamTarget = upstreamTarget;
    next();
  };
  let seen: object | undefined;
  const looks: RequestHandler = (req, res) => {
    const { takenTokens, upstreamTarget: onward } = exchangeOf(res);
    seen = { url: req.url, originalUrl: req.originalUrl, takenTokens, upstreamTarget: onward };
    res.end('ok');
  };
  await using app = await bareApp([routed, ...handlers, looks]);
  const { headers } = await call(new URL(target, app.url));
  return { ...seen, cacheControl: headers['cache-control'] };
}

const untouched = (url: string) => ({
  ...{ url, originalUrl: url, takenTokens: undefined, upstreamTarget: '', cacheControl: undefined },
});

describe('queryToken', () => {
  it('takes the token out before anybody sees it, and keeps the response private', async () => {
    expect(await takenOf('/hub?access_token=a.b.c&x=1', [queryToken()])).toEqual({
      url: '/hub?x=1',
      originalUrl: '/hub?x=1',
      takenTokens: [{ from: 'query', name: 'access_token', value: 'a.b.c' }],
      upstreamTarget: '',
      cacheControl: 'private, no-store',
    });
  });

  it('takes one of another name as well', async () => {
    const handlers = [queryToken(), queryToken({ name: 'key' })];
    expect(await takenOf('/hub?key=k&access_token=t', handlers)).toMatchObject({
      url: '/hub',
      takenTokens: [
        { from: 'query', name: 'access_token', value: 't' },
        { from: 'query', name: 'key', value: 'k' },
      ],
    });
  });

  it.each([
    ['/b/c?access_token=t&x=1', '/b/c?x=1'],
    ['/b/c?access_token=t', '/b/c'],
    ['/b/c?x=1', '/b/c?x=1'],
    ['/b/c', '/b/c'],
    ['/access_token=t', '/access_token=t'],
  ])('takes it out of the target that the service gets, too: %s', async (upstreamTarget, onward) => {
    expect(await takenOf('/a?access_token=t', [queryToken()], upstreamTarget)).toMatchObject({
      upstreamTarget: onward,
    });
  });

  it.each(['/hub', '/hub?x=1', '/hub&access_token=t', '/access_token=t'])('leaves %s alone', async (url) => {
    expect(await takenOf(url, [queryToken()])).toEqual(untouched(url));
  });

  it.each(['/hub?access_token=t', '/hub/x?access_token=t', '/b/?access_token=t'])(
    'is for %s below its paths',
    async (url) => {
      expect(await takenOf(url, [queryToken({ below: ['/hub', '/b'] })])).toMatchObject({
        url: url.slice(0, url.indexOf('?')),
      });
    },
  );

  it.each(['/hubs?access_token=t', '/hub@?access_token=t', '/a/hub?access_token=t', '/HUB?access_token=t'])(
    'is not for %s beside them',
    async (url) => {
      expect(await takenOf(url, [queryToken({ below: ['/hub', '/b'] })])).toEqual(untouched(url));
    },
  );
});
