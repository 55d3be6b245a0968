import { openSync, writeSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';

/**
 * One replica of a service, to be stopped, killed and frozen: `node replica.ts <file> [port]`. Tells its parent its port,
 * by default any that is free.
 */
const [, , recordPath = '', port = '0'] = process.argv;
const record = openSync(recordPath, 'a');

const server = createServer((req, res) => {
  const { searchParams } = new URL(req.url ?? '', 'http://replica');
  const id = searchParams.get('id');
  // On disk before anything is answered: the record outlives the process.
  if (id !== null) writeSync(record, `${id}\n`);
  req.resume().once('end', () => {
    const status = Number(searchParams.get('status') ?? 200);
    setTimeout(() => res.writeHead(status).end('ok'), Number(searchParams.get('delayMs') ?? 1));
  });
});
server.keepAliveTimeout = 60_000;
server.listen(Number(port), '127.0.0.1', () => process.send?.((server.address() as AddressInfo).port));
// As a service should: what is under way is finished, and no connection outlives its answer.
process.once('SIGTERM', () => server.close(() => process.exit()));
process.once('disconnect', () => process.exit());
