import { existsSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { startBrowser } from '../../support/clients/browser.ts';
import { request, sendRaw } from '../../support/clients/rawClient.ts';
import { eventually } from '../../support/eventually.ts';
import {
  bearer,
  keepSecret,
  startGateway,
  type TestGateway,
  tokenFor,
} from '../../support/gateway/gateway.ts';
import { expectProblem } from '../../support/gateway/problem.ts';
import { INSTALLS_WITHIN_MS, run } from '../../support/processes/command.ts';
import { startUpstream, type Upstream } from '../../support/upstreams/upstream.ts';

const WITHIN_MS = 60_000;
const ADMIN_TOKEN = keepSecret('an-admin-token-that-is-long-enough-for-anybody');
const HANDSHAKE = [
  'Connection: Upgrade',
  'Upgrade: websocket',
  'Sec-WebSocket-Version: 13',
  'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==',
];

let upstream: Upstream;
let gateway: TestGateway;
beforeAll(async () => {
  upstream = await startUpstream((_req, res) => res.end('secret of a service'));
  gateway = await startGateway({ services: { '/up': [upstream] }, env: { ADMIN_TOKEN } });
});
afterAll(async () => {
  await gateway.stop();
  await upstream[Symbol.asyncDispose]();
});

describe('on the internal port a page of another site', () => {
  it.each([
    'GET /metrics',
    'GET /healthz',
    'GET /admin/revocations',
    'GET /internal/up/x',
    'POST /internal/up/x',
    'OPTIONS /internal/up/x',
    'GET /nobody',
  ])('gets nothing: %s', async (line) => {
    const before = upstream.requests.length;
    for (const field of ['Sec-Fetch-Site: cross-site', 'Origin: https://evil.example', 'Origin: null']) {
      const answer = await sendRaw(
        gateway.internal,
        request(line, field, `Authorization: Bearer ${ADMIN_TOKEN}`),
      );
      await expectProblem(answer, 'cross_site');
    }
    const rebound = await sendRaw(
      gateway.internal,
      `${line} HTTP/1.1\r\nHost: evil.example:8001\r\nAccept-Language: en\r\n\r\n`,
    );
    await expectProblem(rebound, 'foreign_host');
    expect(upstream.requests.length).toBe(before);
  });

  it('opens no WebSocket', async () => {
    const answer = await sendRaw(
      gateway.internal,
      request('GET /internal/up/x', ...HANDSHAKE, 'Origin: http://evil.example'),
    );
    await expectProblem(answer, 'cross_site');
  });

  it('is counted and logged', async () => {
    const answer = await sendRaw(
      gateway.internal,
      request('GET /internal/up/x', 'Origin: http://evil.example'),
    );
    const line = await eventually('its line', () =>
      gateway.logLines().find(({ requestId }) => requestId === answer.field('X-Request-Id')),
    );
    expect(line).toMatchObject({ status: 403, code: 'cross_site', port: 'internal' });
    const counted = { code: 'cross_site', port: 'internal' };
    expect(await gateway.metric('gateway_errors_total', counted)).toBeGreaterThan(0);
  });
});

it('the external port goes on serving pages of other sites', async () => {
  const headers = {
    ...bearer(tokenFor('ann')),
    Origin: 'https://app.example',
    'Sec-Fetch-Site': 'cross-site',
  };
  expect((await fetch(`${gateway.external}/up/x`, { headers })).status).toBe(200);
});

/** Asks by `fetch`, which has no say in its fields, and by `http`, by a public name and one without dots. */
const SERVICE = `const { request } = require('node:http');
  const origin = process.argv[1];
  const lookup = (_name, { all }, done) => (all ? done(null, [{ address: '127.0.0.1', family: 4 }]) : done(null, '127.0.0.1', 4));
  const ask = (host) =>
    new Promise((resolve) => {
      const options = { host, port: new URL(origin).port, path: '/internal/up/x', lookup };
      request(options, (res) => resolve(res.resume().statusCode)).end();
    });
  (async () => {
    const fetched = await fetch(origin + '/internal/up/x', { method: 'POST', body: 'x' });
    console.log(fetched.status, await ask('gateway.faf.example.com'), await ask('api-gateway'));
  })();`;

it.each([process.execPath, '/usr/bin/node'].filter((path) => existsSync(path)))(
  'services on %s reach the internal port by any name',
  async (node) => {
    const { stdout } = await run(node, ['-e', SERVICE, gateway.internal]);
    expect(stdout.toString()).toBe('200 200 200\n');
  },
  WITHIN_MS,
);

describe('a real browser', () => {
  it(
    'reads nothing of the internal port for another site, nor for a name that was pointed at it',
    async () => {
      await using evil = await startUpstream((_req, res) =>
        res.setHeader('Content-Type', 'text/html').end('<h1>evil</h1>'),
      );
      await using browser = await startBrowser(['--host-resolver-rules=MAP *.example 127.0.0.1']);
      const before = upstream.requests.length;
      const refused = (code: string) => gateway.metric('gateway_errors_total', { code, port: 'internal' });
      const [crossSite, foreignHost] = [await refused('cross_site'), await refused('foreign_host')];
      const port = new URL(gateway.internal).port;

      const page = await browser.open(`http://evil.example:${evil.url.port}/`);
      const outcome = await page.evaluate(async (origin) => {
        const ask = (options: RequestInit) =>
          fetch(`${origin}/internal/up/x`, options).then(
            (answer) => answer.type,
            () => 'blocked',
          );
        const socket = new Promise((resolve) => {
          const opened = new WebSocket(`${origin.replace('http', 'ws')}/internal/up/x`);
          opened.onopen = () => resolve('open');
          opened.onerror = () => resolve('refused');
        });
        return [
          await ask({ mode: 'no-cors' }),
          await ask({ mode: 'no-cors', method: 'POST', body: 'x' }),
          await socket,
        ];
      }, `http://localhost:${port}`);
      expect(outcome[2]).toBe('refused');
      await eventually('all are refused', async () => (await refused('cross_site')) >= crossSite + 3);

      const rebound = await browser.open(`http://evil.example:${port}/metrics`);
      expect(await rebound.content()).toContain('foreign_host');
      const read = await rebound.evaluate(async () => {
        const answer = await fetch('/internal/up/x', { headers: { 'Accept-Language': '*' } });
        return answer.status;
      });
      expect(read).toBe(403);
      expect(await refused('foreign_host')).toBeGreaterThanOrEqual(foreignHost + 2);
      expect(upstream.requests.length).toBe(before);

      // What operators do goes on.
      const own = await browser.open(`http://localhost:${port}/metrics`);
      expect(await own.content()).toContain('gateway_requests_total');
    },
    INSTALLS_WITHIN_MS,
  );
});
