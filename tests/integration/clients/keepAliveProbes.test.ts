import { once } from 'node:events';
import { connect } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { beforeAll, describe, it } from '@jest/globals';
import { WebSocket } from 'ws';
import { CertificateFiles, makeCertificate } from '../../support/certificates.ts';
import { eventually } from '../../support/eventually.ts';
import { bearer, startGateway, tokenFor } from '../../support/gateway/gateway.ts';
import { ensureCommand, INSTALLS_WITHIN_MS, run } from '../../support/processes/command.ts';
import { startUpstream } from '../../support/upstreams/upstream.ts';
import { startSocketService } from '../../support/upstreams/webSocket.ts';

beforeAll(() => ensureCommand('ss', 'iproute2'), INSTALLS_WITHIN_MS);

/** Waits until nothing is on its way: the kernel then says when it probes these connections. */
async function expectProbed(filter: string): Promise<void> {
  await eventually('the timer of probes', async () => {
    const timers = await timersOf(filter);
    return timers.length === 1 && PROBED.test(timers[0] ?? '');
  });
}

/** What the kernel waits for on the connections that the filter finds, such as `keepalive,59sec,0`. */
async function timersOf(filter: string): Promise<string[]> {
  const { stdout } = await run('ss', ['-Htno', 'state', 'established', filter]);
  return stdout
    .toString()
    .split('\n')
    .filter(Boolean)
    .map((line) => /timer:\(([^)]*)\)/.exec(line)?.[1] ?? 'none');
}

const PROBED = /^keepalive,(1min|5\d(\.\d+)?sec|5\d sec)/;

// A client that vanished without a FIN held its permit for as long as nothing was sent to it.
describe('connections are probed after a minute', () => {
  it.each(['external', 'internal'] as const)('of clients, on the %s port', async (port) => {
    await using upstream = await startUpstream();
    await using gateway = await startGateway({ services: { '/up': [upstream] } });
    const { port: number } = new URL(gateway[port]);
    const client = connect(Number(number), '127.0.0.1');
    await once(client, 'connect');
    // It is accepted once it has been served.
    client.write('GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n');
    await once(client, 'data');
    await expectProbed(`sport = :${number}`);
    client.destroy();
  });

  it('over TLS', async () => {
    using files = new CertificateFiles();
    files.write(makeCertificate('first'));
    const env = { TLS_CERT_FILE: files.certFile, TLS_KEY_FILE: files.keyFile };
    await using upstream = await startUpstream();
    await using gateway = await startGateway({ services: { '/up': [upstream] }, env });
    const { port } = new URL(gateway.external);
    const client = connectTls({ port: Number(port), host: '127.0.0.1', rejectUnauthorized: false });
    await once(client, 'secureConnect');
    await expectProbed(`sport = :${port}`);
    client.destroy();
  });

  it('on both sides of a WebSocket', async () => {
    await using service = await startSocketService();
    await using gateway = await startGateway({ services: { '/up': [service] } });
    const { port } = new URL(gateway.external);
    const webSocket = new WebSocket(`ws://127.0.0.1:${port}/up`, { headers: bearer(tokenFor('ann')) });
    await once(webSocket, 'open');
    await expectProbed(`sport = :${port}`);
    await expectProbed(`dport = :${service.url.port}`);
    webSocket.terminate();
  });
});
