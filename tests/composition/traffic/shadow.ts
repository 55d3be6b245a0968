// A service in a thread of its own, so that what it does takes no time from whoever measures. Says its port once it listens.
import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { parentPort, workerData } from 'node:worker_threads';

const CHUNK = Buffer.alloc(64 * 1024);
const BEGINS_AFTER_MS = 50;

/** What it does with a request, by name. */
const BEHAVIOURS: Readonly<Record<string, (res: ServerResponse) => void>> = {
  answers: (res) => void res.end('ok'),
  'never answers': () => {},
  'answers late and without end': (res) => {
    const more = () => {
      while (!res.destroyed && res.write(CHUNK));
    };
    setTimeout(more, BEGINS_AFTER_MS);
    res.on('drain', more);
  },
};

const server = createServer((_req, res) => BEHAVIOURS[workerData]?.(res));
server.listen(0, '127.0.0.1', () => parentPort?.postMessage((server.address() as AddressInfo).port));
