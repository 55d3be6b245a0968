// Clients that have each asked at least once and keep their connection: `node idleClients.ts URL CONNECTIONS`. It says
// how many there are, once that is all of them or no more will come, and stays until it is ended.
import { connect, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';

/** Handshakes and requests under way at a time. */
const AT_A_TIME = 200;
/** Servers drop a client that is idle for longer: Node's do after 5 s. */
const ASK_AGAIN_MS = 2_500;
const GIVE_UP_MS = 30_000;

const { BENCH_TOKEN } = process.env;
const url = new URL(process.argv[2] ?? '');
const total = Number(process.argv[3]);
const head = [
  `GET ${url.pathname} HTTP/1.1`,
  `Host: ${url.host}`,
  ...(BENCH_TOKEN ? [`Authorization: Bearer ${BENCH_TOKEN}`] : []),
  '\r\n',
].join('\r\n');

const sockets = new Set<Socket>();
let begun = 0;
let refused = 0;

await Promise.all(Array.from({ length: AT_A_TIME }, openSome));
const giveUpAtMs = performance.now() + GIVE_UP_MS;
const answeredAtMs = new Map<Socket, number>();
// All connections are there; now each of them asks, and again before it would be dropped, until all have.
while (answeredAtMs.size < total && sockets.size === total && performance.now() < giveUpAtMs) {
  const due = [...sockets].filter(
    (socket) => performance.now() - (answeredAtMs.get(socket) ?? 0) > ASK_AGAIN_MS,
  );
  for (let i = 0; i < due.length; i += AT_A_TIME) await Promise.all(due.slice(i, i + AT_A_TIME).map(ask));
  await sleep(1);
}
process.stdout.write(`${JSON.stringify({ answered: answeredAtMs.size, refused, open: sockets.size })}\n`);
setInterval(() => {}, 60_000);

async function openSome(): Promise<void> {
  while (begun < total) {
    begun += 1;
    await open();
  }
}

function open(): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  const socket = connect(Number(url.port), url.hostname, () => {
    sockets.add(socket);
    resolve();
  });
  socket
    .on('error', () => {})
    .once('close', () => {
      sockets.delete(socket);
      resolve();
    });
  return promise;
}

/** Resolves when the first piece of the answer is there, or the connection breaks. */
function ask(socket: Socket): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  socket.once('data', (answer: Buffer) => {
    if (answer.toString('latin1').startsWith('HTTP/1.1 200 ')) answeredAtMs.set(socket, performance.now());
    else refused += 1;
    resolve();
  });
  socket.once('close', resolve).write(head);
  return promise.finally(() => socket.off('close', resolve));
}
