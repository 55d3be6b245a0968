import { Agent } from 'node:http';
import { describe, expect, it } from '@jest/globals';
import type { RequestHandler } from 'express';
import { cache } from '../../../../lib/cache/middleware.ts';
import { Channels } from '../../../../lib/store/channels.ts';
import { MemoryStore } from '../../../../lib/store/memory/memory.ts';
import { Sightings } from '../../../../lib/store/memory/sightings.ts';
import { asOrigin } from '../../../support/asOrigin.ts';
import { call } from '../../../support/clients/client.ts';
import { bareApp } from '../../../support/gateway/bareApp.ts';
import { ManualClock } from '../../../support/manualClock.ts';

/** Room for some 30 small answers. */
const MAX_BYTES = 32 * 1024;
/** Far more than there is room for, and enough to judge by. */
const MANY = 1_000;
const MINUTE_MS = 60_000;
const CONTENT = 'x'.repeat(200);

/** A cache that holds little, and a service that answers whatever it is asked. */
async function startWorld(answer: RequestHandler = (_req, res) => void res.end(CONTENT)) {
  const clock = new ManualClock();
  const store = new MemoryStore({ maxBytes: MAX_BYTES, channels: new Channels(() => {}), clock });
  const app = await bareApp([
    cache({
      store,
      origin: asOrigin(answer),
      defaultTtlMs: MINUTE_MS,
      maxBodyBytes: 10_000,
      clock,
    }),
  ]);
  let asked = 0;
  const agent = new Agent({ keepAlive: true });
  async function ask(path: string, method = 'GET'): Promise<string> {
    const { headers } = await call(new URL(path, app.url), { agent, method });
    return String(headers['cache-status']);
  }
  /** How many of so many answers are stored to URLs of which none was ever asked for. */
  async function crawl(pages: number): Promise<number> {
    let stored = 0;
    for (let page = 0; page < pages; page += 1) {
      asked += 1;
      if ((await ask(`/page?number=${asked}`)).includes('stored')) stored += 1;
    }
    return stored;
  }
  return {
    ask,
    crawl,
    store,
    async [Symbol.asyncDispose]() {
      agent.destroy();
      await app[Symbol.asyncDispose]();
    },
  };
}

describe('a full cache', () => {
  it('takes in everything while it has room', async () => {
    await using world = await startWorld();
    expect(await world.crawl(20)).toBe(20);
  });

  it('stops storing for a crawler', async () => {
    await using world = await startWorld();
    await world.crawl(MANY);
    // A few pages pass for some that were asked for before.
    expect(await world.crawl(320)).toBeLessThan(20);
  });

  it('stores what is asked for again, and keeps it from the crawler', async () => {
    await using world = await startWorld();
    await world.crawl(MANY);
    expect(await world.ask('/popular')).toBe('gateway; fwd=uri-miss');
    expect(await world.ask('/popular')).toBe('gateway; fwd=uri-miss; stored');
    // Ten times as many as there is room for.
    await world.crawl(300);
    expect(await world.ask('/popular')).toBe('gateway; hit; ttl=60');
  });

  it('goes on storing at first sight as long as some of what leaves has been used', async () => {
    await using world = await startWorld();
    for (let item = 0; item < MANY; item += 1) {
      await world.ask(`/item?number=${item}`);
      if (item % 10 === 0) expect(await world.ask(`/item?number=${item}`)).toContain('hit');
    }
    expect(await world.crawl(100)).toBe(100);
  });

  it('counts what is asked after, and still good, as used', async () => {
    await using world = await startWorld((req, res) => {
      res.setHeader('ETag', '"a"').setHeader('Cache-Control', 'no-cache');
      if (req.headers['if-none-match'] === '"a"') res.writeHead(304).end();
      else res.end(CONTENT);
    });
    for (let item = 0; item < MANY; item += 1) {
      await world.ask(`/item?number=${item}`);
      if (item % 5 === 0) expect(await world.ask(`/item?number=${item}`)).toContain('fwd-status=304');
    }
    expect(await world.crawl(50)).toBe(50);
  });

  it('does not count a HEAD as asking for what it could store', async () => {
    await using world = await startWorld();
    await world.crawl(MANY);
    expect(await world.ask('/once', 'HEAD')).toBe('gateway; fwd=uri-miss');
    expect(await world.ask('/once')).toBe('gateway; fwd=uri-miss');
    expect(await world.ask('/once')).toBe('gateway; fwd=uri-miss; stored');
  });

  it('is full with a few large responses, too', async () => {
    await using world = await startWorld((_req, res) => void res.end('x'.repeat(9_000)));
    await world.crawl(MANY);
    expect(await world.crawl(320)).toBeLessThan(20);
  });

  it('takes in everything again once there is room', async () => {
    await using world = await startWorld();
    await world.crawl(MANY);
    for (const { key } of world.store.all()) await world.store.delete(key);
    expect(await world.crawl(20)).toBe(20);
  });

  it.each([1, 5])('stores at first sight again when one URL of %d is asked for twice', async (oneIn) => {
    await using world = await startWorld();
    await world.crawl(MANY);
    for (let item = 0; item < MANY; item += 1) {
      await world.ask(`/item?number=${item}`);
      if (item % oneIn === 0) await world.ask(`/item?number=${item}`);
    }
    expect(await world.crawl(10)).toBe(10);
  });
});

describe('sightings', () => {
  it('know what was seen in this generation and in the one before', () => {
    const sightings = new Sightings(1_000);
    const names = Array.from({ length: 1_000 }, (_, index) => `/path?number=${index}`);
    for (const name of names) sightings.see(name);
    expect(names.every((name) => sightings.see(name))).toBe(true);
  });

  it('forget what was seen two generations ago', () => {
    const sightings = new Sightings(1_000);
    sightings.see('/once');
    for (let index = 0; index < 2_100; index += 1) sightings.see(`/path?number=${index}`);
    expect(sightings.see('/once')).toBe(false);
  });

  it('take hardly any name for another', () => {
    const sightings = new Sightings(10_000);
    let mistaken = 0;
    for (let index = 0; index < 100_000; index += 1) {
      if (sightings.see(`/users/${index}/orders?page=${index % 7}`)) mistaken += 1;
    }
    expect(mistaken).toBeLessThan(3_000);
  });
});
