import { once } from 'node:events';
import { connect } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { httpsLocation } from '../../../gateway/redirect/httpsLocation.ts';
import { CertificateFiles, makeCertificate } from '../../support/certificates.ts';
import { sendRaw } from '../../support/clients/rawClient.ts';
import { eventually } from '../../support/eventually.ts';
import { startGateway, type TestGateway } from '../../support/gateway/gateway.ts';
import { expectProblem } from '../../support/gateway/problem.ts';
import { problemsOf } from '../../support/gateway/settings.ts';
import { startUpstream, type Upstream } from '../../support/upstreams/upstream.ts';

let files: CertificateFiles;
let upstream: Upstream;
let gateway: TestGateway;
let origin: string;

const portOf = (started: TestGateway) =>
  started.logLines().find(({ httpPort }) => httpPort !== undefined)?.httpPort as number;

function start(env: Readonly<Record<string, string>> = {}): Promise<TestGateway> {
  const tls = { TLS_CERT_FILE: files.certFile, TLS_KEY_FILE: files.keyFile };
  return startGateway({ services: { '/budgeting': [upstream] }, env: { ...tls, HTTP_PORT: '0', ...env } });
}

beforeAll(async () => {
  files = new CertificateFiles();
  files.write(makeCertificate('gateway'));
  upstream = await startUpstream();
  gateway = await start({ HTTPS_PUBLIC_PORT: '443' });
  origin = `http://127.0.0.1:${portOf(gateway)}`;
});
afterAll(async () => {
  await gateway.stop();
  await upstream[Symbol.asyncDispose]();
  files[Symbol.dispose]();
});

const request = (line: string, ...fields: string[]) =>
  `${[`${line} HTTP/1.1`, ...fields].join('\r\n')}\r\n\r\n`;

describe('the port for plain HTTP', () => {
  it.each([
    ['GET /budgeting/x?a=1&b=%2F', 'app.faf.example', 'https://app.faf.example/budgeting/x?a=1&b=%2F'],
    ['HEAD /', 'app.faf.example', 'https://app.faf.example/'],
    ['DELETE /budgeting/x', 'app.faf.example:8080', 'https://app.faf.example/budgeting/x'],
    ['GET //evil.example/x', 'app.faf.example', 'https://app.faf.example//evil.example/x'],
    ['GET /\\evil.example', 'app.faf.example', 'https://app.faf.example/\\evil.example'],
    ['GET /x', '[::1]:80', 'https://[::1]/x'],
    ['GET http://app.faf.example/x', 'app.faf.example', 'https://app.faf.example/x'],
    ['GET /healthz', '127.0.0.1', 'https://127.0.0.1/healthz'],
    ['GET /metrics', 'gateway', 'https://gateway/metrics'],
    ['GET /.well-known/acme-challenge/x', 'a.example', 'https://a.example/.well-known/acme-challenge/x'],
    ['OPTIONS /x', 'a.example', 'https://a.example/x'],
  ])('sends %s of %s to the same over https', async (line, host, location) => {
    const response = await sendRaw(origin, request(line, `Host: ${host}`, 'Connection: close'));
    expect([response.status, response.field('location')]).toEqual([308, location]);
    expect(response.field('cache-control')).toBe('no-store');
    expect(response.field('strict-transport-security')).toBeUndefined();
  });

  it.each([
    ['no Host', 'GET /x HTTP/1.0\r\n\r\n'],
    ['no Host in HTTP/1.1', 'GET /x HTTP/1.1\r\n\r\n'],
    ['an empty Host', request('GET /x', 'Host: ')],
    ['a path in Host', request('GET /x', 'Host: a.example/b')],
    ['a user in Host', request('GET /x', 'Host: a@b.example')],
    ['two hosts', request('GET /x', 'Host: a.example', 'Host: b.example')],
    ['two hosts in one', request('GET /x', 'Host: a.example, b.example')],
    ['a port that is none', request('GET /x', 'Host: a.example:x')],
    ['a target of another host', request('GET http://b.example/x', 'Host: a.example')],
    ['no path', request('OPTIONS *', 'Host: a.example')],
    ['a target beyond ASCII', request('GET /caf\xe9', 'Host: a.example')],
    ['no HTTP', '\x16\x03\x01\x00\x05hello\r\n\r\n'],
  ])('refuses %s', async (_what, bytes) => {
    await expectProblem(await sendRaw(origin, bytes), 'bad_request');
  });

  it('does not wait for content, and does not ask for it', async () => {
    const fields = ['Host: a.example', 'Content-Length: 1000000000', 'Expect: 100-continue'];
    const response = await sendRaw(origin, request('POST /budgeting/x', ...fields));
    expect(response.status).toBe(308);
    expect(response.field('connection')).toBe('close');
  });

  it('answers offers of a WebSocket in the same way, and CONNECT not at all', async () => {
    const offer = ['Host: a.example', 'Connection: Upgrade', 'Upgrade: websocket'];
    expect((await sendRaw(origin, request('GET /live', ...offer))).status).toBe(308);
    expect((await sendRaw(origin, request('CONNECT a.example:443', 'Host: a.example:443'))).status).toBe(405);
    expect((await sendRaw(origin, request('TRACE /x', 'Host: a.example'))).status).toBe(405);
  });

  it('has a request target as long as the port for users, and a head as large', async () => {
    const long = await sendRaw(origin, request(`GET /${'x'.repeat(9000)}`, 'Host: a', 'Connection: close'));
    await expectProblem(long, 'uri_too_long');
    const large = await sendRaw(origin, request('GET /', 'Host: a', `Cookie: ${'x'.repeat(70_000)}`));
    await expectProblem(large, 'headers_too_large');
  });

  it('is counted and logged by its name, and asks no service', async () => {
    const before = await gateway.metric('gateway_requests_total', { port: 'http', status: '308' });
    await sendRaw(origin, request('GET /seen?token=hidden', 'Host: a.example', 'Connection: close'));
    const after = () => gateway.metric('gateway_requests_total', { port: 'http', status: '308' });
    await eventually('the count', async () => (await after()) === before + 1);
    const line = gateway.logLines().find(({ message }) => String(message).startsWith('GET /seen '));
    expect(line).toMatchObject({ port: 'http', service: 'none', status: 308 });
    expect(upstream.requests).toHaveLength(0);
  });

  it('names the port of TLS where nobody says what clients see', async () => {
    await using plain = await start();
    const response = await sendRaw(
      `http://127.0.0.1:${portOf(plain)}`,
      request('GET /x', 'Host: 127.0.0.1', 'Connection: close'),
    );
    expect(response.field('location')).toBe(`https://127.0.0.1:${new URL(plain.external).port}/x`);
  });

  it('closes connections over the limit, together with those of the port for users', async () => {
    await using small = await start({ MAX_CONNECTIONS: '2', FAIR_SHARE: '1' });
    const open = (port: number) => connect(port, '127.0.0.1').on('error', () => {});
    const held = [open(portOf(small)), open(Number(new URL(small.external).port))];
    await Promise.all(held.map((socket) => once(socket, 'connect')));
    const third = open(portOf(small));
    await once(third, 'close');
    for (const socket of held) socket.destroy();
  });

  it('closes a connection whose head does not arrive, and takes none after a drain', async () => {
    const slow = await start({ HEADERS_TIMEOUT: '200ms' });
    const port = portOf(slow);
    const socket = connect(port, '127.0.0.1').on('error', () => {});
    socket.write('GET / HTTP/1.1\r\nHost: a');
    socket.resume();
    await once(socket, 'close');
    await slow.stop();
    const late = connect(port, '127.0.0.1');
    const [error] = await once(late, 'error');
    expect(error).toMatchObject({ code: 'ECONNREFUSED' });
  });
});

describe('HTTP_PORT', () => {
  const tls = () => ({ TLS_CERT_FILE: files.certFile, TLS_KEY_FILE: files.keyFile });
  it.each<[string, () => Record<string, string>, RegExp]>([
    [
      'without TLS',
      () => ({ HTTP_PORT: '8080' }),
      /HTTP_PORT is "8080" and the port for users speaks no TLS/,
    ],
    [
      'that is the port for users',
      () => ({ ...tls(), HTTP_PORT: '8000' }),
      /another port than EXTERNAL_PORT/,
    ],
    [
      'that is the port for services',
      () => ({ ...tls(), HTTP_PORT: '8001' }),
      /another port than INTERNAL_PORT/,
    ],
    ['that is none', () => ({ HTTP_PORT: 'http' }), /HTTP_PORT is "http": expected a port/],
    ['with a public port that is none', () => ({ HTTPS_PUBLIC_PORT: '0' }), /HTTPS_PUBLIC_PORT is "0"/],
  ])('%s is refused', (_what, env, problem) => {
    expect(problemsOf(env()).join('\n')).toMatch(problem);
  });
});

it.each([
  ['a.example', '/x', 443, 'https://a.example/x'],
  ['a.example:80', '/x', 8443, 'https://a.example:8443/x'],
  ['a.example:', '/', 443, 'https://a.example/'],
  ['[::1]', '/', 8443, 'https://[::1]:8443/'],
  ['[fe80::1:80]', '/', 443, 'https://[fe80::1:80]/'],
])('httpsLocation: %s%s and port %i', (host, target, port, expected) => {
  expect(httpsLocation(host, target, port)).toBe(expected);
});
