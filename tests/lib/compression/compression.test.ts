import { once } from 'node:events';
import type { IncomingMessage } from 'node:http';
import { connect } from 'node:net';
import { PassThrough, Transform } from 'node:stream';
import {
  brotliDecompressSync,
  createBrotliDecompress,
  createGunzip,
  createZstdDecompress,
  gunzipSync,
  zstdDecompressSync,
} from 'node:zlib';
import { describe, expect, it } from '@jest/globals';
import type { Request, Response } from 'express';
import fc from 'fast-check';
import { CoderLimit } from '../../../lib/compression/coderLimit.ts';
import { CODINGS, type Coder, type Coding } from '../../../lib/compression/codings.ts';
import { type CompressionOptions, codedTags, compression } from '../../../lib/compression/middleware.ts';
import { writerOf } from '../../../lib/response/responseWriter.ts';
import { cases } from '../../support/cases.ts';
import { answerTo, type CallOptions, type CallResponse, call, open } from '../../support/clients/client.ts';
import { eventually } from '../../support/eventually.ts';
import { bareApp } from '../../support/gateway/bareApp.ts';

const DECODE = { zstd: zstdDecompressSync, br: brotliDecompressSync, gzip: gunzipSync };
const JSON_TEXT = JSON.stringify(
  Array.from({ length: 400 }, (_, id) => ({ id, name: `item ${id}`, price: id * 7 })),
);
const TYPE = { 'Content-Type': 'application/json' };

type Write = (req: Request, res: Response) => void;

async function ask(write: Write, given: CallOptions = {}, options: CompressionOptions = {}) {
  await using app = await bareApp([compression(options), (req, res) => write(req, res)]);
  return await call(app.url, { headers: { 'Accept-Encoding': 'gzip' }, ...given });
}

const json: Write = (_req, res) => void res.writeHead(200, TYPE).end(JSON_TEXT);

function decoded({ headers, body }: CallResponse): string {
  const coding = headers['content-encoding'] as Coding | undefined;
  return (coding ? DECODE[coding](body) : body).toString();
}

describe('compression', () => {
  it.each(CODINGS)('codes for a client that takes %s', async (coding) => {
    const response = await ask(json, { headers: { 'Accept-Encoding': coding } });
    expect(response.headers).toMatchObject({ 'content-encoding': coding, vary: 'Accept-Encoding' });
    expect(response.headers).not.toHaveProperty('content-length');
    expect(decoded(response)).toBe(JSON_TEXT);
    expect(response.body.length).toBeLessThan(JSON_TEXT.length / 4);
  });

  it('leaves the response as it is for a client that takes none, and says that it varies', async () => {
    const response = await ask(
      (_req, res) => res.setHeader('Content-Type', 'text/plain').end('x'.repeat(2000)),
      {
        headers: { 'Accept-Encoding': 'deflate' },
      },
    );
    expect(response.headers).toMatchObject({ 'content-length': '2000', vary: 'Accept-Encoding' });
    expect(response.headers).not.toHaveProperty('content-encoding');
  });

  it('codes what Express and others write in any of their ways', async () => {
    const ways: Write[] = [
      (_req, res) => void res.type('json').send(JSON_TEXT),
      (_req, res) => void res.json(JSON.parse(JSON_TEXT)),
      (_req, res) => void res.writeHead(200, 'fine', Object.entries(TYPE).flat()).end(JSON_TEXT),
      (_req, res) => {
        res.type('json').write(JSON_TEXT.slice(0, 100), 'utf8', () => res.end(JSON_TEXT.slice(100)));
      },
      (_req, res) => void writerOf(res).whole(200, Object.entries(TYPE).flat(), JSON_TEXT),
      (_req, res) => void writerOf(res).whole(200, Object.entries(TYPE).flat(), JSON_TEXT, true),
    ];
    for (const write of ways) {
      const response = await ask(write);
      expect([response.headers['content-encoding'], decoded(response)]).toEqual(['gzip', JSON_TEXT]);
    }
  });

  it.each<[string, Write]>([
    ['below the floor', (_req, res) => void res.type('json').send('{"a":1}')],
    ['of another type', (_req, res) => void res.type('image/png').send(Buffer.alloc(4000))],
    ['of no type', (_req, res) => void res.end('x'.repeat(4000))],
    [
      'coded already',
      (_req, res) => void res.writeHead(200, { ...TYPE, 'Content-Encoding': 'br' }).end('x'.repeat(4000)),
    ],
    [
      'not to be changed',
      (_req, res) =>
        void res.writeHead(200, { ...TYPE, 'Cache-Control': 'public, No-Transform' }).end('x'.repeat(4000)),
    ],
    [
      'an event stream',
      (_req, res) => void res.writeHead(200, { 'Content-Type': 'text/event-stream' }).end('x'.repeat(4000)),
    ],
  ])('leaves what is %s', async (_what, write) => {
    const response = await ask(write);
    expect(response.headers['content-encoding'] === 'gzip').toBe(false);
    expect(response.headers).not.toHaveProperty('vary');
  });

  it.each([
    ['Content-Encoding', 'identity', 'gzip'],
    ['Content-Type', 'application/json', 'text/event-stream'],
  ])('leaves what one of several lines of %s keeps from being coded', async (name, ...values) => {
    const response = await ask((_req, res) => {
      res.writeHead(200, [
        ...Object.entries(TYPE).filter(([field]) => field !== name),
        ...values.map((value) => [name, value]),
      ] as never);
      res.end('x'.repeat(2000));
    });
    expect(response.body.toString()).toBe('x'.repeat(2000));
  });

  it('leaves a part, with the Vary of the whole', async () => {
    const range = { 'Content-Range': 'bytes 0-1999/9000', ETag: '"a"', 'Content-Digest': 'sha-256=:x:' };
    const response = await ask(
      (_req, res) => void res.writeHead(206, { ...TYPE, ...range }).end('x'.repeat(2000)),
    );
    expect(response.headers).toMatchObject({
      etag: '"a"',
      vary: 'Accept-Encoding',
      'content-digest': 'sha-256=:x:',
    });
    expect(response.body.length).toBe(2000);
  });

  it('leaves responses to clients of HTTP/1.0 and to those who say no-transform', async () => {
    await using app = await bareApp([compression(), json]);
    const socket = connect(Number(app.url.port), '127.0.0.1');
    socket.end('GET / HTTP/1.0\r\nAccept-Encoding: gzip\r\n\r\n');
    let text = '';
    for await (const chunk of socket) text += chunk;
    expect(text).toContain('Vary: Accept-Encoding');
    expect(text.endsWith(JSON_TEXT)).toBe(true);
    const response = await call(app.url, {
      headers: { 'Accept-Encoding': 'gzip', 'Cache-Control': 'no-transform' },
    });
    expect(response.body.toString()).toBe(JSON_TEXT);
  });

  it.each([204, 304])('adds no content to a %i', async (status) => {
    const response = await ask((_req, res) => void res.writeHead(status).end());
    expect([response.status, response.body.length]).toEqual([status, 0]);
    expect(response.headers).not.toHaveProperty('content-encoding');
  });

  it('gives a HEAD the fields of the GET', async () => {
    const write: Write = (_req, res) =>
      void res.writeHead(200, { ...TYPE, ETag: '"a"', 'Content-Length': JSON_TEXT.length }).end(JSON_TEXT);
    const [head, get] = [await ask(write, { method: 'HEAD' }), await ask(write)];
    for (const name of ['content-encoding', 'vary', 'etag', 'content-type', 'content-length']) {
      expect([name, head.headers[name]]).toEqual([name, get.headers[name]]);
    }
    expect([head.headers.etag, head.headers['transfer-encoding']]).toEqual(['"a;coded=gzip"', undefined]);
  });

  it('removes what is not true of the coded content, and keeps the rest', async () => {
    const fields = {
      ...TYPE,
      'Accept-Ranges': 'bytes',
      'Repr-Digest': 'sha-256=:x:',
      'Content-Digest': 'sha-256=:x:',
      'Content-MD5': 'x',
      Vary: 'Origin',
      'Set-Cookie': ['a=1', 'b=2'],
      'Content-Length': JSON_TEXT.length,
    };
    const { headers } = await ask((_req, res) => void res.writeHead(200, fields).end(JSON_TEXT));
    for (const name of ['accept-ranges', 'repr-digest', 'content-digest', 'content-md5', 'content-length']) {
      expect(headers).not.toHaveProperty(name);
    }
    expect(headers).toMatchObject({ vary: 'Origin, Accept-Encoding', 'set-cookie': ['a=1', 'b=2'] });
  });

  it.each([
    ['*', '*'],
    ['accept-encoding', 'accept-encoding'],
    ['Origin, Accept-Encoding', 'Origin, Accept-Encoding'],
    ['X-Accept-Encoding', 'X-Accept-Encoding, Accept-Encoding'],
  ])('makes of Vary %j %j', async (own, vary) => {
    const { headers } = await ask(
      (_req, res) => void res.writeHead(200, { ...TYPE, Vary: own }).end(JSON_TEXT),
    );
    expect(headers.vary).toBe(vary);
  });

  it('passes trailers on, without digests of the uncoded content', async () => {
    const response = await ask((_req, res) => {
      writerOf(res).head(200, 'OK', [...Object.entries(TYPE).flat(), 'Trailer', 'X-Sum']);
      writerOf(res).content(Buffer.from(JSON_TEXT));
      writerOf(res).end(undefined, [
        ['X-Sum', '7'],
        ['Content-Digest', 'x'],
      ]);
    });
    expect([response.trailers, decoded(response)]).toEqual([['X-Sum', '7'], JSON_TEXT]);
  });

  it('decodes to what was written, whatever the pieces', async () => {
    const pieces = fc.array(fc.uint8Array({ maxLength: 3000 }), { maxLength: 12 });
    await using app = await bareApp([
      compression({ floorBytes: 0 }),
      (req, res) => {
        const given = JSON.parse(
          Buffer.from(String(req.headers['x-pieces']), 'base64').toString(),
        ) as number[][];
        res.writeHead(200, TYPE);
        for (const piece of given.slice(0, -1)) res.write(Buffer.from(piece));
        res.end(given.length === 0 ? undefined : Buffer.from(given.at(-1) as number[]));
      },
    ]);
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom(...CODINGS),
        pieces.map((all) => all.map((each) => [...each.slice(0, 150)])),
        async (coding, all) => {
          const headers = {
            'Accept-Encoding': coding,
            'X-Pieces': Buffer.from(JSON.stringify(all)).toString('base64'),
          };
          const { body } = await call(app.url, { headers });
          expect([...DECODE[coding](body)]).toEqual(all.flat());
        },
      ),
      cases(60),
    );
  });

  it.each<[Coding, () => Transform]>([
    ['gzip', createGunzip],
    ['br', createBrotliDecompress],
    ['zstd', createZstdDecompress],
  ])('lets each piece of a slow response leave at once in %s', async (coding, decoder) => {
    const gate = new PassThrough();
    await using app = await bareApp([
      compression(),
      (_req, res) => {
        res.writeHead(200, TYPE);
        gate.on('data', (chunk) => res.write(chunk));
        gate.on('end', () => res.end());
      },
    ]);
    const req = open(app.url, { headers: { 'Accept-Encoding': coding } });
    req.end();
    gate.write('first');
    const decoded = (await answerTo(req)).pipe(decoder());
    // The next piece is written only when the one before has arrived.
    expect(String((await once(decoded, 'data'))[0])).toBe('first');
    gate.write('second');
    expect(String((await once(decoded, 'data'))[0])).toBe('second');
    gate.end();
    await once(decoded.resume(), 'end');
  });

  it('stops whoever writes for a client that does not read, and gives everything back when that leaves', async () => {
    const limit = new CoderLimit({ most: 4 });
    let written = 0;
    let isFull = false;
    const noise = Buffer.from(Array.from({ length: 64 * 1024 }, (_, i) => (i * 2654435761) >>> 13));
    await using app = await bareApp([
      compression({ limit }),
      (_req, res) => {
        res.writeHead(200, TYPE);
        const fill = () => {
          do {
            written += noise.length;
            isFull = !res.write(
              Buffer.from(noise.map((byte) => byte ^ (written >>> 8) ^ Math.floor(Math.random() * 256))),
            );
          } while (!isFull && written < 1e9);
        };
        res.on('drain', fill);
        fill();
      },
    ]);
    const socket = connect(Number(app.url.port), '127.0.0.1');
    socket.write('GET / HTTP/1.1\r\nHost: a\r\nAccept-Encoding: gzip\r\n\r\n');
    await once(socket, 'readable');
    let before = -1;
    await eventually('the writer to wait', () => {
      const settled = written === before;
      before = written;
      return settled;
    });
    expect(written).toBeLessThan(20e6);
    expect(limit.held).toBe(1);
    socket.destroy();
    await eventually('the coder to be free', () => limit.held === 0);
  });

  it('sends what comes when all coders are at work uncoded, and says why', async () => {
    const uncoded: string[] = [];
    const limit = new CoderLimit({ most: 1 });
    const place = limit.take('somebody');
    const options: CompressionOptions = { limit, onUncoded: (reason) => uncoded.push(reason) };
    const response = await ask(json, {}, options);
    expect([response.headers.vary, response.body.toString(), uncoded]).toEqual([
      'Accept-Encoding',
      JSON_TEXT,
      ['busy'],
    ]);
    place?.release();
    expect((await ask(json, {}, options)).headers['content-encoding']).toBe('gzip');
    expect(limit.held).toBe(0);
  });

  it('breaks a response off whose coder fails, once, and gives its place back', async () => {
    const failures: string[] = [];
    const limit = new CoderLimit({ most: 1 });
    const create = () =>
      new Transform({
        transform: (_chunk, _encoding, done) => done(new Error('out of memory')),
      }) as unknown as Coder;
    const failed = ask(json, {}, { limit, create, onFailed: ({ message }) => failures.push(message) });
    await expect(failed).rejects.toThrow();
    expect([failures, limit.held]).toEqual([['the response could not be coded: out of memory'], 0]);
  });

  it('counts bytes before and after', async () => {
    const counted: unknown[][] = [];
    const response = await ask(json, {}, { onCoded: (...given) => counted.push(given) });
    expect(counted).toEqual([['gzip', JSON_TEXT.length, response.body.length]]);
  });

  it('codes stored content once, however often and for however many it is asked', async () => {
    let made = 0;
    const zlib = await import('../../../lib/compression/codings.ts');
    await using app = await bareApp([
      compression({
        create: (coding, terms) => {
          made += 1;
          return zlib.createCoder(coding, terms);
        },
      }),
      (_req, res) =>
        void writerOf(res).whole(
          200,
          [...Object.entries(TYPE).flat(), 'Content-Length', String(JSON_TEXT.length)],
          JSON_TEXT,
          true,
        ),
    ]);
    const options = { headers: { 'Accept-Encoding': 'br' } };
    const first = await Promise.all([1, 2, 3].map(() => call(app.url, options)));
    const later = await call(app.url, options);
    expect([...first, later].map(decoded)).toEqual(Array(4).fill(JSON_TEXT));
    expect([made, later.headers['content-length']]).toEqual([1, String(later.body.length)]);
  });

  it('begins anew where a head could not be sent', async () => {
    const response = await ask((_req, res) => {
      const writer = writerOf(res);
      expect(() => writer.head(200, 'OK', [...Object.entries(TYPE).flat(), 'X-Bad', 'a\nb'])).toThrow();
      writer.whole(502, [...Object.entries(TYPE).flat(), 'Content-Length', '2'], '{}');
    });
    expect([response.status, response.body.toString()]).toEqual([502, '{}']);
    expect(response.headers).not.toHaveProperty('content-encoding');
  });

  it.each([{ gzip: 0 }, { br: 12 }, { zstd: 1.5 }])('refuses the levels %j', (levels) => {
    expect(() => compression({ levels })).toThrow(RangeError);
  });
});

describe('what is behind compression', () => {
  async function seen(headers: Record<string, string>, method = 'GET', handlers = [compression()]) {
    let got: IncomingMessage | undefined;
    await using app = await bareApp([
      ...handlers,
      (req, res) => {
        got = req;
        res.end();
      },
    ]);
    await call(app.url, { method, headers });
    const { rawHeaders = [], headers: named = {} } = got ?? {};
    return { named, raw: rawHeaders };
  }

  it('is asked for identity', async () => {
    for (const headers of [{}, { 'Accept-Encoding': 'gzip' }] as Record<string, string>[]) {
      const { named, raw } = await seen(headers);
      expect([named['accept-encoding'], raw.filter((each) => /accept-encoding/i.test(each)).length]).toEqual([
        'identity',
        1,
      ]);
    }
  });

  it.each([
    ['GET', 'gzip', '"a;coded=gzip", "b"', '"a", "b"'],
    ['GET', 'br', '"a;coded=gzip"', '"a;coded=gzip"'],
    ['GET', 'identity', '"a;coded=gzip"', '"a;coded=gzip"'],
    ['PUT', 'br', '"a;coded=gzip"', '"a"'],
  ])('of a %s with %s and If-None-Match %s sees %s', async (method, coding, sent, got) => {
    const { named, raw } = await seen({ 'Accept-Encoding': coding, 'If-None-Match': sent }, method);
    expect([named['if-none-match'], raw[raw.indexOf('If-None-Match') + 1]]).toEqual([got, got]);
  });

  it('sees its own tag in If-Match, also on a route without compression', async () => {
    for (const handler of [compression(), codedTags()]) {
      const { named } = await seen({ 'If-Match': '"a;coded=zstd"', 'If-Range': '"a;coded=zstd"' }, 'PUT', [
        handler,
      ]);
      expect([named['if-match'], named['if-range']]).toEqual(['"a"', '"a;coded=zstd"']);
    }
  });

  it('gives a 304 the tag of the response that the client has', async () => {
    const write: Write = (_req, res) => void res.writeHead(304, { ETag: '"a"' }).end();
    const tags = ['"a;coded=gzip"', '"a"', '"b;coded=gzip", "a"'];
    const got = await Promise.all(
      tags.map((tag) => ask(write, { headers: { 'Accept-Encoding': 'gzip', 'If-None-Match': tag } })),
    );
    expect(got.map(({ headers }) => headers.etag)).toEqual(['"a;coded=gzip"', '"a"', '"a"']);
    expect(got.map(({ headers }) => headers.vary)).toEqual(Array(3).fill('Accept-Encoding'));
  });
});
