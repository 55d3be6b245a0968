import type { Socket } from 'node:net';
import { describe, expect, it } from '@jest/globals';
import { sendRaw } from '../../support/clients/rawClient.ts';
import { eventually } from '../../support/eventually.ts';
import { bearer, startGateway, type TestGateway, tokenFor } from '../../support/gateway/gateway.ts';
import { PORTS, type Port } from '../../support/gateway/gatewayProcess.ts';
import { resets, startRawUpstream, type Upstream } from '../../support/upstreams/upstream.ts';

const OK = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok';

type Dies = (socket: Socket) => void;

/** A replica that answers until it is told to die: from then on it ends every connection under its request. */
async function startMortal() {
  let dies: Dies | undefined;
  const upstream = await startRawUpstream((socket) => {
    if (dies) dies(socket);
    else socket.write(OK);
  });
  const die = (how: Dies) => {
    dies = how;
  };
  return Object.assign(upstream, { die });
}

const DEATHS: readonly [how: string, Dies][] = [
  ['close', (socket) => void socket.end()],
  ['reset', (socket) => void socket.resetAndDestroy()],
];

async function ask({ external, internal }: TestGateway, port: Port, id: string): Promise<number> {
  const url = port === 'external' ? `${external}/x` : `${internal}/internal/x`;
  const headers = port === 'external' ? bearer(tokenFor('ann')) : {};
  return (await fetch(`${url}/${id}`, { headers })).status;
}

const seenBy = (replicas: readonly Upstream[], id: string) =>
  replicas.flatMap(({ requests }) => requests).filter(({ target }) => target === `/${id}`).length;

describe.each(PORTS)('on the %s port', (port) => {
  it.each(DEATHS)(
    'a GET reaches services twice at most, when all %s kept connections and new ones',
    async (_how, dies) => {
      await using a = await startMortal();
      await using b = await startMortal();
      await using gateway = await startGateway({ services: { '/x': [a, b] } });
      // Each replica has a connection that is kept.
      for (const id of ['1', '2', '3', '4']) expect(await ask(gateway, port, id)).toBe(200);
      await eventually('both were asked', () => a.requests.length > 0 && b.requests.length > 0);
      a.die(dies);
      b.die(dies);
      expect(await ask(gateway, port, 'lost')).toBe(502);
      expect(seenBy([a, b], 'lost')).toBe(2);
    },
  );

  it.each(DEATHS)(
    'a GET is sent to another replica when its own %s the kept connection, and would a new one',
    async (_how, dies) => {
      await using a = await startMortal();
      await using b = await startMortal();
      await using gateway = await startGateway({ services: { '/x': [a, b] } });
      for (const id of ['1', '2', '3', '4']) expect(await ask(gateway, port, id)).toBe(200);
      a.die(dies);
      const statuses: number[] = [];
      for (const id of ['5', '6', '7', '8']) statuses.push(await ask(gateway, port, id));
      expect(statuses).toEqual([200, 200, 200, 200]);
    },
  );

  it.each([
    { method: 'GET', times: 2 },
    { method: 'POST', times: 1 },
  ])(
    'a $method to upgrade its connection reaches services $times times at most',
    async ({ method, times }) => {
      await using a = await startRawUpstream(resets);
      await using b = await startRawUpstream(resets);
      await using c = await startRawUpstream(resets);
      await using gateway = await startGateway({ services: { '/x': [a, b, c] } });
      const own = port === 'external' ? `Authorization: ${bearer(tokenFor('ann')).Authorization}\r\n` : '';
      const target = port === 'external' ? '/x/up' : '/internal/x/up';
      const head = `${method} ${target} HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n`;
      const handshake = 'Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n';
      expect((await sendRaw(gateway[port], `${head}${handshake}${own}\r\n`)).status).toBe(502);
      expect(seenBy([a, b, c], 'up')).toBe(times);
    },
  );

  it('a GET whose replica goes while it is under way is sent to another one', async () => {
    await using a = await startMortal();
    await using b = await startMortal();
    await using gateway = await startGateway({ services: { '/x': [a, b] } });
    for (const id of ['1', '2', '3', '4']) await ask(gateway, port, id);
    // As a replica that is stopped: it closes what is kept, and nobody listens there any more.
    const gone = a[Symbol.asyncDispose];
    let left: Promise<void> | undefined;
    a.die((socket) => {
      socket.end();
      left ??= Promise.resolve(gone());
    });
    const statuses: number[] = [];
    for (const id of ['5', '6', '7', '8']) statuses.push(await ask(gateway, port, id));
    expect(statuses).toEqual([200, 200, 200, 200]);
    await left;
  });
});
