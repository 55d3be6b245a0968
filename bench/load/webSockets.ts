// Clients that each send a message and wait for its echo: `node webSockets.ts URL CONNECTIONS SECONDS`.
import WebSocket from 'ws';
import { percentiles } from './percentiles.ts';

const MESSAGE = 'x'.repeat(64);
const { BENCH_TOKEN } = process.env;
const [url = '', connections, seconds] = process.argv.slice(2);
const headers = BENCH_TOKEN ? { Authorization: `Bearer ${BENCH_TOKEN}` } : {};

const latenciesMs: number[] = [];
let broken = 0;
let over = false;

const sockets = await Promise.all(Array.from({ length: Number(connections) }, open));
const startedAtMs = performance.now();
for (const socket of sockets) talk(socket);
setTimeout(finish, Number(seconds) * 1000);

function open(): Promise<WebSocket> {
  const { promise, resolve, reject } = Promise.withResolvers<WebSocket>();
  const socket = new WebSocket(url, { headers, perMessageDeflate: false });
  socket.once('open', () => resolve(socket)).once('error', reject);
  socket.on('close', () => {
    if (!over) broken += 1;
  });
  return promise;
}

function talk(socket: WebSocket): void {
  let sentAtMs = 0;
  const send = () => {
    sentAtMs = performance.now();
    socket.send(MESSAGE);
  };
  socket.on('message', (message) => {
    if (String(message) !== MESSAGE) broken += 1;
    latenciesMs.push(performance.now() - sentAtMs);
    if (!over) send();
  });
  send();
}

function finish(): void {
  over = true;
  const figures = {
    requests: latenciesMs.length,
    seconds: (performance.now() - startedAtMs) / 1000,
    notOk: 0,
    broken,
    ...percentiles(latenciesMs),
  };
  process.stdout.write(`${JSON.stringify(figures)}\n`, () => process.exit(0));
}
