import { once } from 'node:events';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import jwt from 'jsonwebtoken';
import { eventually } from '../../support/eventually.ts';
import { INSTALLS_WITHIN_MS } from '../../support/processes/command.ts';
import { STACK_SERVICES } from '../../support/stack/services.ts';
import { type Stack, startStack } from '../../support/stack/stack.ts';

const SECRET = 'UM_JWT_SECRET_KEY of the stack, which both services share';
const LOGIN = '/userManagement/auth/login';
const REFRESH = '/userManagement/auth/refresh';
const LOGOUT = '/userManagement/auth/logout';
const HUB = '/communication/chatHub';
const RECORD_SEPARATOR = '\u001e';
const STEP_WITHIN_MS = 20_000;

/** What the stack's `.env` holds besides. Where replicas are looked up each second, nobody waits for 30. */
const DOTENV = {
  JWT_SECRET: SECRET,
  GLOBAL_CONCURRENCY: '100',
  PER_SERVICE_LIMIT: '10',
  REQUEST_TIMEOUT: '3s',
  UPSTREAM_TIMEOUT: '10s',
  SERVICE_REFRESH_INTERVAL: '1s',
};
const PORTS = { EXTERNAL_PORT: '8000', INTERNAL_PORT: '8001' };

/** Exactly the variables of the stack's compose files: nothing but the image differs. */
const RELEASES = [
  {
    release: 'the compose files (Redis in three nodes)',
    world: {
      form: 'stack',
      registryPort: 8002,
      prefix: 'test-stack_',
      redisHosts: ['redis-1', 'redis-2', 'redis-3'],
    },
    env: {
      ...PORTS,
      SERVICE_DISCOVERY_URL: 'http://service-discovery:8002',
      USE_REDIS_SHARDING: 'true',
      REDIS_NODES: 'node1:redis-1:6379,node2:redis-2:6379,node3:redis-3:6379',
      ...DOTENV,
    },
  },
  {
    release: "the original's document (one Redis)",
    world: { form: 'document', registryPort: 9000, prefix: 'padstack_', redisHosts: ['redis'] },
    env: {
      ...PORTS,
      SERVICE_DISCOVERY_URL: 'http://service-discovery:9000',
      REDIS_HOST: 'redis',
      REDIS_PORT: '6379',
      ...DOTENV,
    },
  },
] as const;

interface Session {
  readonly token: string;
  /** `refresh_token=...`, as a browser sends it back. */
  readonly cookie: string;
}

describe.each(RELEASES)('the stack of $release', ({ world, env }) => {
  let stack: Stack;
  /** Requests so far that a registered task must have been counted for. */
  let counted = 0;

  beforeAll(async () => {
    stack = await startStack({ ...world, secret: SECRET, env });
  }, INSTALLS_WITHIN_MS);

  afterAll(async () => {
    await stack?.[Symbol.asyncDispose]();
  }, STEP_WITHIN_MS);

  async function logIn(username = 'user@example.com'): Promise<Session> {
    const body = JSON.stringify({ username, password: 'password' });
    const headers = { 'Content-Type': 'application/json' };
    const answer = await stack.ask('external', LOGIN, { method: 'POST', headers, body });
    expect(answer.status).toBe(200);
    return sessionIn(answer.body, answer.headers['set-cookie']);
  }

  function get(path: string, { token }: Pick<Session, 'token'>) {
    return stack.ask('external', path, { headers: { Authorization: `Bearer ${token}` } });
  }

  async function hostsOf(service: string): Promise<string[]> {
    return (await stack.tasks()).filter((task) => task.service === service).map(({ host }) => host);
  }

  /** Requests that a task has had. */
  async function countOf(host: string): Promise<number> {
    return (await stack.tasks()).find((task) => task.host === host)?.requests.length ?? 0;
  }

  async function listedHosts(name: string): Promise<string[]> {
    return (await stack.listed()).filter((one) => one.name === name).map(({ host }) => host);
  }

  /** Resolves when the gateway has looked at the registry again. */
  async function lookedAgain(): Promise<void> {
    const looks = async () =>
      (await stack.registryCalls()).filter(({ target }) => target === '/services').length;
    const before = await looks();
    // The one under way may have begun before.
    await eventually('two looks more', async () => (await looks()) >= before + 2);
  }

  it('reaches all ten by the names of the compose file while nobody has registered', async () => {
    const reached = await Promise.all(
      STACK_SERVICES.map(async ({ name }) => {
        const { status } = await stack.ask('internal', `/internal/${name}/echo`);
        return `${name} ${status}`;
      }),
    );
    expect(reached).toEqual(STACK_SERVICES.map(({ name }) => `${name} 200`));
  });

  it('says nothing against the variables of the compose file', async () => {
    const output = await stack.gatewayOutput();
    for (const name of Object.keys(env)) expect(output).not.toMatch(new RegExp(`warn.*\\b${name}\\b`, 'i'));
  });

  it(
    'sees every task once it has registered, under its registry name',
    async () => {
      await Promise.all((await stack.tasks()).map(({ host }) => stack.register(host)));
      await lookedAgain();
      const metrics = String((await stack.ask('external', '/metrics')).body);
      for (const { service, host } of await stack.tasks()) expect(metrics).toContain(healthy(service, host));
    },
    STEP_WITHIN_MS,
  );

  it('logs in, and lets nobody in who has not', async () => {
    const { token, cookie } = await logIn();
    counted += 1;
    const { iat = 0, ...claims } = jwt.verify(token, SECRET) as jwt.JwtPayload;
    expect(Object.keys(claims).sort().join()).toBe('email,exp,role,type,user_id,username,uuid');
    expect(cookie).toMatch(/^refresh_token=/);
    expect(iat).toBeGreaterThan(0);
    expect((await stack.ask('external', '/budgeting/whoami')).status).toBe(401);
  });

  it('calls all ten for a user, at both tasks of each, without passing the token on', async () => {
    const session = await logIn();
    counted += 1;
    const uuid = (jwt.decode(session.token) as jwt.JwtPayload).uuid;
    const callTwice = async (name: string) => {
      const replicas = new Set<unknown>();
      for (let n = 0; n < 2; n += 1) {
        const answer = await get(`/${name}/whoami?n=${n}`, session);
        counted += 1;
        expect([name, answer.status]).toEqual([name, 200]);
        expect(JSON.parse(String(answer.body))).toMatchObject({ subject: uuid, claims: { type: 'access' } });
        replicas.add(answer.headers['x-replica']);
      }
      expect([name, replicas.size]).toEqual([name, 2]);
    };
    await Promise.all(STACK_SERVICES.map(({ name }) => callTwice(name)));
    const seen = (await stack.tasks()).flatMap(({ requests }) => requests);
    expect(seen.filter(({ headers }) => 'authorization' in headers)).toEqual([]);
  });

  it('lets services call each other without a token', async () => {
    const callOnce = async (name: string) => {
      const answer = await stack.ask('internal', `/internal/${name}/echo/internal`, { method: 'POST' });
      counted += 1;
      expect([name, answer.status]).toEqual([name, 200]);
    };
    await Promise.all(STACK_SERVICES.map(({ name }) => callOnce(name)));
  });

  it('tells the registry of every request, by what it accepts', async () => {
    const sum = async () => (await stack.listed()).reduce((all, one) => all + one.request_count, 0);
    await eventually('all are counted', async () => (await sum()) === counted);
    const puts = (await stack.registryCalls()).filter(({ method }) => method === 'PUT');
    expect(puts.filter(({ status }) => status === 200)).toHaveLength(counted);
    const form = {
      stack: /^\/services\/increment\?id=[0-9a-f-]{36}$/,
      document: /^\/increment\?service_id=/,
    };
    for (const { target, status } of puts) if (status === 200) expect(target).toMatch(form[world.form]);
  });

  it('logs out for good', async () => {
    const session = await logIn('test@example.com');
    const headers = { Authorization: `Bearer ${session.token}` };
    expect((await get('/budgeting/whoami?n=out', session)).status).toBe(200);
    expect((await stack.ask('external', LOGOUT, { method: 'POST', headers })).status).toBe(200);
    const refused = await get('/budgeting/whoami?n=out', session);
    expect([refused.status, JSON.parse(String(refused.body)).code]).toEqual([401, 'token_revoked']);
    // In the same second the other task of user management signs the same token again, which stays refused.
    await eventually('a new token is good', async () => {
      const { status } = await get('/budgeting/whoami?n=in', await logIn('test@example.com'));
      return status === 200;
    });
    // Whichever node is lost, nobody gets in again.
    for (const host of world.redisHosts) {
      const keys = await stack.redisKeys(host);
      expect([host, keys.filter((key) => key.startsWith('blacklist:')).length]).toEqual([host, 1]);
    }
  });

  it('takes no refresh token for an access token', async () => {
    const { cookie } = await logIn();
    const refused = await get('/budgeting/whoami', { token: cookie.split('=')[1] ?? '' });
    expect(refused.status).toBe(401);
  });

  it('refreshes by cookie alone', async () => {
    const session = await logIn();
    const headers = { Cookie: session.cookie };
    const answer = await stack.ask('external', REFRESH, { method: 'POST', headers });
    expect(answer.status).toBe(200);
    const fresh = sessionIn(answer.body, answer.headers['set-cookie']);
    expect(jwt.decode(fresh.token)).toMatchObject({ type: 'access', username: 'user@example.com' });
    expect((await get('/budgeting/whoami?n=fresh', fresh)).status).toBe(200);
    const without = await stack.ask('external', REFRESH, { method: 'POST' });
    expect(without.status).toBe(401);
  });

  it('carries SignalR: negotiate, then connect with the token in the query', async () => {
    const session = await logIn();
    for (let n = 0; n < 4; n += 1) {
      const answer = await stack.ask('external', `${HUB}/negotiate?negotiateVersion=1`, {
        method: 'POST',
        headers: { Authorization: `Bearer ${session.token}`, 'Content-Length': '0' },
      });
      expect(answer.status).toBe(200);
      const { connectionToken } = JSON.parse(String(answer.body));
      const socket = stack.webSocket(`${HUB}?id=${connectionToken}&access_token=${session.token}`);
      await opened(socket);
      socket.send(`{"protocol":"json","version":1}${RECORD_SEPARATOR}`);
      expect(String((await once(socket, 'message'))[0])).toBe(`{}${RECORD_SEPARATOR}`);
      socket.send(`{"text":"tea?"}${RECORD_SEPARATOR}`);
      const echoed = JSON.parse(String((await once(socket, 'message'))[0]).slice(0, -1));
      expect(echoed.arguments).toEqual([{ text: 'tea?' }, `/chatHub?id=${connectionToken}`]);
      socket.terminate();
    }
    expect(await stack.gatewayOutput()).not.toContain(session.token);
  });

  it('takes no token from the query of an ordinary request', async () => {
    const { token } = await logIn();
    expect((await stack.ask('external', `/budgeting/whoami?access_token=${token}`)).status).toBe(401);
  });

  it(
    'trips after three failures, and the registry really loses the task',
    async () => {
      const bad = await newTask('budgeting');
      await stack.fail(bad, 500);
      const statuses: number[] = [];
      await eventually('it trips', async () => {
        statuses.push((await stack.ask('internal', '/internal/budgeting/echo', { method: 'POST' })).status);
        return (await stack.gatewayOutput()).includes(`Successfully deregistered replica: ${bad}`);
      });
      expect(statuses.filter((status) => status !== 200)).toEqual([500, 500, 500]);
      expect(await countOf(bad)).toBe(3);
      const output = await stack.gatewayOutput();
      const lines = ['failure 3/3', 'CIRCUIT BREAKER TRIPPED for', `Extracted replica ID: ${bad}`];
      for (const line of lines) expect(output).toContain(line);
      expect(await listedHosts('budgeting')).not.toContain(bad);
      const parameter = { stack: 'id', document: 'service_id' }[world.form];
      expect((await stack.registryCalls()).filter(({ method }) => method === 'DELETE')).toEqual([
        { method: 'DELETE', target: `/deregister?${parameter}=${bad}`, status: 200 },
      ]);

      // Under a new id it is the same task, and its breaker is open still.
      await stack.fail(bad, 0);
      await stack.register(bad);
      await lookedAgain();
      for (let n = 0; n < 6; n += 1) {
        const { status } = await stack.ask('internal', '/internal/budgeting/echo', { method: 'POST' });
        expect(status).toBe(200);
      }
      expect(await countOf(bad)).toBe(3);
    },
    STEP_WITHIN_MS,
  );

  it(
    'scales up: a task that registers gets its share at once',
    async () => {
      const joined = await newTask('sharing');
      for (let n = 0; n < 12; n += 1) {
        const { status } = await stack.ask('internal', '/internal/sharing/echo', { method: 'POST' });
        expect(status).toBe(200);
      }
      expect(await countOf(joined)).toBeGreaterThanOrEqual(3);
      expect(await countOf(joined)).toBeLessThanOrEqual(6);
    },
    STEP_WITHIN_MS,
  );

  it(
    'scales down: a task that ends without a word costs no request, and leaves the registry',
    async () => {
      const [gone = ''] = await hostsOf('sharing');
      await stack.stopTask(gone);
      await eventually('the registry has lost it', async () => {
        expect((await stack.ask('internal', '/internal/sharing/echo')).status).toBe(200);
        return !(await listedHosts('sharing')).includes(gone);
      });
    },
    STEP_WITHIN_MS,
  );

  it(
    'knows tasks that register under the names of the compose file, or their own',
    async () => {
      const joined: [string, string][] = [];
      for (const { name, composeNames } of STACK_SERVICES) {
        for (const composeName of composeNames) {
          const host = await stack.startTask(name);
          // With and without the name of the stack before it.
          await stack.register(host, joined.length % 2 === 0 ? composeName : world.prefix + composeName);
          joined.push([name, host]);
        }
      }
      await eventually('the gateway has seen them all', async () => {
        const metrics = String((await stack.ask('external', '/metrics')).body);
        const missing = joined.filter(([name, host]) => !metrics.includes(healthy(name, host)));
        expect(missing).toEqual([]);
        return true;
      });
    },
    STEP_WITHIN_MS,
  );

  /** One task more, which the gateway has seen in the registry. */
  async function newTask(service: string): Promise<string> {
    const host = await stack.startTask(service);
    await stack.register(host);
    await eventually(`the gateway has seen ${host}`, async () =>
      String((await stack.ask('external', '/metrics')).body).includes(healthy(service, host)),
    );
    return host;
  }
});

/** The series of a replica that the registry calls healthy. */
function healthy(service: string, host: string): string {
  return `gateway_lb_instance_health{service="/${service}",instance="${host}"} 1`;
}

function sessionIn(body: Buffer, cookies: readonly string[] = []): Session {
  const { access_token, token_type, expires_in } = JSON.parse(String(body));
  expect({ token_type, expires_in }).toEqual({ token_type: 'bearer', expires_in: 3600 });
  return { token: access_token, cookie: cookies[0]?.split(';')[0] ?? '' };
}

/** Rejects with the status when the handshake is refused. */
function opened(socket: ReturnType<Stack['webSocket']>): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  socket.once('open', () => resolve());
  socket.once('unexpected-response', (_req, { statusCode }) =>
    reject(new Error(`refused with ${statusCode}`)),
  );
  socket.once('error', reject);
  return promise;
}
