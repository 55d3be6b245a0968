import { describe, expect, it } from '@jest/globals';
import type { Request, RequestHandler, Response } from 'express';
import { cache } from '../../../lib/cache/middleware.ts';
import { GatheringRoom } from '../../../lib/cache/stored/gatheringRoom.ts';
import { asOrigin } from '../../support/asOrigin.ts';
import { call, open } from '../../support/clients/client.ts';
import { eventually } from '../../support/eventually.ts';
import { bareApp } from '../../support/gateway/bareApp.ts';
import { ManualClock } from '../../support/manualClock.ts';
import { memoryStore } from '../../support/stores/memoryStore.ts';

const ROOM_BYTES = 1_500;
const HALF = 'x'.repeat(500);

/** A cache with room for one response of 1,000 bytes at a time, and a service that the test speaks for. */
async function startWorld() {
  const clock = new ManualClock();
  const calls: { readonly req: Request; readonly res: Response }[] = [];
  const origin: RequestHandler = (req, res) => void calls.push({ req, res });
  let declined = 0;
  const handler = cache({
    store: memoryStore(clock),
    origin: asOrigin(origin),
    defaultTtlMs: 30_000,
    maxBodyBytes: 10_000,
    room: new GatheringRoom(ROOM_BYTES),
    onDeclined: () => {
      declined += 1;
    },
    clock,
  });
  const app = await bareApp([handler]);
  /** The service's call for a request to `path`, which has just been sent. */
  async function called(count: number): Promise<Response> {
    await eventually(`${count} calls`, () => calls.length === count);
    return calls[count - 1]?.res as Response;
  }
  const url = (path: string) => new URL(path, app.url);
  return {
    url,
    called,
    declined: () => declined,
    [Symbol.asyncDispose]: () => app[Symbol.asyncDispose](),
  };
}

const SHARED = { 'Cache-Control': 'public, max-age=60' };

/** Half of a response of 1,000 bytes. */
function begin(res: Response, length: Record<string, string> = { 'Content-Length': '1000' }): void {
  res.writeHead(200, { ...SHARED, ...length });
  res.write(HALF);
}

async function isStored(world: Awaited<ReturnType<typeof startWorld>>, path: string): Promise<boolean> {
  const { headers } = await call(world.url(path), { headers: { 'Cache-Control': 'only-if-cached' } });
  return headers['x-cache'] === 'HIT';
}

describe('responses on their way into the cache', () => {
  it('pass on without being stored when there is no room', async () => {
    await using world = await startWorld();
    const first = call(world.url('/first'));
    const one = await world.called(1);
    begin(one);
    const second = call(world.url('/second'));
    const two = await world.called(2);
    begin(two);
    two.end(HALF);
    expect((await second).body.length).toBe(1_000);
    one.end(HALF);
    expect((await first).body.length).toBe(1_000);
    expect(await isStored(world, '/first')).toBe(true);
    expect(await isStored(world, '/second')).toBe(false);
    expect(world.declined()).toBe(1);
  });

  it('in chunks take room as they grow, and pass on when there is no more', async () => {
    await using world = await startWorld();
    const first = call(world.url('/first'));
    const one = await world.called(1);
    begin(one, {});
    for (let n = 0; n < 3; n += 1) one.write(HALF);
    one.end();
    expect((await first).body.length).toBe(2_000);
    expect(await isStored(world, '/first')).toBe(false);
    expect(world.declined()).toBe(1);
  });

  it('are stored again once the room is free, the very next time', async () => {
    await using world = await startWorld();
    const first = call(world.url('/first'));
    const one = await world.called(1);
    begin(one);
    const declined = call(world.url('/second'));
    (await world.called(2)).writeHead(200, { ...SHARED, 'Content-Length': '1000' }).end(HALF + HALF);
    await declined;
    one.end(HALF);
    await first;
    const again = call(world.url('/second'));
    (await world.called(3)).writeHead(200, { ...SHARED, 'Content-Length': '1000' }).end(HALF + HALF);
    await again;
    expect(await isStored(world, '/second')).toBe(true);
  });

  it('give their room back when they break off', async () => {
    await using world = await startWorld();
    const first = call(world.url('/first'));
    const one = await world.called(1);
    begin(one);
    one.destroy();
    await expect(first).rejects.toThrow();
    const second = call(world.url('/second'));
    (await world.called(2)).writeHead(200, { ...SHARED, 'Content-Length': '1000' }).end(HALF + HALF);
    await second;
    expect(await isStored(world, '/second')).toBe(true);
  });

  it('give their room back when nobody waits for them any more', async () => {
    await using world = await startWorld();
    // Who asks with `no-cache` asks for nobody else.
    const client = open(world.url('/first'), { headers: { 'Cache-Control': 'no-cache' } });
    client.end();
    const one = await world.called(1);
    begin(one);
    await eventually('it has begun', () => one.headersSent);
    client.destroy();
    await eventually('it is closed', () => one.closed || one.destroyed);
    const second = call(world.url('/second'));
    (await world.called(2)).writeHead(200, { ...SHARED, 'Content-Length': '1000' }).end(HALF + HALF);
    await second;
    expect(await isStored(world, '/second')).toBe(true);
  });
});
