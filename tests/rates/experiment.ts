import { connect, type Socket } from 'node:net';
import { tokenFor } from '../support/gateway/gateway.ts';
import { startGatewayProcess } from '../support/gateway/gatewayProcess.ts';
import { startRedis } from '../support/stores/redis.ts';
import { startUpstream } from '../support/upstreams/upstream.ts';
import { type Admitted, leastDue, mostTooMany, type Promised } from './promise.ts';

/** The plans of the file, as it writes them and as they are checked. */
const PLANS = {
  free: { written: { limit: '10/1s', burst: 20 }, promised: { perMs: 10 / 1_000, burst: 20 } },
  pro: { written: { limit: '100/1s', burst: 50 }, promised: { perMs: 100 / 1_000, burst: 50 } },
  default: { written: { limit: '5/1s', burst: 5 }, promised: { perMs: 5 / 1_000, burst: 5 } },
} as const;
type Plan = keyof typeof PLANS;

/** How many users there are of each plan. `default` have none. */
const USERS: Readonly<Record<Plan, number>> = { free: 4, pro: 4, default: 2 };
/** Changes its plan with each request. */
const CHANGING = 'changing';
const CONNECTIONS_EACH = 24;
const TARGET = '/shop/x';
/** Stands for a refusal by the rate: any other 429 is none. */
const LIMITED = 0.429;

interface User {
  readonly plan: Plan | typeof CHANGING;
  /** One for each plan that it has by turns. */
  readonly requests: readonly string[];
  readonly admitted: Admitted[];
  asked: number;
}

export interface Row {
  readonly plan: string;
  readonly asked: number;
  readonly admitted: number;
  /** By how many the worst user of the plan had too many in any window, and too few in all; 0: none had. */
  readonly tooMany: number;
  readonly short: number;
}

export interface Outcome {
  readonly seconds: number;
  readonly rows: readonly Row[];
  /** Statuses other than 200 and that of a refusal by the rate. */
  readonly odd: ReadonlyMap<number, number>;
  /** Requests that a gateway has counted for itself, because Redis did not respond: then nothing is proven. */
  readonly alone: number;
}

/** Sends so many requests of users with plans over two gateways on one Redis, most of which must be refused. */
export async function experiment(
  count: number,
  onProgress: (sent: number) => void = () => {},
): Promise<Outcome> {
  await using stack = new AsyncDisposableStack();
  const redis = await startRedis();
  stack.defer(() => redis.stop());
  const shop = stack.use(await startUpstream());
  const rate = {
    per: 'identity' as const,
    by: 'claim:plan',
    limits: Object.fromEntries(Object.entries(PLANS).map(([plan, { written }]) => [plan, written])),
  };
  const options = {
    services: { '/shop': { upstreams: [shop], limits: { rate, concurrency: 1_000 }, cacheTtl: '1h' } },
    env: { REDIS_URL: redis.url, FAIR_SHARE: '1', ACCESS_LOG_SAMPLE: '0' },
  };
  const gateways = [await startGatewayProcess(options), await startGatewayProcess(options)];
  for (const gateway of gateways) stack.use(gateway);
  const users = usersOf();
  const odd = new Map<number, number>();
  let sent = 0;
  const startedMs = performance.now();
  const ask = async (external: string) => {
    using client = new Client(Number(new URL(external).port));
    while (sent < count) {
      const user = users[sent % users.length] as User;
      sent += 1;
      if (sent % 10_000 === 0) onProgress(sent);
      const sentMs = performance.now();
      const status = await client.ask(user.requests[user.asked++ % user.requests.length] as string);
      if (status === 200) user.admitted.push({ sentMs, receivedMs: performance.now() });
      else if (status !== LIMITED) odd.set(status, (odd.get(status) ?? 0) + 1);
    }
  };
  const clients = gateways.flatMap(({ external }) =>
    Array.from({ length: CONNECTIONS_EACH }, () => ask(external)),
  );
  await Promise.all(clients);
  const ms = performance.now() - startedMs;
  const alone = await Promise.all(gateways.map(({ internal }) => countedAlone(internal)));
  return {
    seconds: ms / 1_000,
    rows: rowsOf(users, ms),
    odd,
    alone: alone.reduce((sum, one) => sum + one, 0),
  };
}

async function countedAlone(internal: string): Promise<number> {
  const metrics = await (await fetch(`${internal}/metrics`)).text();
  const found = /^gateway_rate_limit_errors_total (\d+)/m.exec(metrics)?.[1];
  if (found === undefined) throw new Error('expected the metric gateway_rate_limit_errors_total');
  return Number(found);
}

function usersOf(): User[] {
  const user = (plan: User['plan'], name: string, ...plans: (string | undefined)[]): User => {
    const requests = plans.map((each) => requestOf(tokenFor(name, each === undefined ? {} : { plan: each })));
    return { plan, requests, admitted: [], asked: 0 };
  };
  const ofPlans = (Object.keys(PLANS) as Plan[]).flatMap((plan) =>
    Array.from({ length: USERS[plan] }, (_, n) =>
      user(plan, `${plan}-${n}`, plan === 'default' ? undefined : plan),
    ),
  );
  return [...ofPlans, user(CHANGING, CHANGING, 'free', 'pro')];
}

function requestOf(token: string): string {
  return `GET ${TARGET} HTTP/1.1\r\nHost: gateway\r\nAuthorization: Bearer ${token}\r\n\r\n`;
}

function rowsOf(users: readonly User[], ms: number): Row[] {
  return [...Map.groupBy(users, ({ plan }) => plan)].map(([plan, those]) => {
    // Whose plan changes has never more than the larger one allows, and has no other promise.
    const promised: Promised = PLANS[plan === CHANGING ? 'pro' : plan].promised;
    const due = plan === CHANGING ? 0 : leastDue(ms, promised);
    return {
      plan,
      asked: sumOf(those, ({ asked }) => asked),
      admitted: sumOf(those, ({ admitted }) => admitted.length),
      tooMany: Math.max(0, ...those.map(({ admitted }) => mostTooMany(admitted, promised))),
      short: Math.max(0, ...those.map(({ admitted }) => due - admitted.length)),
    };
  });
}

function sumOf(users: readonly User[], numberOf: (user: User) => number): number {
  return users.reduce((sum, user) => sum + numberOf(user), 0);
}

/** A kept connection that sends one request after another, and reads no more of responses than where they end. */
class Client implements Disposable {
  readonly #socket: Socket;
  #text = '';
  #answer: (status: number) => void = () => {};

  constructor(port: number) {
    this.#socket = connect(port, '127.0.0.1').setNoDelay();
    this.#socket.setEncoding('latin1').on('data', (text) => this.#read(String(text)));
    this.#socket.on('error', () => this.#answer(0)).on('close', () => this.#answer(0));
  }

  ask(request: string): Promise<number> {
    return new Promise((resolve) => {
      this.#answer = resolve;
      this.#socket.write(request);
    });
  }

  [Symbol.dispose](): void {
    this.#socket.destroy();
  }

  #read(text: string): void {
    this.#text += text;
    const head = this.#text.indexOf('\r\n\r\n');
    if (head === -1) return;
    const length = Number(/\r\ncontent-length: (\d+)/i.exec(this.#text.slice(0, head))?.[1]);
    if (this.#text.length < head + 4 + length) return;
    const isLimited = this.#text.includes('"code":"rate_limited"');
    const status = isLimited ? LIMITED : Number(this.#text.slice(9, 12));
    this.#text = '';
    this.#answer(status);
  }
}
