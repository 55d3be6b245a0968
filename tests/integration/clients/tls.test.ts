import { once } from 'node:events';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { type RequestOptions, request } from 'node:https';
import { connect } from 'node:net';
import { json, text } from 'node:stream/consumers';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import WebSocket from 'ws';
import { CertificateFiles, makeCertificate, type TestCertificate } from '../../support/certificates.ts';
import { sendRaw } from '../../support/clients/rawClient.ts';
import { eventually } from '../../support/eventually.ts';
import { bearer, startGateway, type TestGateway, tokenFor } from '../../support/gateway/gateway.ts';
import { expectProblem } from '../../support/gateway/problem.ts';
import { problemsOf } from '../../support/gateway/settings.ts';
import { expectNoMoreTimers, ManualClock } from '../../support/manualClock.ts';
import { startUpstream, type Upstream } from '../../support/upstreams/upstream.ts';
import { startSocketService } from '../../support/upstreams/webSocket.ts';

const LOOK_EVERY_MS = 10_000;

let pair: TestCertificate;
let other: TestCertificate;
let files: CertificateFiles;
beforeAll(() => {
  pair = makeCertificate('first');
  other = makeCertificate('second', 60);
  files = new CertificateFiles();
  files.write(pair);
});
afterAll(() => files[Symbol.dispose]());

const tlsEnv = () => ({ TLS_CERT_FILE: files.certFile, TLS_KEY_FILE: files.keyFile });

function startTls(upstream: Pick<Upstream, 'url'>, clock?: ManualClock): Promise<TestGateway> {
  return startGateway({ services: { '/budgeting': [upstream] }, env: tlsEnv(), clock });
}

/** The origin of the external port, which `external` takes for plain HTTP. */
const httpsOf = ({ external }: TestGateway) => external.replace('http:', 'https:');

/** The answer to a request of Ann's, trusting nobody but `cert`. */
async function ask(
  gateway: TestGateway,
  path: string,
  { cert = pair.cert, ...options }: RequestOptions & { cert?: string } = {},
): Promise<IncomingMessage> {
  const headers = bearer(tokenFor('ann'));
  const req = request(httpsOf(gateway) + path, { ca: cert, headers, agent: false, ...options }).end();
  const [res] = await once(req, 'response');
  return res;
}

describe('the external port over TLS', () => {
  it('says HSTS, on refusals as well', async () => {
    await using upstream = await startUpstream();
    const services = { '/budgeting': [upstream] };
    await using gateway = await startGateway({ services, defaults: { security: true }, env: tlsEnv() });
    for (const path of ['/budgeting/x', '/nowhere'])
      expect((await ask(gateway, path)).headers['strict-transport-security']).toBe('max-age=31536000');
  });

  it('serves as it does without, and tells services so', async () => {
    await using upstream = await startUpstream();
    await using gateway = await startTls(upstream);
    const answer = await ask(gateway, '/budgeting/x');
    expect([answer.statusCode, await text(answer)]).toEqual([200, 'ok']);
    const fields = upstream.requests[0]?.fields ?? [];
    expect(fields[fields.indexOf('X-Forwarded-Proto') + 1]).toBe('https');
    expect(fields[fields.indexOf('Forwarded') + 1]).toContain('proto=https');
    expect((await ask(gateway, '/healthz')).statusCode).toBe(200);
    // Services and probes go on as before.
    expect((await fetch(`${gateway.internal}/internal/budgeting/x`)).status).toBe(200);
    const endsAtSeconds = await gateway.metric('gateway_certificate_expiry_seconds');
    expect(Math.abs(endsAtSeconds - (Date.now() / 1000 + 30 * 86_400))).toBeLessThan(86_400);
  });

  it.each(['GET', 'POST', 'DELETE'])('tells who speaks plain HTTP what to do: %s', async (method) => {
    await using upstream = await startUpstream();
    await using gateway = await startTls(upstream);
    const answer = await sendRaw(gateway.external, `${method} /budgeting/x HTTP/1.1\r\nHost: x\r\n\r\n`);
    await expectProblem(answer, 'tls_required');
    expect(await gateway.metric('gateway_errors_total', { code: 'tls_required', port: 'external' })).toBe(1);
    expect(upstream.requests).toHaveLength(0);
  });

  it('counts handshakes that fail', async () => {
    await using upstream = await startUpstream();
    await using gateway = await startTls(upstream);
    const port = Number(new URL(gateway.external).port);
    const socket = connect(port, '127.0.0.1').on('error', () => {});
    socket.end('\x16no handshake', 'latin1').resume();
    await once(socket, 'close');
    const failures = () => gateway.metric('gateway_tls_handshake_failures_total');
    await eventually('the count', async () => (await failures()) === 1);
    // Not a request: nobody has refused one.
    expect(await gateway.metric('gateway_errors_total')).toBe(0);
  });

  it('carries WebSockets, and refuses them with a real response', async () => {
    await using service = await startSocketService();
    await using gateway = await startTls(service);
    const url = `${httpsOf(gateway).replace('https:', 'wss:')}/budgeting/live`;
    const socket = new WebSocket(url, { headers: bearer(tokenFor('ann')), ca: pair.cert });
    await once(socket, 'open');
    socket.send('hello');
    expect(String((await once(socket, 'message'))[0])).toBe('hello');
    expect(service.handshakes[0]?.headers['x-forwarded-proto']).toBe('https');
    socket.close();
    await once(socket, 'close');

    const refused = new WebSocket(url, { ca: pair.cert }).on('error', () => {});
    const [, res] = await once(refused, 'unexpected-response');
    expect(res.statusCode).toBe(401);
    expect(await json(res)).toMatchObject({ code: 'token_missing' });
  });

  it('renews its certificate without a restart, and keeps it when the new one is broken', async () => {
    const clock = new ManualClock();
    await using upstream = await startUpstream();
    await using gateway = await startTls(upstream, clock);
    const lines = () => gateway.logLines().map(({ message }) => String(message));
    try {
      files.write(other);
      clock.advance(LOOK_EVERY_MS);
      await eventually('the renewal', () =>
        lines().some((line) => line.startsWith('TLS certificate renewed')),
      );
      expect((await ask(gateway, '/healthz', { cert: other.cert })).statusCode).toBe(200);
      await expect(ask(gateway, '/healthz', { cert: pair.cert })).rejects.toThrow('self-signed');
      const endsAtSeconds = await gateway.metric('gateway_certificate_expiry_seconds');
      expect(Math.abs(endsAtSeconds - (Date.now() / 1000 + 60 * 86_400))).toBeLessThan(86_400);

      files.write({ cert: 'hello' });
      await eventually('the complaint', () => {
        clock.advance(LOOK_EVERY_MS);
        return lines().some((line) => line.includes('cannot be used'));
      });
      expect((await ask(gateway, '/healthz', { cert: other.cert })).statusCode).toBe(200);
    } finally {
      files.write(pair);
    }
  });

  it('drains as it does without: what is under way finishes, what is silent ends', async () => {
    const waiting: ServerResponse[] = [];
    const clock = new ManualClock();
    await using upstream = await startUpstream((_req, res) => void waiting.push(res));
    await using gateway = await startTls(upstream, clock);
    const silent = connect(Number(new URL(gateway.external).port), '127.0.0.1').on('error', () => {});
    await once(silent, 'connect');
    const answer = ask(gateway, '/budgeting/x');
    await eventually('the request', () => waiting.length === 1);
    const stopping = gateway.gateway.stop();
    await once(silent.resume(), 'close');
    waiting[0]?.end('finished');
    const res = await answer;
    expect([res.statusCode, res.headers.connection, await text(res)]).toEqual([200, 'close', 'finished']);
    await stopping;
    expectNoMoreTimers(clock);
  });
});

describe('settings for TLS', () => {
  const texts = () => ({ 'tls.crt': pair.cert, 'tls.key': pair.key, 'other.key': other.key });
  const both = { TLS_CERT_FILE: 'tls.crt', TLS_KEY_FILE: 'tls.key' };

  it('are a certificate and its key', () => {
    expect(problemsOf(both, texts())).toEqual([]);
  });

  it.each([
    [{ TLS_CERT_FILE: 'tls.crt' }, 'TLS_CERT_FILE is set and TLS_KEY_FILE is not: expected both or neither'],
    [{ TLS_KEY_FILE: 'tls.key' }, 'TLS_KEY_FILE is set and TLS_CERT_FILE is not: expected both or neither'],
    [{ ...both, TLS_KEY_FILE: 'none' }, 'TLS_KEY_FILE is "none": expected a readable file (ENOENT)'],
    [
      { ...both, TLS_KEY_FILE: 'other.key' },
      'TLS_CERT_FILE "tls.crt" and TLS_KEY_FILE "other.key" cannot be used: the key does not belong to the first certificate in the file',
    ],
  ])('are refused: %j', (env, problem) => {
    expect(problemsOf(env, texts())).toEqual([problem]);
  });
});
