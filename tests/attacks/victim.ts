import { setTimeout as sleep } from 'node:timers/promises';
import { Pool } from 'undici';
import { bearer, tokenFor } from '../support/gateway/gateway.ts';

const PER_SECOND = 100;
const LOGIN_EVERY_MS = 500;
const PAGES = 40;

/** What became of one user's requests while somebody else did as he liked. */
export interface Suffered {
  readonly latenciesMs: readonly number[];
  /** Responses that were none of those expected, and how often: `3 x GET /shop/ok 429`. */
  readonly failures: readonly string[];
  /** Part of the requests for stored responses that were hits, 0 to 1. */
  readonly hitRatio: number;
}

/** Another user than the attacker, who reads, posts, and logs in and out at a steady rate. */
export class Victim {
  readonly #pool: Pool;
  readonly #token = tokenFor('victim');
  readonly #latenciesMs: number[] = [];
  readonly #failures = new Map<string, number>();
  #kept = 0;
  #hits = 0;

  constructor(external: string) {
    this.#pool = new Pool(external, { connections: 32 });
  }

  /** Asks for what is to be stored, and waits for the gateway to be warm. */
  async warmUp(): Promise<void> {
    for (let n = 0; n < 400; n += 1) await this.#ask(n);
    await this.#tryUpgrade();
    this.#latenciesMs.length = 0;
    this.#failures.clear();
    this.#kept = 0;
    this.#hits = 0;
  }

  /** Refused. The first one in the life of a gateway loads what upgrades need, which holds everybody up once. */
  async #tryUpgrade(): Promise<void> {
    const headers = bearer(this.#token);
    await this.#pool.upgrade({ path: '/shop/ok', protocol: 'websocket', headers }).then(
      ({ socket }) => socket.destroy(),
      () => {},
    );
  }

  /** Goes on for `forMs` at a steady rate: a request that is late makes no other one late. */
  async run(forMs: number): Promise<Suffered> {
    const startedAtMs = performance.now();
    const asked: Promise<void>[] = [];
    let logins = 0;
    for (let n = 0; ; ) {
      const elapsedMs = performance.now() - startedAtMs;
      if (elapsedMs >= forMs) break;
      for (; n < (elapsedMs / 1000) * PER_SECOND; n += 1) asked.push(this.#ask(n));
      for (; logins < elapsedMs / LOGIN_EVERY_MS; logins += 1) asked.push(this.#logInAndOut());
      await sleep(2);
    }
    await Promise.all(asked);
    await this.#pool.close();
    return {
      latenciesMs: this.#latenciesMs,
      failures: [...this.#failures].map(([what, count]) => `${count} x ${what}`),
      hitRatio: this.#hits / this.#kept,
    };
  }

  async #ask(n: number): Promise<void> {
    const token = this.#token;
    if (n % 4 === 0) await this.#send('POST', '/shop/echo', { token, body: 'posted' });
    else if (n % 4 === 1) {
      const response = await this.#send('GET', `/shop/kept?page=${(n >> 2) % PAGES}`, { token });
      this.#kept += 1;
      if (response?.cache === 'HIT') this.#hits += 1;
    } else await this.#send('GET', `/shop/ok?n=${Math.random()}`, { token });
  }

  async #logInAndOut(): Promise<void> {
    const login = await this.#send('POST', '/shop/auth/login', { body: '{"username":"victim"}' });
    if (!login) return;
    const { access_token: token } = JSON.parse(login.content);
    await this.#send('POST', '/shop/auth/logout', { token, body: '{}' });
  }

  async #send(method: 'GET' | 'POST', path: string, { token, body }: { token?: string; body?: string }) {
    const startedAtMs = performance.now();
    const fail = (how: string | number) => {
      const what = `${method} ${path.replace(/\?.*/, '')} ${how}`;
      this.#failures.set(what, (this.#failures.get(what) ?? 0) + 1);
    };
    try {
      const response = await this.#pool.request({ method, path, headers: token ? bearer(token) : {}, body });
      const content = await response.body.text();
      this.#latenciesMs.push(performance.now() - startedAtMs);
      if (response.statusCode !== 200) fail(response.statusCode);
      else return { content, cache: response.headers['x-cache'] };
    } catch (error) {
      fail(String(error));
    }
    return undefined;
  }
}
