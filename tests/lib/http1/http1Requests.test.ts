import { PassThrough, Readable } from 'node:stream';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { InvalidRequestError, RequestContentError } from '../../../lib/http1/errors.ts';
import type { Request } from '../../../lib/http1/handler.ts';
import { Pool } from '../../../lib/http1/pool.ts';
import { sendOver, startRecordingOrigin } from '../../support/clients/http1.ts';
import { eventually } from '../../support/eventually.ts';
import { ManualClock } from '../../support/manualClock.ts';
import { type hangs, says, startRawUpstream } from '../../support/upstreams/upstream.ts';

const OK = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok';

const poolTo = (url: URL) => new Pool({ url, clock: new ManualClock(), connectTimeoutMs: 5_000 });
/** A stream of these pieces, read one by one. */
const content = (...pieces: readonly string[]) =>
  Readable.from(pieces.map((piece) => Buffer.from(piece, 'latin1')));

/** `lines` and the empty line. */
const head = (...lines: readonly string[]) => `${lines.join('\r\n')}\r\n\r\n`;
const KEEP = 'Connection: keep-alive';

const ALL_BYTES = String.fromCharCode(...Array(256).keys());

type Sent = readonly [what: string, request: Partial<Request>, bytes: string];

const SENT: readonly Sent[] = [
  ['a GET', { path: '/x?y=1' }, head('GET /x?y=1 HTTP/1.1', 'Host: HOST', KEEP)],
  ['OPTIONS *', { method: 'OPTIONS', path: '*' }, head('OPTIONS * HTTP/1.1', 'Host: HOST', KEEP)],
  ['a HEAD, and no more', { method: 'HEAD' }, head('HEAD / HTTP/1.1', 'Host: HOST', 'Connection: close')],
  ['latin1 in a path', { path: '/caf\xe9' }, head('GET /caf\xe9 HTTP/1.1', 'Host: HOST', KEEP)],
  ['any method', { method: "M-SEARCH!'" }, head("M-SEARCH!' / HTTP/1.1", 'Host: HOST', KEEP)],
  [
    'fields as they are',
    { headers: ['hOST', 'other', 'X-A', '1', 'x-a', '2', 'Empty', '', 'Latin', 'caf\xe9\t\xff'] },
    head('GET / HTTP/1.1', 'hOST: other', 'X-A: 1', 'x-a: 2', 'Empty: ', 'Latin: caf\xe9\t\xff', KEEP),
  ],
  [
    'no Expect',
    { headers: ['Expect', '100-continue', 'X', 'y', 'EXPECT', 'z'] },
    head('GET / HTTP/1.1', 'Host: HOST', 'X: y', KEEP),
  ],
  [
    'a POST without content',
    { method: 'POST' },
    head('POST / HTTP/1.1', 'Host: HOST', KEEP, 'Content-Length: 0'),
  ],
  [
    'a POST that says so itself',
    { method: 'POST', headers: ['content-length', '0'] },
    head('POST / HTTP/1.1', 'Host: HOST', 'content-length: 0', KEEP),
  ],
  ['a DELETE without content', { method: 'DELETE' }, head('DELETE / HTTP/1.1', 'Host: HOST', KEEP)],
  [
    'a GET with a length of 0',
    { headers: ['Content-Length', '0'] },
    head('GET / HTTP/1.1', 'Host: HOST', 'Content-Length: 0', KEEP),
  ],
  [
    'content with a length',
    { method: 'PUT', headers: ['Content-Length', '5', 'X', 'y'], body: content('hello') },
    `${head('PUT / HTTP/1.1', 'Host: HOST', 'Content-Length: 5', 'X: y', KEEP)}hello`,
  ],
  [
    'content in pieces with a length',
    { method: 'GET', headers: ['Content-Length', '5'], body: content('he', '', 'll', 'o') },
    `${head('GET / HTTP/1.1', 'Host: HOST', 'Content-Length: 5', KEEP)}hello`,
  ],
  [
    'content of all bytes',
    {
      method: 'PUT',
      headers: ['Content-Length', '256'],
      body: content(ALL_BYTES),
    },
    `${head('PUT / HTTP/1.1', 'Host: HOST', 'Content-Length: 256', KEEP)}${ALL_BYTES}`,
  ],
  [
    'large content with a length',
    { method: 'POST', headers: ['Content-Length', '100000'], body: content('x'.repeat(100_000)) },
    `${head('POST / HTTP/1.1', 'Host: HOST', 'Content-Length: 100000', KEEP)}${'x'.repeat(100_000)}`,
  ],
  [
    'content without a length',
    { method: 'POST', body: content('0123456789abcdef', 'x') },
    `${head('POST / HTTP/1.1', 'Host: HOST', KEEP, 'Transfer-Encoding: chunked')}10\r\n0123456789abcdef\r\n1\r\nx\r\n0\r\n\r\n`,
  ],
  [
    'large content without a length',
    { method: 'POST', body: content('x'.repeat(100_000)) },
    `${head('POST / HTTP/1.1', 'Host: HOST', KEEP, 'Transfer-Encoding: chunked')}186a0\r\n${'x'.repeat(100_000)}\r\n0\r\n\r\n`,
  ],
  [
    'empty content without a length',
    { method: 'POST', body: content() },
    head('POST / HTTP/1.1', 'Host: HOST', KEEP, 'Content-Length: 0'),
  ],
  [
    'empty content with a length',
    { method: 'POST', headers: ['Content-Length', '0'], body: content() },
    head('POST / HTTP/1.1', 'Host: HOST', 'Content-Length: 0', KEEP),
  ],
  [
    'trailers, but for those that are none',
    {
      method: 'POST',
      body: Object.assign(content('x'), {
        rawTrailers: ['X-Sum', '1', 'X Y', 'a', 'X-Evil', 'a\r\nb: c', 'x-sum', ''],
      }),
    },
    `${head('POST / HTTP/1.1', 'Host: HOST', KEEP, 'Transfer-Encoding: chunked')}1\r\nx\r\n0\r\nX-Sum: 1\r\nx-sum: \r\n\r\n`,
  ],
  [
    'no trailers behind a length',
    {
      method: 'POST',
      headers: ['Content-Length', '1'],
      body: Object.assign(content('x'), { rawTrailers: ['A', 'b'] }),
    },
    `${head('POST / HTTP/1.1', 'Host: HOST', 'Content-Length: 1', KEEP)}x`,
  ],
];

describe('Pool sends', () => {
  it.each(SENT)('%s', async (_what, request, bytes) => {
    await using origin = await startRecordingOrigin((socket, received) => {
      if (received.length >= wanted.length) socket.write(OK);
    });
    const wanted = bytes.replace('HOST', origin.url.host);
    const pool = poolTo(origin.url);
    const answer = await sendOver(pool, request);
    expect(answer.status).toBe(200);
    await pool.destroy();
    expect(origin.received).toEqual([wanted]);
  });

  it('a head in one packet with content that is there', async () => {
    const packets: string[] = [];
    await using origin = await startRecordingOrigin((socket, received) => {
      packets.push(received);
      socket.write(OK);
    });
    const pool = poolTo(origin.url);
    await sendOver(pool, { method: 'POST', headers: ['Content-Length', '5'], body: content('hello') });
    await pool.destroy();
    expect(packets.map((packet) => packet.endsWith('\r\n\r\nhello'))).toEqual([true]);
  });
});

type Refused = readonly [what: string, request: Partial<Request>, message: RegExp];

const EVIL = [
  '\r',
  '\n',
  '\0',
  '\r\nEvil: 1',
  '\r\n\r\nGET /evil HTTP/1.1',
  '\x01',
  '\x7f',
  '\u0100',
  '\u560d',
  '\u560a',
];

const REFUSED: readonly Refused[] = [
  ...EVIL.flatMap((evil): Refused[] => [
    [`${JSON.stringify(evil)} in a method`, { method: `GET${evil}` }, /^method must be/],
    [`${JSON.stringify(evil)} in a path`, { path: `/a${evil}b` }, /^path must be/],
    [`${JSON.stringify(evil)} in a name`, { headers: [`X${evil}`, 'y'] }, /^field name must be/],
    [`${JSON.stringify(evil)} in a value`, { headers: ['X', `a${evil}b`] }, /^X must be/],
    [`${JSON.stringify(evil)} in Host`, { headers: ['Host', `a${evil}b`] }, /^Host must be/],
  ]),
  ['an empty method', { method: '' }, /^method must be/],
  ['a method with a blank', { method: 'GET /evil' }, /^method must be/],
  ['an empty path', { path: '' }, /^path must be/],
  ['a path without a slash', { path: 'x' }, /^path must be/],
  ['a path with a blank', { path: '/a b' }, /^path must be/],
  ['an empty name', { headers: ['', 'y'] }, /^field name must be/],
  ['a name with a colon', { headers: ['X:', 'y'] }, /^field name must be/],
  ['a name without a value', { headers: ['X'] }, /^X must be/],
  ['a value that is none', { headers: ['X', undefined as unknown as string] }, /^X must be/],
  ['Connection', { headers: ['Connection', 'close'] }, /speaks of the connection/],
  ['Keep-Alive', { headers: ['keep-alive', 'timeout=1'] }, /speaks of the connection/],
  ['Upgrade', { headers: ['UPGRADE', 'x'] }, /speaks of the connection/],
  ['Transfer-Encoding', { headers: ['Transfer-Encoding', 'chunked'] }, /speaks of the connection/],
  ['two hosts', { headers: ['Host', 'a', 'host', 'b'] }, /must come once/],
  ['two lengths', { headers: ['Content-Length', '0', 'content-length', '0'] }, /must come once/],
  ['a length that is none', { headers: ['Content-Length', '1x'] }, /^Content-Length must be/],
  ['a negative length', { headers: ['Content-Length', '-1'] }, /^Content-Length must be/],
  ['a length without content', { headers: ['Content-Length', '1'] }, /there is no content/],
];

describe('Pool refuses, and does not even connect', () => {
  it.each(REFUSED)('%s', async (_what, request, message) => {
    await using origin = await startRecordingOrigin(() => {});
    const pool = poolTo(origin.url);
    const error = await sendOver(pool, request).catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(InvalidRequestError);
    expect((error as Error).message).toMatch(message);
    await pool.destroy();
    expect(origin.received).toEqual([]);
  });

  it.each(EVIL)('%j, as often as it comes where something good came before', async (evil) => {
    await using origin = await startRawUpstream(says(OK));
    const pool = poolTo(origin.url);
    const ask = (value: string) => sendOver(pool, { headers: ['X', value, 'Y', 'good'] });
    for (const value of ['good', `good${evil}`, `good${evil}`, 'good', `good${evil}`]) {
      if (value === 'good') await ask(value);
      else await expect(ask(value)).rejects.toThrow(/^X must be/);
    }
    await pool.destroy();
    expect(origin.requests).toHaveLength(2);
  });
});

describe('content that is not what was said', () => {
  let body: PassThrough;

  beforeEach(() => {
    body = new PassThrough();
  });
  afterEach(() => {
    expect(body.destroyed).toBe(true);
  });

  async function expectBroken(length: string, spoil: () => void, wanted: string) {
    await using origin = await startRecordingOrigin(() => {});
    const pool = poolTo(origin.url);
    const headers = length === '' ? [] : ['Content-Length', length];
    const answer = sendOver(pool, { method: 'POST', headers, body });
    body.write('begun');
    await eventually('it has begun', () => origin.received[0]?.includes('begun'));
    spoil();
    const error = await answer.catch((reason: unknown) => reason);
    await eventually('the connection is cut', () => origin.open === 0);
    expect(origin.received[0]?.slice(origin.received[0].indexOf('\r\n\r\n') + 4)).toBe(wanted);
    // Nothing else goes over that connection.
    expect(origin.received).toHaveLength(1);
    await pool.destroy();
    return error;
  }

  it('too short', async () => {
    expect(await expectBroken('9', () => body.end(), 'begun')).toBeInstanceOf(RequestContentError);
  });

  it('too long', async () => {
    const more = 'GET /evil HTTP/1.1\r\n\r\n';
    expect(await expectBroken('9', () => body.write(more), 'begun')).toBeInstanceOf(RequestContentError);
  });

  it('an error', async () => {
    const error = new Error('the client left');
    expect(await expectBroken('9', () => body.destroy(error), 'begun')).toBe(error);
    body = new PassThrough();
    expect(await expectBroken('', () => body.destroy(error), '5\r\nbegun\r\n')).toBe(error);
  });

  it('nothing, since it was closed before', async () => {
    await using origin = await startRecordingOrigin(() => {});
    const pool = poolTo(origin.url);
    body.destroy();
    const error = await sendOver(pool, { method: 'POST', body }).catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(RequestContentError);
    await eventually('the connection is cut', () => origin.open === 0);
    expect(origin.received.join('')).toBe('');
    await pool.destroy();
  });

  it('no end', async () => {
    expect(await expectBroken('', () => body.destroy(), '5\r\nbegun\r\n')).toBeInstanceOf(
      RequestContentError,
    );
  });
});

describe('a response before the content has ended', () => {
  const EARLY = 'HTTP/1.1 413 Content Too Large\r\nContent-Length: 3\r\n\r\nbig';

  it.each([
    ['and the connection stays', says(EARLY)],
    ['and the connection closes', (socket: Parameters<typeof hangs>[0]) => void socket.end(EARLY)],
  ])('is told, %s', async (_how, behaviour) => {
    await using upstream = await startRawUpstream(behaviour);
    const pool = poolTo(upstream.url);
    const body = new PassThrough();
    body.write('begun');
    const answer = await sendOver(pool, { method: 'POST', headers: ['Content-Length', '100'], body });
    expect([answer.status, answer.content]).toEqual([413, 'big']);
    expect(body.destroyed).toBe(true);
    await eventually('the connection is closed', () => upstream.open === 0);
    await sendOver(pool);
    expect(upstream.requests.map(({ connection }) => connection)).toEqual([1, 2]);
    await pool.destroy();
  });

  it('but with all of its length keeps the connection', async () => {
    await using upstream = await startRawUpstream(says(OK));
    const pool = poolTo(upstream.url);
    const body = new PassThrough();
    body.write('all');
    await sendOver(pool, { method: 'POST', headers: ['Content-Length', '3'], body });
    await sendOver(pool);
    expect(upstream.requests.map(({ connection }) => connection)).toEqual([1, 1]);
    await pool.destroy();
    body.destroy();
  });
});
