import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, rmSync, unlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { SecureVersion } from 'node:tls';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import WebSocket from 'ws';
import type { ServiceInput } from '../../../config/file/schema.ts';
import {
  CertificateFiles,
  encrypted,
  makeAuthority,
  makeCertificate,
  type TestAuthority,
  type TestCertificate,
} from '../../support/certificates.ts';
import { eventually } from '../../support/eventually.ts';
import { bearer, startGateway, type TestGateway, tokenFor } from '../../support/gateway/gateway.ts';
import { runGateway } from '../../support/gateway/gatewayRun.ts';
import { ManualClock } from '../../support/manualClock.ts';
import { startRegistry } from '../../support/upstreams/registry.ts';
import { startTlsService, type TlsService } from '../../support/upstreams/tls/service.ts';
import { startUpstream } from '../../support/upstreams/upstream.ts';

const LOOK_EVERY_MS = 10_000;

let authority: TestAuthority;
let other: TestAuthority;
let server: TestCertificate;
let client: TestCertificate;
let another: TestCertificate;
beforeAll(() => {
  authority = makeAuthority('our CA');
  other = makeAuthority('another CA');
  server = authority.issue('server');
  client = authority.issue('gateway');
  another = authority.issue('second');
});

const stack = new AsyncDisposableStack();
afterAll(() => stack.disposeAsync());

/** Files that a test writes, in a directory of their own. */
function newFiles(contents: Readonly<Record<string, string>>): (name: string) => string {
  const { directory } = stack.use(new CertificateFiles());
  for (const [name, text] of Object.entries(contents)) writeFileSync(join(directory, name), text);
  return (name) => join(directory, name);
}

type Tls = ServiceInput['tls'];

/** What a service that trusts our CA is given: its file, and the certificate of `pair`. */
function ownTls(pair: TestCertificate | undefined, more: object = {}): Tls {
  const at = newFiles({ ca: authority.cert, cert: pair?.cert ?? '', key: pair?.key ?? '' });
  return { ca: at('ca'), ...(pair && { cert: at('cert'), key: at('key') }), ...more };
}

/** Wants certificates of our CA, and nothing else. */
const mutual = () => ({ ...server, ca: authority.cert, requestCert: true, rejectUnauthorized: true });

let asked = 0;

/** `openssl s_server`, which wants a certificate of this CA. */
async function startOpenssl(pair: TestCertificate, ca: string): Promise<{ url: URL } & AsyncDisposable> {
  const at = newFiles({ ca, ...pair });
  const files = ['-cert', at('cert'), '-key', at('key'), '-CAfile', at('ca')];
  const process = spawn('openssl', [
    ...['s_server', '-accept', '127.0.0.1:0', '-www', '-Verify', '1', '-verify_return_error', ...files],
  ]);
  process.stdin.end();
  const ended = once(process, 'exit');
  let said = '';
  for await (const chunk of process.stdout.iterator({ destroyOnReturn: false })) {
    said += chunk;
    if (/ACCEPT .*:\d+/.test(said)) break;
  }
  process.stdout.resume();
  process.stderr.resume();
  return {
    url: new URL(`https://127.0.0.1:${/ACCEPT .*:(\d+)/.exec(said)?.[1]}`),
    async [Symbol.asyncDispose]() {
      process.kill('SIGKILL');
      await ended;
    },
  };
}

async function ask(gateway: TestGateway, path = '/budgeting/x', init: RequestInit = {}): Promise<Response> {
  // Another target each time, so that none is a hit.
  asked += 1;
  return fetch(`${gateway.external}${path}?${asked}`, { headers: bearer(tokenFor('ann')), ...init });
}

const messages = (gateway: TestGateway) => gateway.logLines().map(({ message }) => String(message));

describe('a service over TLS', () => {
  it('is believed by a private CA, shown a certificate, and asked by its name', async () => {
    await using service = await startTlsService(mutual());
    const tls = ownTls(client, { serverName: 'localhost', minVersion: 'TLSv1.3' });
    await using gateway = await startGateway({
      services: { '/budgeting': { upstreams: [service], tls } },
    });
    expect((await ask(gateway)).status).toBe(200);
    expect(service.requests[0]).toMatchObject({
      serverName: 'localhost',
      client: 'gateway',
      version: 'TLSv1.3',
    });
    // The field that people know it by.
    expect(service.requests[0]?.host).toBe(new URL(gateway.external).host);
    const endsAtSeconds = await gateway.metric('gateway_upstream_certificate_expiry_seconds', {
      service: '/budgeting',
    });
    expect(Math.abs(endsAtSeconds - (Date.now() / 1000 + 30 * 86_400))).toBeLessThan(86_400);
  });

  it('has connections of its own, whoever else asks the same address', async () => {
    await using service = await startTlsService({ ...mutual(), rejectUnauthorized: false });
    const upstreams = [service];
    const services = {
      '/one': { upstreams, tls: ownTls(client) },
      '/two': { upstreams, tls: ownTls(another) },
      '/none': { upstreams, tls: ownTls(undefined) },
      '/nobody': { upstreams, retry: 'off' as const },
    };
    await using gateway = await startGateway({ services });
    for (let round = 0; round < 3; round += 1) {
      for (const path of ['/one', '/two', '/none', '/nobody']) await (await ask(gateway, `${path}/x`)).text();
    }
    const clients = service.requests.map((request) => request.client);
    const round = ['gateway', 'second', undefined];
    // The last one trusts none but public CAs, and so has no connection at all.
    expect(clients).toEqual([...round, ...round, ...round]);
    expect(new Set(service.requests.map(({ remotePort }) => remotePort)).size).toBe(3);
  });

  it('resumes its TLS sessions, and no other service does', async () => {
    await using service = await startTlsService({ ...mutual(), rejectUnauthorized: false }, (_req, res) =>
      res.setHeader('Connection', 'close').end('ok'),
    );
    const services = {
      '/one': { upstreams: [service], tls: ownTls(client) },
      '/two': { upstreams: [service], tls: ownTls(undefined) },
    };
    await using gateway = await startGateway({ services });
    for (const path of ['/one', '/one', '/two', '/two', '/one'])
      await (await ask(gateway, `${path}/x`)).text();
    expect(service.requests.map((request) => request.isResumed)).toEqual([false, true, false, true, true]);
    expect(service.requests.map((request) => request.client)).toEqual([
      'gateway',
      'gateway',
      undefined,
      undefined,
      'gateway',
    ]);
  });

  it('carries WebSockets on the same terms', async () => {
    await using service = await startTlsService(mutual());
    const services = {
      '/budgeting': { upstreams: [service], tls: ownTls(client, { serverName: 'localhost' }) },
      '/strangers': { upstreams: [service] },
    };
    await using gateway = await startGateway({ services });
    const headers = { ...bearer(tokenFor('ann')), Host: 'www.faf.example' };
    const url = `${gateway.external.replace('http', 'ws')}/budgeting/live`;
    const socket = new WebSocket(url, { headers });
    await once(socket, 'open');
    socket.send('hello');
    expect(String((await once(socket, 'message'))[0])).toBe('hello');
    expect(service.requests[0]).toMatchObject({ serverName: 'localhost', client: 'gateway' });
    socket.close();
    await once(socket, 'close');

    const refused = new WebSocket(url.replace('budgeting', 'strangers'), { headers }).on('error', () => {});
    const [, res] = await once(refused, 'unexpected-response');
    expect(res.statusCode).toBe(502);
    expect(res.headers['proxy-status']).toBe(
      'gateway; error=tls_certificate_error; details="upstream_certificate_invalid"',
    );
  });

  it('is checked on the same terms', async () => {
    await using service = await startTlsService(mutual());
    const services = {
      '/budgeting': { upstreams: [service], tls: ownTls(client), health: { path: '/up', interval: '1s' } },
    };
    await using _gateway = await startGateway({ services });
    await eventually('the check', () => service.requests.some(({ target }) => target === '/up'));
    expect(service.requests[0]?.client).toBe('gateway');
  });

  it('is asked over TLS where a registry says host and port, or even http', async () => {
    await using service = await startTlsService(mutual());
    await using registry = await startRegistry();
    registry.list('127.0.0.1', { url: new URL(service.url.href.replace('https', 'http')) });
    const services = { '/budgeting': { upstreams: [], tls: ownTls(client) } };
    await using gateway = await startGateway({
      services,
      env: { SERVICE_DISCOVERY_URL: registry.url },
    });
    await eventually('the listing', async () => (await ask(gateway)).status === 200);
    expect(service.requests[0]?.client).toBe('gateway');
  });
});

describe('a service that cannot be asked over TLS', () => {
  interface Failure {
    readonly what: string;
    readonly service: () => Promise<{ readonly url: URL } & AsyncDisposable>;
    readonly tls?: () => Tls;
    readonly code: string;
    readonly proxyError: string;
    readonly cause: string;
  }

  const versions = (minVersion: SecureVersion, maxVersion: SecureVersion) => ({ minVersion, maxVersion });
  const plain = () => ownTls(undefined);
  const certificate = { code: 'upstream_certificate_invalid', proxyError: 'tls_certificate_error' };
  const alert = { code: 'upstream_tls_alert', proxyError: 'tls_alert_received' };

  it.each<Failure>([
    {
      what: 'is of an unknown CA',
      service: () => startTlsService(other.issue('server')),
      ...certificate,
      cause: 'its certificate is of an unknown CA',
    },
    {
      what: 'signs its own certificate',
      service: () => startTlsService(makeCertificate('alone')),
      ...certificate,
      cause: 'its certificate signs itself and is not trusted',
    },
    {
      what: 'has a certificate that has expired',
      service: () => startTlsService(authority.issue('server', { days: -1 })),
      ...certificate,
      cause: 'its certificate has expired',
    },
    {
      what: 'has a certificate for another name',
      service: () => startTlsService(authority.issue('server', { names: 'DNS:elsewhere.example' })),
      ...certificate,
      cause: 'its certificate is for another name',
    },
    {
      what: 'is not called what serverName says',
      service: () => startTlsService(server),
      tls: () => ownTls(undefined, { serverName: 'payments' }),
      ...certificate,
      cause: 'payments',
    },
    {
      what: 'wants a client certificate (TLS 1.3)',
      service: () => startTlsService({ ...mutual(), ...versions('TLSv1.3', 'TLSv1.3') }),
      ...alert,
      cause: 'it does not accept our client certificate, or wants one',
    },
    {
      what: 'wants a client certificate (TLS 1.2)',
      service: () => startTlsService({ ...mutual(), ...versions('TLSv1.2', 'TLSv1.2') }),
      ...alert,
      cause: 'TLS',
    },
    {
      what: "wants another CA's client certificate",
      // Node's own server says nothing, and closes the connection.
      service: () => startOpenssl(server, other.cert),
      tls: () => ownTls(client),
      ...alert,
      cause: 'it does not accept our client certificate, or wants one',
    },
    {
      what: 'speaks only an older version',
      service: () => startTlsService({ ...server, ...versions('TLSv1.2', 'TLSv1.2') }),
      tls: () => ownTls(undefined, { minVersion: 'TLSv1.3' }),
      ...alert,
      cause: 'it speaks no version of TLS that is allowed here',
    },
    {
      what: 'speaks plain HTTP',
      service: async () => {
        const upstream = await startUpstream();
        const url = new URL(upstream.url.href.replace('http', 'https'));
        return { url, [Symbol.asyncDispose]: () => upstream[Symbol.asyncDispose]() };
      },
      code: 'upstream_tls_failed',
      proxyError: 'tls_protocol_error',
      cause: 'it does not speak TLS there',
    },
  ])('that $what', async ({ service: start, tls = plain, code, proxyError, cause }) => {
    await using service = await start();
    await using gateway = await startGateway({
      services: { '/budgeting': { upstreams: [service], tls: tls() } },
    });
    for (let tries = 0; tries < 3; tries += 1) {
      const response = await ask(gateway);
      expect(response.status).toBe(502);
      expect(response.headers.get('proxy-status')).toBe(`gateway; error=${proxyError}; details="${code}"`);
      expect(await response.json()).toMatchObject({ code });
    }
    const line = gateway.logLines().find((each) => each.code === code);
    expect(String(line?.cause)).toContain(cause);
    // As with connections that are refused.
    expect((await ask(gateway)).status).toBe(503);
  });

  it('gets requests again once it is right', async () => {
    await using service = await startTlsService(other.issue('server'));
    const breaker = 'off';
    await using gateway = await startGateway({
      services: { '/budgeting': { upstreams: [service], tls: plain(), breaker } },
    });
    expect((await ask(gateway)).status).toBe(502);
    service.setSecureContext(server);
    expect((await ask(gateway)).status).toBe(200);
  });
});

describe('the files of a service', () => {
  async function startRenewing(service: TlsService, contents: Readonly<Record<string, string>>) {
    const clock = new ManualClock();
    const at = newFiles(contents);
    const tls = { ca: at('ca'), cert: at('cert'), key: at('key') };
    // The clock is moved while requests are under way.
    const budgeting = { upstreams: [service], tls, requestTimeout: '1d' };
    const gateway = await startGateway({ services: { '/budgeting': budgeting }, clock });
    /** Lets the gateway look at its files until it says so. */
    const looked = (what: string) =>
      eventually(what, () => {
        clock.advance(LOOK_EVERY_MS);
        return messages(gateway).some((message) => message.includes(what));
      });
    return { at, gateway, clock, looked };
  }

  it('are renewed in place: CA and certificate, for new connections and kept ones', async () => {
    await using service = await startTlsService({ ...mutual(), rejectUnauthorized: false });
    const { at, gateway, looked } = await startRenewing(service, { ca: authority.cert, ...client });
    await using _gateway = gateway;
    await (await ask(gateway)).text();
    writeFileSync(at('cert'), another.cert);
    writeFileSync(at('key'), another.key);
    await looked('TLS files of budgeting renewed, certificate good until');
    await (await ask(gateway)).text();
    // Kept connections do not show the old one for ever.
    expect(service.requests.map((request) => request.client)).toEqual(['gateway', 'second']);

    // From here on the CA that was trusted is none.
    writeFileSync(at('ca'), other.cert);
    await looked(`tls.ca ${at('ca')}`);
    await eventually('the new CA', async () => (await ask(gateway)).status === 502);
    service.setSecureContext({ ...other.issue('server'), ca: authority.cert });
    expect((await ask(gateway)).status).toBe(200);
  });

  it.each<[string, (file: string) => void, RegExp]>([
    [
      'half of it',
      (file) => writeFileSync(file, authority.cert.slice(0, 300)),
      /it breaks off in the middle/,
    ],
    ['nothing', (file) => writeFileSync(file, ''), /it is empty/],
    ['something else', (file) => writeFileSync(file, 'hello'), /it holds no certificate in PEM/],
    [
      'a directory',
      (file) => {
        unlinkSync(file);
        mkdirSync(file);
      },
      /EISDIR/,
    ],
    ['no file at all', (file) => unlinkSync(file), /ENOENT/],
  ])('that are replaced by %s change nothing, and the log says so once', async (_what, breakIt, reason) => {
    await using service = await startTlsService(mutual());
    const { at, gateway, clock, looked } = await startRenewing(service, { ca: authority.cert, ...client });
    await using _gateway = gateway;
    breakIt(at('ca'));
    await looked('TLS file of budgeting cannot be used, what was read before stays');
    for (let looks = 0; looks < 5; looks += 1) {
      clock.advance(LOOK_EVERY_MS);
      expect((await ask(gateway)).status).toBe(200);
    }
    const warnings = messages(gateway).filter((message) => message.includes('cannot be used'));
    expect(warnings).toEqual([expect.stringMatching(reason)]);
    expect(warnings[0]).toContain(at('ca'));

    rmSync(at('ca'), { recursive: true, force: true });
    writeFileSync(at('ca'), other.cert);
    await looked('TLS files of budgeting renewed');
    await eventually('the new CA', async () => (await ask(gateway)).status === 502);
  });

  it('lose no request when they are renewed under load, while the service changes its own', async () => {
    await using service = await startTlsService(mutual(), (_req, res) => {
      setImmediate(() => res.end('ok'));
    });
    const both = authority.cert + other.cert;
    const { at, gateway, looked } = await startRenewing(service, { ca: both, ...client });
    await using _gateway = gateway;
    const statuses = new Set<number>();
    let isOver = false;
    let count = 0;
    const user = async () => {
      while (!isOver) {
        const response = await ask(gateway, '/budgeting/x', { method: 'POST', body: 'x' });
        await response.text();
        statuses.add(response.status);
        count += 1;
      }
    };
    const users = Array.from({ length: 8 }, user);
    for (const pair of [another, client, another]) {
      writeFileSync(at('cert'), pair.cert);
      writeFileSync(at('key'), pair.key);
      const until = count + 50;
      const before = messages(gateway).length;
      await looked('TLS files of budgeting renewed');
      service.setSecureContext({ ...other.issue('server'), ca: authority.cert });
      await eventually('more requests', () => count > until && messages(gateway).length > before);
    }
    isOver = true;
    await Promise.all(users);
    expect([...statuses]).toEqual([200]);
    expect(new Set(service.requests.map((request) => request.client))).toEqual(
      new Set(['gateway', 'second']),
    );
  });
});

describe('a file that says tls wrongly', () => {
  const start = async (service: Partial<ServiceInput>, defaults?: { tls?: Tls }) => {
    const upstreams = (service.upstreams ?? ['https://127.0.0.1:1']) as string[];
    const gateway = await startGateway({ services: { '/budgeting': { ...service, upstreams } }, defaults });
    await gateway.stop();
  };

  it.each<[string, () => Partial<ServiceInput>, RegExp]>([
    [
      'upstreams in plain HTTP',
      () => ({ upstreams: ['http://127.0.0.1:1'], tls: ownTls(undefined) }),
      /services\[0\]\.tls is set for budgeting, and services\[0\]\.upstreams\[0\] is "http:.*: expected https:/,
    ],
    [
      'a certificate without key',
      () => ({ tls: { cert: newFiles(client as never)('cert') } }),
      /budgeting has no tls\.key/,
    ],
    [
      'a key without certificate',
      () => ({ tls: { key: newFiles(client as never)('key') } }),
      /budgeting has no tls\.cert/,
    ],
    [
      'a file that is not there',
      () => ({ tls: { ca: '/nowhere/ca.pem' } }),
      /services\[0\]\.tls\.ca is "\/nowhere\/ca\.pem": .*budgeting.*ENOENT/,
    ],
    [
      'a certificate that has expired',
      () => ({ tls: ownTls(authority.issue('gateway', { days: -1 })) }),
      /services\[0\]\.tls\.cert is ".*budgeting.*the certificate has expired on/,
    ],
    [
      "another's key",
      () => ({ tls: ownTls({ cert: client.cert, key: another.key }) }),
      /services\[0\]\.tls\.key is ".*the key does not belong to the first certificate/,
    ],
    [
      'a key with a passphrase',
      () => ({ tls: ownTls({ cert: client.cert, key: encrypted(client.key) }) }),
      /services\[0\]\.tls\.key is ".*the key is encrypted/,
    ],
    [
      'a version that is too old',
      () => ({ tls: { minVersion: 'TLSv1.1' } }),
      /expected TLSv1\.2 or TLSv1\.3/,
    ],
    ['an address as a name', () => ({ tls: { serverName: '127.0.0.1' } }), /expected a host name, such as/],
    ['a switch that there is not', () => ({ tls: { verify: false } as never }), /tls\.verify is not known/],
  ])('%s', async (_what, service, problem) => {
    await expect(start(service())).rejects.toThrow(problem);
  });

  it('says of defaults once what is wrong with them, and that a service may be without', async () => {
    const tls = { ca: '/nowhere/ca.pem' };
    await expect(start({}, { tls })).rejects.toThrow(/defaults\.tls\.ca is "\/nowhere\/ca\.pem"/);
    await expect(start({ tls: 'off', upstreams: ['http://127.0.0.1:1'] }, { tls })).resolves.toBeUndefined();
  });
});

it('no variable of Node has the gateway trust a certificate that it does not', async () => {
  await using service = await startTlsService(server);
  await using run = runGateway({
    services: { '/budgeting': [service] },
    env: { NODE_TLS_REJECT_UNAUTHORIZED: '0' },
  });
  const { internal } = await run.listening();
  const response = await fetch(`${internal}/internal/budgeting/x`);
  expect(response.status).toBe(502);
  expect(await response.json()).toMatchObject({ code: 'upstream_certificate_invalid' });
  expect(service.requests).toEqual([]);
  expect(run.stdout()).toContain('NODE_TLS_REJECT_UNAUTHORIZED is set and does nothing');
  // Of whom else the gateway asks by TLS, this one by Node's own client.
  await using keys = await startTlsService(server);
  await using other = runGateway({
    services: { '/budgeting': [service] },
    env: {
      NODE_TLS_REJECT_UNAUTHORIZED: '0',
      JWT_SECRET: '',
      JWKS_URL: keys.url.href,
    },
  });
  await other.listening();
  await eventually('it says so', () => other.stdout().includes('JWT keys cannot be fetched'));
  expect(keys.requests).toEqual([]);
}, 30_000);
