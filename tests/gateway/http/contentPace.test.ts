import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { PacedRequest, paceContent } from '../../../gateway/http/contentPace.ts';
import { RawClient, request } from '../../support/clients/rawClient.ts';
import { eventually } from '../../support/eventually.ts';
import { ManualClock } from '../../support/manualClock.ts';

const clock = new ManualClock();
let receivedBytes = 0;
let pieces = 0;
let refused: Socket | undefined;
let hash = createHash('sha256');
const server = createServer({ IncomingMessage: PacedRequest }, (req, res) => {
  paceContent(req, res, clock);
  if (req.url === '/refused') {
    refused = req.socket;
    res.end('no');
    return;
  }
  receivedBytes = 0;
  pieces = 0;
  hash = createHash('sha256');
  req.on('data', (chunk: Buffer) => {
    receivedBytes += chunk.length;
    pieces += 1;
    hash.update(chunk);
  });
  req.on('end', () => res.end('ok'));
});
let url = '';
beforeAll(async () => {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});
afterAll(() => {
  server.close();
});

const POST = request('POST /', 'Transfer-Encoding: chunked');
const chunks = (count: number, bytes: number) =>
  `${bytes.toString(16)}\r\n${'x'.repeat(bytes)}\r\n`.repeat(count);

describe('content', () => {
  it('in 50,000 chunks of one byte is read at 10,000 a second, and all of it', async () => {
    using client = await RawClient.to(url);
    const startedMs = clock.now();
    client.send(`${POST}${chunks(50_000, 1)}0\r\n\r\n`);
    await eventually('some of it', () => receivedBytes > 0);
    await eventually('the rest', () => {
      // One tenth of a second at a time, as soon as everything has settled.
      if (!client.received) clock.advance(100);
      return client.received.includes('200 OK');
    });
    expect(receivedBytes).toBe(50_000);
    expect(clock.now() - startedMs).toBeGreaterThan(2_000);
    expect(hash.digest('hex')).toBe(createHash('sha256').update('x'.repeat(50_000)).digest('hex'));
  });

  it('is not read on before its time', async () => {
    using client = await RawClient.to(url);
    client.send(`${POST}${chunks(50_000, 1)}0\r\n\r\n`);
    await eventually('some of it', () => receivedBytes >= 2_000);
    // What has been read of the connection arrives, and no more.
    await eventually('nothing more comes', async () => {
      const before = receivedBytes;
      await sleep(20);
      return receivedBytes === before;
    });
    expect(receivedBytes).toBeLessThan(25_000);
    client.reset();
    clock.advance(60_000);
  });

  it('is held, too, when nobody wants it', async () => {
    using client = await RawClient.to(url);
    const content = chunks(200_000, 1);
    client.send(POST.replace('POST /', 'POST /refused').replace('Connection: close', 'X: y'));
    await client.answer();
    client.send(content);
    await eventually('nothing more comes', async () => {
      const before = refused?.bytesRead ?? 0;
      await sleep(50);
      return before > 10_000 && refused?.bytesRead === before;
    });
    expect(refused?.bytesRead).toBeLessThan(content.length / 2);
    client.reset();
    clock.advance(60_000);
  });

  it.each([
    ['2,000 chunks of one byte', chunks(2_000, 1)],
    ['1,000 chunks of 4 KiB', chunks(1_000, 4096)],
    ['100 MB/s of chunks of 256 bytes', chunks(40_000, 256)],
  ])('in %s is not held at all', async (_what, content) => {
    using client = await RawClient.to(url);
    client.send(`${POST}${content}0\r\n\r\n`);
    expect((await client.answer()).status).toBe(200);
  });

  it('in 2,000 chunks of one byte goes on in few pieces', async () => {
    using client = await RawClient.to(url);
    client.send(`${POST}${chunks(2_000, 1)}0\r\n\r\n`);
    expect((await client.answer()).status).toBe(200);
    expect({ receivedBytes, isFew: pieces < 20 }).toEqual({ receivedBytes: 2_000, isFew: true });
  });

  it('keeps its order where small and large chunks take turns', async () => {
    using client = await RawClient.to(url);
    const parts = [1, 1, 1, 5_000, 1, 1, 300, 1, 1].map((bytes, n) => `${n}`.repeat(bytes));
    const content = parts.map((part) => `${part.length.toString(16)}\r\n${part}\r\n`).join('');
    client.send(`${POST}${content}0\r\n\r\n`);
    expect((await client.answer()).status).toBe(200);
    expect(hash.digest('hex')).toBe(createHash('sha256').update(parts.join('')).digest('hex'));
  });

  it('leaves no timer behind', async () => {
    using client = await RawClient.to(url);
    client.send(`${POST}${chunks(100, 1)}0\r\n\r\n`);
    expect((await client.answer()).status).toBe(200);
    clock.advance(60_000);
    expect(clock.pending).toBe(0);
  });
});
