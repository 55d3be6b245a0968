import { describe, expect, it } from '@jest/globals';
import { fieldValues } from '../../../lib/http/fields.ts';
import { RawClient, request, sendRaw } from '../../support/clients/rawClient.ts';
import { bearer, startGateway, tokenFor } from '../../support/gateway/gateway.ts';
import { expectProblem } from '../../support/gateway/problem.ts';
import { says, saysAndCloses, startRawUpstream, startUpstream } from '../../support/upstreams/upstream.ts';

const COOKIES_20_KIB = Array.from({ length: 5 }, (_, n) => `c${n}=${'x'.repeat(4096)}`);

describe('a request', () => {
  it('with 20 KiB of cookies reaches its service whole', async () => {
    await using service = await startRawUpstream(saysAndCloses('HTTP/1.1 204 No Content\r\n\r\n'));
    await using test = await startGateway({ services: { '/up': [service] } });
    const cookie = COOKIES_20_KIB.join('; ');
    const answer = await sendRaw(test.internal, request('GET /internal/up/x', `Cookie: ${cookie}`));
    expect(answer.status).toBe(204);
    expect(fieldValues(service.requests[0]?.fields ?? [], 'cookie')).toEqual([cookie]);
  });

  it('has as large a head as MAX_REQUEST_HEAD says, and no larger', async () => {
    await using service = await startUpstream();
    const env = { MAX_REQUEST_HEAD: '4KiB' };
    await using test = await startGateway({ services: { '/up': [service] }, env });
    const get = (bytes: number) =>
      sendRaw(test.internal, request('GET /internal/up/x', `X-Long: ${'x'.repeat(bytes)}`));
    expect((await get(3_900)).status).toBe(200);
    await expectProblem(await get(4_096), 'headers_too_large');
  });

  // Nothing may be dropped in silence: the service would judge another request than the gateway.
  it.each([
    ['GET', ''],
    ['POST', 'Content-Length: 5'],
  ])('%s with more than 1,000 fields is refused, and nothing of it is dropped', async (method, last) => {
    await using service = await startUpstream();
    await using test = await startGateway({ services: { '/up': [service] } });
    const fields = Array.from({ length: 1_000 }, () => 'A: 1');
    using client = await RawClient.to(test.internal);
    client.send(request(`${method} /internal/up/x`, ...fields, ...(last ? [last] : [])));
    if (last) client.send('hello');
    await expectProblem(await client.answer(), 'headers_too_large');
    expect(service.requests).toEqual([]);
  });

  it('with 900 fields passes with all of them', async () => {
    await using service = await startUpstream();
    await using test = await startGateway({ services: { '/up': [service] } });
    const fields = Array.from({ length: 900 }, (_, n) => `X-${n}: 1`);
    expect((await sendRaw(test.internal, request('GET /internal/up/x', ...fields))).status).toBe(200);
    const names = service.requests[0]?.fields.filter((_, i) => i % 2 === 0) ?? [];
    expect(names).toEqual(expect.arrayContaining(['X-0', 'X-450', 'X-899']));
  });
});

describe('a response', () => {
  const withHead = (...fields: readonly string[]) =>
    says(`${['HTTP/1.1 200 OK', 'Content-Length: 2', ...fields].join('\r\n')}\r\n\r\nok`);

  it('with 20 KiB of Set-Cookie reaches its client whole', async () => {
    await using service = await startRawUpstream(withHead(...COOKIES_20_KIB.map((c) => `Set-Cookie: ${c}`)));
    await using test = await startGateway({ services: { '/up': [service] } });
    const answer = await sendRaw(test.internal, request('GET /internal/up/x'));
    const cookies = answer.fields.filter(([name]) => name === 'Set-Cookie').map(([, value]) => value);
    expect(cookies).toEqual(COOKIES_20_KIB);
  });

  it.each([
    ['whose head is larger than MAX_RESPONSE_HEAD', [`X-Long: ${'x'.repeat(4_100)}`]],
    ['with more than 1,000 fields', Array.from({ length: 1_001 }, () => 'A: ')],
  ])('%s is a 502 that says so, and no failure of the replica', async (_what, fields) => {
    await using large = await startRawUpstream(withHead(...fields));
    const env = { MAX_RESPONSE_HEAD: '4KiB' };
    await using test = await startGateway({ services: { '/up': [large] }, env });
    for (let n = 0; n < 5; n += 1) {
      const answer = await fetch(`${test.external}/up/${n}`, { headers: bearer(tokenFor('ann')) });
      await expectProblem(answer, 'upstream_head_too_large');
    }
    expect(await test.metric('gateway_circuit_breaker_failures_total')).toBe(0);
  });
});
