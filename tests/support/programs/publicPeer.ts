// A gateway that listens everywhere, asked on both ports from each address of its command line. Prints what came of it.
import { once } from 'node:events';
import { connect } from 'node:net';
import { text } from 'node:stream/consumers';
import { loadSettings } from '../../../config/config.ts';
import { Gateway } from '../../../gateway/gateway.ts';
import { createLogger } from '../../../lib/logging/logger.ts';

const settings = loadSettings(process.env);
const logger = createLogger({ level: 'info', format: 'json' });
const gateway = await Gateway.create({ settings, logger });
const ports = await gateway.start();

/** The status line of `/healthz`, asked from and at an address; empty when the connection was closed unheard. */
async function ask(address: string, port: number): Promise<string> {
  const socket = connect({ host: address, port, localAddress: address });
  await once(socket, 'connect');
  socket.on('error', () => {});
  socket.write('GET /healthz HTTP/1.1\r\nHost: gateway\r\nConnection: close\r\n\r\n');
  return (await text(socket).catch(() => '')).split('\r\n')[0] ?? '';
}

const answers: Record<string, [external: string, internal: string]> = {};
for (const address of process.argv.slice(2)) {
  answers[address] = [await ask(address, ports.externalPort), await ask(address, ports.internalPort)];
}
const refused = await gateway.parts.metrics.registry
  .getSingleMetric('gateway_internal_peers_refused_total')
  ?.get();
await gateway.stop();
process.stdout.write(`${JSON.stringify({ answers, refused: refused?.values[0]?.value })}\n`);
