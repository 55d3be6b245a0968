import { expect, it } from '@jest/globals';
import { RawClient, request, sendRaw } from '../../support/clients/rawClient.ts';
import { tokenFor } from '../../support/gateway/gateway.ts';
import { runGateway } from '../../support/gateway/gatewayRun.ts';
import { says, startRawUpstream, startUpstream } from '../../support/upstreams/upstream.ts';

// The ten built-in services were enough for Node to warn of a memory leak in the log: http-proxy-middleware listens
// for the end of the server once for each, and every stage of the chain for the end of each response.
it('many services, and WebSockets, cause no warning of a leak', async () => {
  await using upstream = await startUpstream();
  await using chat = await startRawUpstream(
    says('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n'),
  );
  await using refusing = await startRawUpstream(says('HTTP/1.1 418 Teapot\r\nContent-Length: 0\r\n\r\n'));
  const paths = Array.from({ length: 24 }, (_, n) => `/service${n}`);
  const services = Object.fromEntries(paths.map((path) => [path, [upstream]]));
  await using run = runGateway({ services: { ...services, '/chat': [chat], '/refusing': [refusing] } });
  const { external, internal } = await run.listening();
  for (const path of paths) expect((await fetch(`${internal}/internal${path}/x`)).status).toBe(200);
  // On the port with the longer chain.
  const authorization = `Authorization: Bearer ${tokenFor('ann')}`;
  const handshake = request('GET /chat/x', authorization, 'Connection: Upgrade', 'Upgrade: websocket');
  expect((await sendRaw(external, handshake.replace('/chat', '/refusing'))).status).toBe(418);
  using client = await RawClient.to(external);
  client.send(handshake);
  expect((await client.head()).status).toBe(101);
  client.reset();
  expect(await run.kill('SIGTERM')).toEqual({ exitCode: 0, signal: null });
  expect(run.stderr()).toBe('');
}, 30_000);
