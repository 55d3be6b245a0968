// Clients that keep their connections and take turns: `node clients.ts ORIGIN CONNECTIONS AT_A_TIME LEAD_IN SECONDS`.
// Each asks at least once in the lead-in, of so many seconds. A line says when that is over; after SIGUSR2 they ask
// again, and a second line has the figures. No request is ended half-way. They stay until the process is ended.
import { once } from 'node:events';
import { Client } from './client.ts';
import { Lines } from './lines.ts';
import { percentiles } from './percentiles.ts';
import { Row } from './row.ts';

/** Handshakes under way at a time. */
const OPENING = 200;

const {
  BENCH_METHOD = 'GET',
  BENCH_PATH = '/',
  BENCH_DISTINCT,
  BENCH_TOKEN,
  BENCH_BODY_BYTES = '0',
} = process.env;
const { BENCH_PATHS, BENCH_TOKENS } = process.env;
const [origin = '', ...counts] = process.argv.slice(2);
const [connections = 1, atATime = 1, leadInSeconds = 1, seconds = 1] = counts.map(Number);
const { host, hostname, port } = new URL(origin);
const paths = BENCH_PATHS === undefined ? undefined : new Lines(BENCH_PATHS);
const tokens = BENCH_TOKENS === undefined ? undefined : new Lines(BENCH_TOKENS);
const bodyBytes = Number(BENCH_BODY_BYTES);
const body = bodyBytes > 0 ? Buffer.alloc(bodyBytes, 'x') : undefined;
const content = body ? `Content-Type: text/plain\r\nContent-Length: ${bodyBytes}\r\n` : '';
const fields = `HTTP/1.1\r\nHost: ${host}\r\nUser-Agent: bench\r\nAccept: */*\r\n${content}`;
const authorization = BENCH_TOKEN ? `Authorization: Bearer ${BENCH_TOKEN}\r\n` : '';
let count = 0;

const clients = await openAll();
const begun = once(process, 'SIGUSR2');
// Keeps the process while it waits.
setInterval(() => {}, 60_000);
await load(leadInSeconds, connections);
print({ ready: true });
await begun;
print(await load(seconds, 1));
paths?.keepPlace();
tokens?.keepPlace();

async function openAll(): Promise<Client[]> {
  const shared = Client.buffer();
  const opened: Client[] = [];
  while (opened.length < connections) {
    const length = Math.min(OPENING, connections - opened.length);
    const next = Array.from({ length }, () => new Client(Number(port), hostname, shared));
    await Promise.all(next.map((client) => client.opened));
    opened.push(...next);
  }
  return opened;
}

/** Asks for a while, and at least so many times. Who has been answered comes last in the row. */
async function load(forSeconds: number, atLeast: number) {
  const row = new Row(clients);
  const latenciesMs: number[] = [];
  const startedAtMs = performance.now();
  const untilMs = startedAtMs + forSeconds * 1000;
  let asked = 0;
  let notOk = 0;
  let broken = 0;

  function askNext(done: () => void): void {
    const sentAtMs = performance.now();
    if (asked >= atLeast && sentAtMs >= untilMs) {
      done();
      return;
    }
    asked += 1;
    const client = row.take();
    client.ask(head(), body, (status) => {
      if (status >= 400) notOk += 1;
      if (Number.isNaN(status)) {
        broken += 1;
        done();
      } else {
        latenciesMs.push(performance.now() - sentAtMs);
        row.add(client);
        askNext(done);
      }
    });
  }

  await Promise.all(Array.from({ length: atATime }, () => new Promise<void>(askNext)));
  const spent = (performance.now() - startedAtMs) / 1000;
  return { requests: latenciesMs.length, seconds: spent, notOk, broken, ...percentiles(latenciesMs) };
}

function head(): string {
  const path = paths?.next() ?? BENCH_PATH;
  const query = BENCH_DISTINCT ? `?page=${BENCH_DISTINCT}.${count++}` : '';
  const field = tokens ? `Authorization: Bearer ${tokens.next()}\r\n` : authorization;
  return `${BENCH_METHOD} ${path}${query} ${fields}${field}\r\n`;
}

function print(line: object): void {
  process.stdout.write(`${JSON.stringify(line)}\n`);
}
