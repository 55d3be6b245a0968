import type { PlaygroundUrls } from '../../../playground/messages.ts';

/** The services that mixed traffic goes to, and how they are to be started. */
export const TRAFFIC_FLAGS = [
  '--only=userManagement,notification,budgeting,sharing,fundRaising',
  '--replicas=budgeting=3',
];

/** Settings under which every kind of trouble shows within seconds. */
export const TRAFFIC_SETTINGS = {
  REQUEST_TIMEOUT: '1s',
  CIRCUIT_BREAKER_COOLDOWN: '1m',
  // A few failures stand for a service that breaks down.
  CIRCUIT_BREAKER_RATIO: '0',
  SERVICE_REFRESH_INTERVAL: '1s',
  // Nobody is refused, and what counts refusals has something to show.
  RATE_LIMIT_PER_ADDRESS: '1000000/1s',
  LOG_LEVEL: 'warn',
};

const LOGIN = '/userManagement/auth/login';
const CREDENTIALS = { username: 'test@example.com', password: 'password' };

/** How many answers a client got, by `<service> <method> <status> <port>`. */
export type Tally = Map<string, number>;

interface Asked {
  readonly method?: string;
  readonly token?: string;
  readonly body?: unknown;
}

/** Sends requests through both ports of a playground and counts what came back. */
export class Traffic {
  readonly tally: Tally = new Map();
  readonly #urls: PlaygroundUrls;

  constructor(urls: PlaygroundUrls) {
    this.#urls = urls;
  }

  /** Logs in and resolves to the token. */
  async logIn(): Promise<string> {
    const answer = await this.external(LOGIN, { method: 'POST', body: CREDENTIALS });
    return ((await answer.json()) as { access_token: string }).access_token;
  }

  external(path: string, asked: Asked = {}): Promise<Response> {
    return this.#send('external', this.#urls.external + path, path, asked);
  }

  internal(path: string, asked: Asked = {}): Promise<Response> {
    return this.#send('internal', `${this.#urls.internal}/internal${path}`, path, asked);
  }

  async #send(port: string, url: string, path: string, { method = 'GET', token, body }: Asked) {
    const answer = await fetch(url, {
      method,
      headers: {
        ...(token && { Authorization: `Bearer ${token}` }),
        ...(body !== undefined && { 'Content-Type': 'application/json' }),
      },
      ...(body !== undefined && { body: JSON.stringify(body) }),
    });
    // Kept whole: a body that nobody reads would keep its request under way.
    const whole = new Response(await answer.arrayBuffer(), answer);
    const service = `/${path.split('/')[1]}`;
    const key = `${service === '/nobody' ? 'none' : service} ${method} ${answer.status} ${port}`;
    this.tally.set(key, (this.tally.get(key) ?? 0) + 1);
    return whole;
  }
}

/** What users and services do all day. */
export async function ordinaryTraffic(traffic: Traffic, token: string, pages = 20): Promise<void> {
  for (let page = 0; page < pages; page += 1) {
    // The second is answered from the cache.
    for (const _ of [1, 2]) await traffic.external(`/budgeting/api/transactions?page=${page}`, { token });
    await traffic.internal('/budgeting/api/balance');
    await traffic.internal('/sharing/echo', { method: 'POST', body: { page } });
    await traffic.external('/notification/echo', { method: 'POST', token, body: { page } });
  }
}

/** What goes wrong: refused tokens, an unknown path, time-outs, a full service, and a service that breaks down. */
export async function faultyTraffic(traffic: Traffic, token: string): Promise<void> {
  await traffic.external('/budgeting/api/transactions');
  await traffic.external('/budgeting/api/transactions', { token: 'no.token.atall' });
  await traffic.external('/nobody/here', { token });
  await Promise.all(
    [1, 2].map(() => traffic.external('/notification/slow?ms=5000', { method: 'POST', token })),
  );
  // Five more than PER_SERVICE_LIMIT.
  const crowd = Array.from({ length: 15 }, () =>
    traffic.external('/notification/slow?ms=500', { method: 'POST', token }),
  );
  await Promise.all(crowd);
  // The third opens the breaker of the only replica; the rest are refused.
  for (let n = 0; n < 5; n += 1) await traffic.internal('/sharing/status/500');
}
