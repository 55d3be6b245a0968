import { spawn } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { Resolver } from 'node:dns/promises';
import { once } from 'node:events';
import { eventually } from '../eventually.ts';
import { ensureCommand } from '../processes/command.ts';

/** A real DNS server on loopback, dnsmasq, that knows of `.test` what it is told and refuses all else. */
export interface DnsServer extends AsyncDisposable {
  /** `127.0.0.1:<port>`. */
  readonly address: string;
}

const TRIES = 5;

/** `records` are dnsmasq's own options: `--host-record=a.test,127.0.0.1`, `--srv-host=_http._tcp.a,a.test,80`. */
export async function startDnsServer(records: readonly string[]): Promise<DnsServer> {
  ensureCommand('dnsmasq', 'dnsmasq-base');
  for (let tries = 1; ; tries += 1) {
    // It listens for TCP on the same port, which somebody else may have.
    const server = await tryPort(await freeUdpPort(), records);
    if (server) return server;
    if (tries === TRIES) throw new Error(`dnsmasq found no port in ${TRIES} tries`);
  }
}

async function tryPort(port: number, records: readonly string[]): Promise<DnsServer | undefined> {
  const own = [
    '--keep-in-foreground',
    '--no-hosts',
    '--no-resolv',
    '--bind-interfaces',
    '--user=root',
    '--pid-file=',
  ];
  const where = ['--listen-address=127.0.0.1', `--port=${port}`, '--conf-file=/dev/null', '--local=/test/'];
  const child = spawn('dnsmasq', [...own, ...where, ...records], { stdio: 'ignore' });
  const exited = once(child, 'exit');
  const address = `127.0.0.1:${port}`;
  const listens = await Promise.race([
    exited.then(() => false),
    eventually('dnsmasq answers', () => child.exitCode !== null || answers(address)),
  ]);
  if (!listens || child.exitCode !== null) return undefined;
  return {
    address,
    async [Symbol.asyncDispose]() {
      child.kill();
      await exited;
    },
  };
}

/** Port of a server that may be started later. */
export async function freeUdpPort(): Promise<number> {
  const socket = createSocket('udp4').bind(0, '127.0.0.1');
  await once(socket, 'listening');
  const { port } = socket.address();
  socket.close();
  await once(socket, 'close');
  return port;
}

async function answers(address: string): Promise<boolean> {
  const resolver = new Resolver({ timeout: 200, tries: 1 });
  resolver.setServers([address]);
  const answer = await resolver.resolve4('nothing.test').catch((error: NodeJS.ErrnoException) => error.code);
  return answer !== 'ECONNREFUSED' && answer !== 'ETIMEOUT';
}
