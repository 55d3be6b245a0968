import type { ServerResponse } from 'node:http';
import { describe, expect, it } from '@jest/globals';
import { exchangeOf } from '../../../lib/exchange/exchange.ts';
import { responseHeaders } from '../../../lib/headers/middleware.ts';
import type { ResponseHeadersOptions } from '../../../lib/headers/responseHeaders.ts';
import { fieldsByName } from '../../../lib/http/fields.ts';
import { writerOf } from '../../../lib/response/responseWriter.ts';
import { type CallResponse, call } from '../../support/clients/client.ts';
import { bareApp } from '../../support/gateway/bareApp.ts';

const SECURITY = {
  hsts: 'max-age=31536000',
  nosniff: true,
  frame: 'DENY',
  referrerPolicy: 'no-referrer',
  csp: "default-src 'none'",
  permissionsPolicy: 'camera=()',
} as const;

async function answerTo(
  options: ResponseHeadersOptions,
  write: (res: ServerResponse) => void,
): Promise<CallResponse & { named: Record<string, string> }> {
  await using app = await bareApp([responseHeaders(options), (_req, res) => write(res)]);
  const answer = await call(app.url);
  return { ...answer, named: fieldsByName(answer.fields) };
}

const plain = (res: ServerResponse) =>
  void res.writeHead(200, ['X-Frame-Options', 'SAMEORIGIN', 'A', '1']).end();

describe('security', () => {
  it('is what the service does not say itself', async () => {
    const { named } = await answerTo({ security: SECURITY }, plain);
    expect(named).toMatchObject({
      'x-frame-options': 'SAMEORIGIN',
      'x-content-type-options': 'nosniff',
      'referrer-policy': 'no-referrer',
      'content-security-policy': "default-src 'none'",
      'permissions-policy': 'camera=()',
    });
  });

  it('has HSTS over TLS alone', async () => {
    const shown = async (isSecure: boolean | undefined) =>
      (
        await answerTo(
          { security: SECURITY, ...(isSecure !== undefined && { isSecure: () => isSecure }) },
          plain,
        )
      ).named['strict-transport-security'];
    expect(await Promise.all([shown(true), shown(false), shown(undefined)])).toEqual([
      'max-age=31536000',
      undefined,
      undefined,
    ]);
  });

  it('is the gateway’s where a rule takes the service’s away', async () => {
    const rules = { set: [], add: [], remove: ['x-frame-options'] };
    expect((await answerTo({ security: SECURITY, rules }, plain)).named['x-frame-options']).toBe('DENY');
  });

  it('gives way to a rule', async () => {
    const rules = { set: ['X-Frame-Options', 'ALLOW'], add: [], remove: [] };
    expect((await answerTo({ security: SECURITY, rules }, plain)).named['x-frame-options']).toBe('ALLOW');
  });
});

describe('rules', () => {
  const rules = {
    set: ['Cache-Control', 'public', 'Content-Type', 'text/x', 'X-Set', 's'],
    add: ['Link', '</a>', 'Link', '</b>'],
    remove: ['a'],
  };

  it('hold for fields that are set one by one', async () => {
    const { fields, named } = await answerTo({ rules }, (res) => {
      res.setHeader('A', '1');
      res.setHeader('X-Set', 'own');
      res.setHeader('Link', '</c>');
      res.end();
    });
    expect(named).toMatchObject({ 'x-set': 's', link: '</c>, </a>, </b>', 'cache-control': 'public' });
    expect(fields.filter((part) => part === 'Link')).toHaveLength(3);
    expect(named).not.toHaveProperty(['a']);
  });

  it('say nothing of a refusal’s content, and not how long to keep it', async () => {
    const { named } = await answerTo({ rules }, (res) => {
      exchangeOf(res).errorCode = 'token_missing';
      res.writeHead(401, { 'Cache-Control': 'no-store', 'Content-Type': 'application/problem+json' }).end();
    });
    expect(named).toMatchObject({
      'cache-control': 'no-store',
      'content-type': 'application/problem+json',
      'x-set': 's',
    });
  });

  it.each([
    ...['Cache-Control', 'CDN-Cache-Control', 'Surrogate-Control', 'Expires', 'Pragma', 'Content-Type'],
    ...['Content-Disposition', 'Content-Language', 'Content-Location'],
  ])('leave %s of a refusal alone, in each way', async (name) => {
    const none = { set: [], add: [], remove: [] };
    for (const rule of [{ set: [name, 'rule'] }, { add: [name, 'rule'] }, { remove: [name.toLowerCase()] }]) {
      const { named } = await answerTo({ rules: { ...none, ...rule } }, (res) => {
        exchangeOf(res).errorCode = 'token_missing';
        res.writeHead(401, { [name]: 'own' }).end();
      });
      expect(named[name.toLowerCase()]).toBe('own');
    }
  });

  it('keep what they take away out of interim responses and trailers', async () => {
    const { interim, trailers } = await answerTo({ rules }, (res) => {
      const writer = writerOf(res);
      writer.interim(103, ['A', '1', 'Link', '</x>']);
      writer.head(200, '', ['Trailer', 'A, B', 'Transfer-Encoding', 'chunked']);
      writer.end(Buffer.from('x'), [
        ['a', '1'],
        ['B', '2'],
      ]);
    });
    expect(interim).toEqual([{ status: 103, fields: ['Link', '</x>'] }]);
    expect(trailers).toEqual(['B', '2']);
  });
});
