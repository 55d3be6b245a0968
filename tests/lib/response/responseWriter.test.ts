import type { ServerResponse } from 'node:http';
import { describe, expect, it } from '@jest/globals';
import type { RequestHandler } from 'express';
import { fieldValues } from '../../../lib/http/fields.ts';
import { chunkOf } from '../../../lib/response/givenHead.ts';
import type { ResponseObserver } from '../../../lib/response/hooks.ts';
import { writerOf } from '../../../lib/response/responseWriter.ts';
import { type CallResponse, call } from '../../support/clients/client.ts';
import { eventually } from '../../support/eventually.ts';
import { bareApp } from '../../support/gateway/bareApp.ts';

/** What an observer has seen of one response. */
class Seen implements ResponseObserver {
  heads: { status: number; fields: string[] }[] = [];
  chunks: Buffer[] = [];
  ends = 0;

  head(status: number, fields: string[]): void {
    this.heads.push({ status, fields });
  }
  content(chunk: Buffer): void {
    this.chunks.push(chunk);
  }
  end(): void {
    this.ends += 1;
  }
  get body(): string {
    return Buffer.concat(this.chunks).toString('latin1');
  }
}

interface Tapped {
  readonly seen: Seen;
  readonly answer: CallResponse;
}

/** The same answer as a client gets it and as an observer sees it. */
async function tapped(write: (res: ServerResponse) => void, method = 'GET'): Promise<Tapped> {
  const seen = new Seen();
  const taps: RequestHandler = (_req, res, next) => {
    writerOf(res).observe(seen);
    next();
  };
  await using app = await bareApp([taps, (_req, res) => write(res)]);
  const answer = await call(app.url, { method });
  await eventually('the end', () => app.responses[0]?.closed);
  return { seen, answer };
}

/** Without what Node adds on the wire: date and framing. */
function own(fields: readonly string[]): string[] {
  const added = new Set(['date', 'connection', 'keep-alive', 'transfer-encoding']);
  return fields.filter((_, i) => !added.has((fields[i - (i % 2)] as string).toLowerCase()));
}

describe('an observer sees the head', () => {
  const heads: { name: string; write: (res: ServerResponse) => void; status?: number; fields: string[] }[] = [
    {
      name: 'writeHead with an object',
      write: (res) => void res.writeHead(201, { 'X-A': '1', 'x-b': ['2', '3'] }).end(),
      status: 201,
      fields: ['X-A', '1', 'x-b', '2', 'x-b', '3'],
    },
    {
      name: 'writeHead with an array',
      write: (res) => void res.writeHead(200, ['Set-Cookie', 'a=1', 'X-A', '1', 'Set-Cookie', 'b=2']).end(),
      fields: ['Set-Cookie', 'a=1', 'X-A', '1', 'Set-Cookie', 'b=2'],
    },
    {
      name: 'writeHead with an array of pairs',
      write: (res) =>
        void res
          .writeHead(200, [
            ['X-A', '1'],
            ['X-B', '2'],
          ] as unknown as string[])
          .end(),
      fields: ['X-A', '1', 'X-B', '2'],
    },
    {
      name: 'writeHead with an array that holds lists',
      write: (res) => void res.writeHead(200, ['Set-Cookie', ['a=1', 'b=2'], 'X-A', '1']).end(),
      fields: ['Set-Cookie', 'a=1', 'Set-Cookie', 'b=2', 'X-A', '1'],
    },
    {
      name: 'writeHead with numbers',
      write: (res) => void res.writeHead(200, { 'X-A': 1 }).end(),
      fields: ['X-A', '1'],
    },
    {
      name: 'writeHead with a reason and fields',
      write: (res) => void res.writeHead(418, 'Short and stout', { 'X-A': '1' }).end(),
      status: 418,
      fields: ['X-A', '1'],
    },
    {
      name: 'writeHead with a reason alone',
      write: (res) => void res.writeHead(418, 'Short and stout').end(),
      status: 418,
      fields: [],
    },
    {
      name: 'writeHead with a status alone',
      write: (res) => void res.writeHead(204).end(),
      status: 204,
      fields: [],
    },
    {
      name: 'setHeader before an implicit head',
      write: (res) => {
        res.statusCode = 202;
        res.setHeader('X-Odd-CASE', 'a');
        res.setHeader('Set-Cookie', ['a=1', 'b=2']);
        res.write('x');
        res.end();
      },
      status: 202,
      fields: ['X-Odd-CASE', 'a', 'Set-Cookie', 'a=1', 'Set-Cookie', 'b=2'],
    },
    {
      name: 'setHeader before writeHead with an object',
      write: (res) => {
        res.setHeader('X-A', 'before');
        res.setHeader('X-B', 'before');
        res.writeHead(200, { 'x-b': 'after', 'X-C': 'after' }).end();
      },
      fields: ['X-A', 'before', 'x-b', 'after', 'X-C', 'after'],
    },
    {
      name: 'setHeader before writeHead with an array',
      write: (res) => {
        res.setHeader('X-A', 'before');
        res.setHeader('Set-Cookie', 'before=1');
        res.writeHead(200, ['Set-Cookie', 'a=1', 'X-B', 'after', 'Set-Cookie', 'b=2']).end();
      },
      fields: ['X-A', 'before', 'Set-Cookie', 'a=1', 'Set-Cookie', 'b=2', 'X-B', 'after'],
    },
    {
      name: 'appendHeader and setHeaders',
      write: (res) => {
        res.setHeaders(new Map([['X-A', '1']]));
        res.appendHeader('X-B', '2');
        res.appendHeader('X-B', '3');
        res.end();
      },
      fields: ['X-A', '1', 'X-B', '2', 'X-B', '3'],
    },
    {
      name: 'flushHeaders',
      write: (res) => {
        res.setHeader('X-A', '1');
        res.flushHeaders();
        setImmediate(() => res.end());
      },
      fields: ['X-A', '1'],
    },
  ];

  it.each(heads)('$name', async ({ write, status = 200, fields }) => {
    const { seen, answer } = await tapped(write);
    expect(seen.heads).toEqual([{ status, fields }]);
    expect(answer.status).toBe(status);
    const received = own(answer.fields);
    expect(received.filter((_, i) => received[i - (i % 2)] !== 'Content-Length')).toEqual(fields);
  });

  it('sees no head that Node refused', async () => {
    const { seen, answer } = await tapped((res) => {
      expect(() => res.writeHead(99)).toThrow(RangeError);
      expect(() => res.writeHead(200, { 'X-A': 'a\u0000b' })).toThrow();
      res.writeHead(500).end();
    });
    expect(seen.heads.map(({ status }) => status)).toEqual([500]);
    expect(answer.status).toBe(500);
  });
});

describe('an observer sees the content', () => {
  const contents: { name: string; write: (res: ServerResponse) => void; body: string }[] = [
    { name: 'end alone', write: (res) => void res.end('all'), body: 'all' },
    { name: 'no content', write: (res) => void res.end(), body: '' },
    {
      name: 'writes and an end',
      write: (res) => {
        res.write('one ');
        res.write(Buffer.from('two '));
        res.write(new Uint8Array([0x33, 0x20]));
        res.end('four');
      },
      body: 'one two 3 four',
    },
    { name: 'an end with a callback alone', write: (res) => void res.end(() => {}), body: '' },
    { name: 'an end with content and callback', write: (res) => void res.end('all', () => {}), body: 'all' },
    { name: 'latin1', write: (res) => void res.end('\u00e9', 'latin1'), body: '\u00e9' },
    { name: 'utf8', write: (res) => void res.end('\u00e9', 'utf8'), body: '\u00c3\u00a9' },
    { name: 'hex', write: (res) => void res.end('ff00', 'hex'), body: '\u00ff\u0000' },
    {
      name: 'base64 with a callback',
      write: (res) => void res.write('/wA=', 'base64', () => res.end()),
      body: '\u00ff\u0000',
    },
    {
      name: 'empty chunks',
      write: (res) => {
        res.write('');
        res.write(Buffer.alloc(0));
        res.end('x');
      },
      body: 'x',
    },
  ];

  it.each(contents)('$name', async ({ write, body }) => {
    const { seen, answer } = await tapped(write);
    expect(seen.body).toBe(body);
    expect(answer.body.toString('latin1')).toBe(body);
    expect(seen.heads).toHaveLength(1);
    expect(seen.ends).toBe(1);
    expect(seen.chunks.every((chunk) => chunk.length > 0)).toBe(true);
  });

  it('tells write and end to return what they always do', async () => {
    const returned: unknown[] = [];
    const { answer } = await tapped((res) => {
      returned.push(res.writeHead(200) === res, typeof res.write('a'), res.end('b') === res);
    });
    expect(returned).toEqual([true, 'boolean', true]);
    expect(answer.body.toString()).toBe('ab');
  });

  it('sees one end, though a handler ends twice', async () => {
    const { seen } = await tapped((res) => {
      res.end('once');
      res.end();
    });
    expect(seen).toMatchObject({ ends: 1, body: 'once' });
  });

  it('sees no end of a response that is cut short', async () => {
    const seen = new Seen();
    await using app = await bareApp([
      (_req, res, next) => {
        writerOf(res).observe(seen);
        next();
      },
      (_req, res) => void res.write('a beginning', () => res.destroy()),
    ]);
    await expect(call(app.url)).rejects.toThrow();
    expect(seen).toMatchObject({ ends: 0, body: 'a beginning' });
  });

  it('has room for two', async () => {
    const outer = new Seen();
    const { seen, answer } = await tapped((res) => {
      writerOf(res).observe(outer);
      res.writeHead(200, { 'X-A': '1' });
      res.end('all');
    });
    expect(outer).toEqual(seen);
    expect(answer.body.toString()).toBe('all');
  });
});

describe('an added field', () => {
  const handlers: { name: string; write: (res: ServerResponse) => void }[] = [
    { name: 'nothing', write: (res) => void res.end('x') },
    {
      name: 'an object',
      write: (res) => void res.writeHead(200, { 'x-a': 'theirs', 'X-B': 'theirs' }).end(),
    },
    { name: 'a list', write: (res) => void res.writeHead(200, ['X-A', 'theirs', 'x-b', 'theirs']).end() },
    {
      name: 'a list of pairs',
      write: (res) => void res.writeHead(200, [['x-a', 'theirs']] as unknown as string[]).end(),
    },
    { name: 'what is set', write: (res) => void res.setHeader('x-A', 'theirs').end() },
    {
      name: 'what is set and an object',
      write: (res) => void res.setHeader('X-C', 'theirs').writeHead(200, { 'X-A': 'theirs' }).end(),
    },
    { name: 'a head of a chain', write: (res) => writerOf(res).head(200, 'OK', ['X-A', 'theirs']) },
  ];

  it.each(handlers)('takes the place of $name', async ({ write }) => {
    await using app = await bareApp([
      (_req, res, next) => {
        writerOf(res).replace('X-A', (status) => `ours, for ${status}`);
        writerOf(res).add('X-D', 'ours');
        next();
      },
      (_req, res) => {
        write(res);
        res.end();
      },
    ]);
    const { fields } = await call(app.url);
    expect(fieldValues(fields, 'x-a')).toEqual(['ours, for 200']);
    expect(fieldValues(fields, 'x-d')).toEqual(['ours']);
  });

  it('stands beside what others say under its name', async () => {
    await using app = await bareApp((_req, res) => {
      writerOf(res).add('Server-Timing', 'ours');
      res.setHeader('Server-Timing', 'theirs').end();
    });
    const { fields } = await call(app.url);
    expect(fieldValues(fields, 'server-timing')).toEqual(['theirs', 'ours']);
  });
});

it('leaves nothing of a head that cannot be sent', async () => {
  await using app = await bareApp((_req, res) => {
    const writer = writerOf(res);
    writer.add('X-Added', 'once');
    expect(() => writer.head(200, 'Fine', ['X-Good', 'a', 'X-Bad', 'a\u0000'])).toThrow();
    res.setHeader('X-Set', 'ours');
    expect(() => writer.head(200, 'Fine', ['X-Good', 'a', 'X-Bad', 'a\u0000'])).toThrow();
    writer.whole(500, ['X-Last', 'b']);
  });
  const { status, reason, fields } = await call(app.url);
  expect([status, reason, ...own(fields)]).toEqual([
    500,
    'Internal Server Error',
    'X-Set',
    'ours',
    'X-Last',
    'b',
    'X-Added',
    'once',
  ]);
});

describe('chunkOf', () => {
  it.each([
    { name: 'nothing', args: [], out: undefined },
    { name: 'null', args: [null], out: undefined },
    { name: 'a callback', args: [() => {}], out: undefined },
    { name: 'text', args: ['a'], out: 'a' },
    { name: 'text and a callback', args: ['a', () => {}], out: 'a' },
    { name: 'base64 text', args: ['YQ==', 'base64'], out: 'a' },
  ])('reads $name', ({ args, out }) => {
    expect(chunkOf(args)?.toString()).toBe(out);
  });

  it('copies no buffer', () => {
    const buffer = Buffer.from('a');
    expect(chunkOf([buffer])).toBe(buffer);
  });
});
