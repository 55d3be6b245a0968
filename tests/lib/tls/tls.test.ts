import { once } from 'node:events';
import type { RequestListener } from 'node:http';
import { Agent, request } from 'node:https';
import { type AddressInfo, connect as connectPlain, type Socket } from 'node:net';
import { text } from 'node:stream/consumers';
import { type ConnectionOptions, connect, type TLSSocket } from 'node:tls';
import { afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { Certificate } from '../../../lib/tls/certificate.ts';
import { keyPair } from '../../../lib/tls/keyPair.ts';
import { TlsServer, type TlsServerOptions } from '../../../lib/tls/tlsServer.ts';
import {
  CertificateFiles,
  encrypted,
  makeCertificate,
  type TestCertificate,
} from '../../support/certificates.ts';
import { eventually } from '../../support/eventually.ts';
import { ManualClock } from '../../support/manualClock.ts';

const LOOK_EVERY_MS = 10_000;
const DAY_MS = 24 * 60 * 60 * 1000;

let first: TestCertificate;
let second: TestCertificate;
beforeAll(() => {
  first = makeCertificate('first');
  second = makeCertificate('second', 60);
});

let files: CertificateFiles;
let clock: ManualClock;
let broken: string[];
beforeEach(() => {
  files = new CertificateFiles();
  clock = new ManualClock();
  broken = [];
});
afterEach(() => files[Symbol.dispose]());

/** The certificate of `files`, watched. */
async function watched(): Promise<Certificate> {
  const onBroken = ({ message }: Error) => broken.push(message);
  const certificate = await Certificate.open({ ...files, onBroken, clock });
  certificate.watch();
  return certificate;
}

/** Lets the certificate look at its files once, and waits until it has. */
async function look(): Promise<void> {
  clock.advance(LOOK_EVERY_MS);
  await eventually('the look', () => clock.pending > 0);
}

interface TestServer extends AsyncDisposable {
  readonly server: TlsServer;
  readonly port: number;
}

async function serve(
  options: Omit<TlsServerOptions, 'clock'>,
  handler: RequestListener = (_req, res) => void res.end('ok'),
): Promise<TestServer> {
  const server = new TlsServer({}, { clock, ...options });
  server.on('request', handler);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  return {
    server,
    port,
    async [Symbol.asyncDispose]() {
      server.close();
      server.closeAllConnections();
      if (server.listening) await once(server, 'close');
    },
  };
}

/** A TLS connection that trusts everybody; rejects when none comes about. */
async function shakeHands(port: number, options: ConnectionOptions = {}): Promise<TLSSocket> {
  const socket = connect({ port, host: '127.0.0.1', rejectUnauthorized: false, ...options });
  await once(socket, 'secureConnect');
  socket.on('error', () => {});
  return socket;
}

/** The CN of the certificate that a new connection gets. */
async function nameAt(port: number): Promise<string> {
  const socket = await shakeHands(port);
  const { CN } = socket.getPeerCertificate().subject;
  socket.destroy();
  return String(CN);
}

/** The CN of the certificate of the connection that a request went over. */
async function nameOver(agent: Agent, port: number): Promise<string> {
  const req = request({ port, host: '127.0.0.1', agent, rejectUnauthorized: false }).end();
  const [res] = await once(req, 'response');
  const { CN } = (req.socket as TLSSocket).getPeerCertificate().subject;
  await text(res);
  return String(CN);
}

describe('keyPair', () => {
  it('tells until when a certificate is good', () => {
    const { expiresAtMs } = keyPair(first.cert, first.key);
    expect(Math.abs(expiresAtMs - (Date.now() + 30 * DAY_MS))).toBeLessThan(DAY_MS);
  });

  it('takes the first of a chain', () => {
    expect(keyPair(first.cert + second.cert, first.key).cert).toBe(first.cert + second.cert);
  });

  it.each([
    ['no certificate', () => ['hello', first.key], 'the certificate is not one in PEM'],
    ['an empty file', () => ['', first.key], 'the certificate is not one in PEM'],
    ['half a certificate', () => [first.cert.slice(0, 300), first.key], 'the certificate is not one in PEM'],
    ['no key', () => [first.cert, 'hello'], 'the key is not a private key in PEM'],
    ['a certificate as the key', () => [first.cert, first.cert], 'the key is not a private key in PEM'],
    ['a key with a passphrase', () => [first.cert, encrypted(first.key)], 'the key is encrypted'],
    [
      'the key of another',
      () => [first.cert, second.key],
      'the key does not belong to the first certificate',
    ],
    ['a chain the wrong way round', () => [second.cert + first.cert, first.key], 'the key does not belong'],
  ])('refuses %s', (_, pair, message) => {
    const [cert, key] = pair() as [string, string];
    expect(() => keyPair(cert, key)).toThrow(message);
  });
});

describe('Certificate', () => {
  it('does not open files that hold no pair', async () => {
    await expect(Certificate.open({ ...files })).rejects.toThrow('ENOENT');
    files.write({ cert: first.cert, key: second.key });
    await expect(Certificate.open({ ...files })).rejects.toThrow('the key does not belong');
  });

  it.each(['write', 'swapDirectory', 'swapFiles'] as const)('is renewed by %s', async (way) => {
    files[way](first);
    const certificate = await watched();
    const followed: string[] = [];
    certificate.follow(({ cert }) => followed.push(cert));
    await look();
    expect(certificate.pair.cert).toBe(first.cert);
    files[way](second);
    await look();
    expect(certificate.pair.cert).toBe(second.cert);
    expect(certificate.pair.key).toBe(second.key);
    files[way](first);
    await look();
    expect(certificate.pair.cert).toBe(first.cert);
    expect(followed).toEqual([second.cert, first.cert]);
    expect(broken).toEqual([]);
  });

  it('waits, saying nothing, for the other file of a pair that is written in two steps', async () => {
    files.write(first);
    const certificate = await watched();
    files.write({ cert: second.cert });
    await look();
    expect(certificate.pair.cert).toBe(first.cert);
    files.write({ key: second.key });
    await look();
    expect(certificate.pair.cert).toBe(second.cert);
    expect(broken).toEqual([]);
  });

  it.each([
    ['a pair that does not belong together', () => files.write({ cert: second.cert }), 'does not belong'],
    ['a broken file', () => files.write({ cert: 'hello' }), 'the certificate is not one in PEM'],
    ['files that are gone', () => files[Symbol.dispose](), 'ENOENT'],
  ])('keeps what it has before %s, and says so once', async (_, harm, message) => {
    files.write(first);
    const certificate = await watched();
    harm();
    for (let n = 0; n < 5; n += 1) await look();
    expect(certificate.pair.cert).toBe(first.cert);
    expect(broken).toEqual([expect.stringContaining(message)]);
  });

  it('is mended after that', async () => {
    files.write(first);
    const certificate = await watched();
    for (const cert of ['hello', 'world']) {
      files.write({ cert });
      for (let n = 0; n < 3; n += 1) await look();
    }
    expect(broken).toHaveLength(2);
    files.write(second);
    await look();
    expect(certificate.pair.cert).toBe(second.cert);
  });

  it('looks no more when it is stopped', async () => {
    files.write(first);
    const certificate = await watched();
    certificate.stop();
    expect(clock.pending).toBe(0);
  });
});

describe('TlsServer', () => {
  let certificate: Certificate;
  beforeEach(async () => {
    files.write(first);
    certificate = await watched();
  });

  it('gives a renewed certificate to new connections and lets the open ones go on', async () => {
    await using app = await serve({ certificate });
    using agent = Object.assign(new Agent({ keepAlive: true, maxSockets: 1, maxCachedSessions: 0 }), {
      [Symbol.dispose]: () => agent.destroy(),
    });
    let connections = 0;
    app.server.on('secureConnection', () => {
      connections += 1;
    });
    expect(await nameOver(agent, app.port)).toBe('first');
    files.write(second);
    await look();
    expect(await nameOver(agent, app.port)).toBe('first');
    expect(connections).toBe(1);
    expect(await nameAt(app.port)).toBe('second');
  });

  it('speaks TLS 1.2 and 1.3, and nothing older', async () => {
    const failures: unknown[] = [];
    await using app = await serve({
      certificate,
      onHandshakeFailed: (error) => failures.push(Object(error).code),
    });
    for (const version of ['TLSv1.2', 'TLSv1.3'] as const) {
      const socket = await shakeHands(app.port, { minVersion: version, maxVersion: version });
      expect(socket.getProtocol()).toBe(version);
      socket.destroy();
    }
    const old = { minVersion: 'TLSv1', maxVersion: 'TLSv1.1', ciphers: 'DEFAULT:@SECLEVEL=0' } as const;
    await expect(shakeHands(app.port, old)).rejects.toThrow(/alert protocol version/);
    await eventually('the failure', () => failures.includes('ERR_SSL_UNSUPPORTED_PROTOCOL'));
  });

  it('agrees on http/1.1, also where a client would rather have h2', async () => {
    await using app = await serve({ certificate });
    const socket = await shakeHands(app.port, { ALPNProtocols: ['h2', 'http/1.1'] });
    expect(socket.alpnProtocol).toBe('http/1.1');
    socket.destroy();
    await expect(shakeHands(app.port, { ALPNProtocols: ['h2'] })).rejects.toThrow(/alert no application/);
  });

  it.each(['GET', 'DELETE', 'OPTIONS', 'PRI'])(
    'hands over a connection that begins with %s',
    async (method) => {
      const plain: string[] = [];
      const onPlainHttp = (socket: Socket) => {
        socket.once('data', (bytes) => {
          plain.push(String(bytes));
          socket.end('no');
        });
      };
      await using app = await serve({ certificate, onPlainHttp });
      const socket = connectPlain(app.port, '127.0.0.1');
      socket.write(`${method} / HTTP/1.1\r\n\r\n`);
      expect(await text(socket)).toBe('no');
      expect(plain).toEqual([`${method} / HTTP/1.1\r\n\r\n`]);
    },
  );

  it.each(['\0\0\0\0', '\x16garbage that is no handshake', '\xff\xf4'])(
    'closes what begins with %j',
    async (bytes) => {
      await using app = await serve({ certificate });
      const socket = connectPlain(app.port, '127.0.0.1').on('error', () => {});
      socket.end(bytes, 'latin1').resume();
      await once(socket, 'close');
      expect(await nameAt(app.port)).toBe('first');
    },
  );

  it('closes a connection that says nothing for ten seconds', async () => {
    await using app = await serve({ certificate });
    const socket = connectPlain(app.port, '127.0.0.1');
    await eventually('it is there', () => clock.pending === 2);
    clock.advance(LOOK_EVERY_MS);
    await once(socket.resume(), 'close');
  });

  it('is not kept from closing by connections that have not shaken hands', async () => {
    await using app = await serve({ certificate });
    const silent = connectPlain(app.port, '127.0.0.1').on('error', () => {});
    const half = connectPlain(app.port, '127.0.0.1').on('error', () => {});
    // The head of a record that never comes whole.
    half.write(Buffer.from([22, 3, 1, 2, 0]));
    await eventually('both are there', async () => {
      const count = await new Promise((resolve) => app.server.getConnections((_, n) => resolve(n)));
      return count === 2 && half.bytesWritten === 5;
    });
    const closed = once(app.server, 'close');
    app.server.close();
    await closed;
    await Promise.all([silent, half].map((socket) => socket.destroyed || once(socket.resume(), 'close')));
  });

  it('lets a request that is under way finish when it closes', async () => {
    const answering = Promise.withResolvers<() => void>();
    await using app = await serve({ certificate }, (_req, res) => answering.resolve(() => res.end('done')));
    const req = request({ port: app.port, host: '127.0.0.1', agent: false, rejectUnauthorized: false }).end();
    const answer = await answering.promise;
    const closed = once(app.server, 'close');
    app.server.close();
    answer();
    const [res] = await once(req, 'response');
    expect(await text(res)).toBe('done');
    await closed;
  });
});
