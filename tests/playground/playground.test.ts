import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import WebSocket from 'ws';
import { BUILT_IN_SERVICES } from '../../config/sections/services.ts';
import { registryNameOf, SERVICE_NAMES, type ServiceName } from '../../playground/catalogue.ts';
import { portOf } from '../../playground/ports.ts';
import { gatewayEnvironment, notPassedOn } from '../../playground/stack/gateway.ts';
import { curlLines } from '../../playground/stack/report.ts';
import { createRunFiles } from '../../playground/stack/runFiles.ts';
import { eventually } from '../support/eventually.ts';
import {
  isAlive,
  runPlayground,
  startPlayground,
  type TestPlayground,
} from '../support/processes/playground.ts';

/** Thirteen processes on two cores that other tests use as well. */
const STARTS_WITHIN_MS = 30_000;

describe('playground command', () => {
  it('explains itself with --help', async () => {
    const { exitCode, stdout } = await runPlayground(['--help']);
    expect(exitCode).toBe(0);
    for (const flag of [
      '--only',
      '--replicas',
      '--redis',
      '--external-port',
      '--page-port',
      '--registry-form',
      '--base-port',
      '--no-gateway',
    ]) {
      expect(stdout).toContain(flag);
    }
  });

  it('refuses a flag it does not know, and points to --help', async () => {
    const { exitCode, stderr } = await runPlayground(['--gate']);
    expect(exitCode).toBe(2);
    expect(stderr).toMatch(/'--gate'[\s\S]*--help/);
  });

  it('names every taken port with the flag that changes it, and starts nothing', async () => {
    const servers = [createServer().listen(0, '127.0.0.1'), createServer().listen(0, '127.0.0.1')] as const;
    await Promise.all(servers.map((server) => once(server, 'listening')));
    const [registry, budgeting] = [portOf(servers[0]), portOf(servers[1])];
    const flags = ['--no-gateway', `--registry-port=${registry}`, `--base-port=${budgeting - 7}`];
    const { exitCode, stdout } = await runPlayground(flags);
    for (const server of servers) server.close();
    expect(exitCode).toBe(1);
    expect(stdout).toContain(
      `Port ${registry} for the registry is taken: choose another with --registry-port.`,
    );
    expect(stdout).toContain(`Port ${budgeting} for budgeting is taken: choose another with --base-port.`);
    expect(stdout).not.toContain('✔');
  });

  it('says what to do when there is no Redis at the URL', async () => {
    const { exitCode, stdout } = await runPlayground(['--redis=redis://user:secret@127.0.0.1:1']);
    expect(exitCode).toBe(1);
    expect(stdout).toContain('No Redis listens at 127.0.0.1:1: start one');
    expect(stdout).not.toContain('secret');
  });
});

describe('running playground', () => {
  // Below the ports that the system hands out, so that no other test has one of them.
  const base = 20_000 + (process.pid % 1000) * 10;
  let playground: TestPlayground;

  beforeAll(async () => {
    playground = await startPlayground([`--base-port=${base}`, '--replicas=budgeting=2']);
  }, STARTS_WITHIN_MS);

  afterAll(async () => {
    await playground?.stop();
  });

  it('runs every service and as many replicas as asked, and shows what runs where', async () => {
    const { urls, pids } = playground;
    const output = playground.output();
    expect(Object.keys(urls.services)).toEqual(SERVICE_NAMES);
    expect(Object.keys(pids)).toHaveLength(13);
    for (const [service, replicas] of Object.entries(urls.services)) {
      expect(replicas).toHaveLength(service === 'budgeting' ? 2 : 1);
      for (const [index, url] of replicas.entries()) {
        const name = `${service}.${index + 1}`;
        expect(output).toMatch(new RegExp(`^${name} +${url} +${pids[name]} +/${service}$`, 'm'));
        expect((await fetch(`${url}/health`)).status).toBe(200);
      }
    }
    expect(output).toMatch(new RegExp(`^gateway +${urls.external} +${pids.gateway} `, 'm'));
    expect(output).toMatch(new RegExp(`^ +${urls.internal} +services: `, 'm'));
    expect(output).toMatch(new RegExp(`^registry +${urls.registry} +${pids.registry} `, 'm'));
    expect(output).toContain('jq -r .access_token');
    expect(output).toContain('/api/transactions');
  });

  it('gives each service its port, and extra replicas the next free ones', () => {
    const { services } = playground.urls;
    const ports = Object.values(services).map(([url]) => Number(new URL(url ?? '').port));
    expect(ports).toEqual(SERVICE_NAMES.map((_, index) => base + index));
    const extra = Number(new URL(services.budgeting[1] ?? '').port);
    expect(extra).toBeGreaterThanOrEqual(base + 20);
    expect(extra).toBeLessThan(base + 40);
  });

  it('has every replica in the registry, healthy, when it is ready', async () => {
    const listed = await registered(playground);
    const names = new Set(listed.map(({ name }) => name));
    expect(listed).toHaveLength(11);
    expect([...names].sort().join(' ')).toBe(
      'budgeting cab-booking checkin communication fund-raising lost-found notification sharing tea-management user-management',
    );
    for (const { host, status, url } of listed) {
      expect(host).toMatch(/^padstack_[a-z-]+-service\.[12]\.[a-z0-9]{25}$/);
      expect(status).toBe('healthy');
      expect((await fetch(`${url}/health`)).headers.get('X-Replica')).toBe(host);
    }
  });

  it('is ready for the walk-through: log in, call with the token, call internally', async () => {
    const { external, internal } = playground.urls;
    const login = await fetch(`${external}/userManagement/auth/login`, {
      method: 'POST',
      headers: { 'Content-Type': 'application/json' },
      body: JSON.stringify({ username: 'test@example.com', password: 'password' }),
    });
    const { access_token } = (await login.json()) as { access_token: string };
    const headers = { Authorization: `Bearer ${access_token}` };
    expect((await fetch(`${external}/budgeting/api/transactions`, { headers })).status).toBe(200);
    expect((await fetch(`${external}/budgeting/api/transactions`)).status).toBe(401);
    const replicas = new Set<string | null>();
    for (let call = 0; call < 3; call++) {
      const answer = await fetch(`${internal}/internal/budgeting/api/balance`);
      replicas.add(answer.headers.get('X-Replica'));
    }
    expect(replicas.size).toBe(2);
  });

  it('stops in order: the gateway drains while the services still answer', async () => {
    const { urls, pids } = playground;
    const socket = new WebSocket(`${urls.services.communication[0]?.replace('http', 'ws')}/ws`);
    await once(socket, 'open');
    const closed = once(socket, 'close');
    const stream = await fetch(`${urls.internal}/internal/sharing/stream?chunks=3&ms=100`);
    const stopped = playground.stop();
    expect(await stream.text()).toBe('chunk 1 of 3\nchunk 2 of 3\nchunk 3 of 3\n');
    expect(await closed).toEqual([1001, Buffer.from('the service is stopping')]);
    expect(await stopped).toBe(0);
    expect(Object.values(pids).filter(isAlive)).toEqual([]);
    expect(playground.output()).not.toContain('✘');
  });
});

describe('playground without the gateway', () => {
  let playground: TestPlayground;

  async function start(...flags: string[]): Promise<TestPlayground> {
    playground = await startPlayground(['--no-gateway', '--only=budgeting', ...flags]);
    return playground;
  }

  afterEach(async () => {
    await playground?.stop();
  });

  it.each(['SIGINT', 'SIGHUP'] as const)(
    'stops every child on %s and exits with 0',
    async (signal) => {
      const { stop, pids, output } = await start();
      expect(Object.keys(pids)).toEqual(['registry', 'budgeting.1']);
      expect(await stop(signal)).toBe(0);
      expect(Object.values(pids).filter(isAlive)).toEqual([]);
      expect(output()).not.toContain('✘');
    },
    STARTS_WITHIN_MS,
  );

  it(
    'takes a Ctrl-C in a shell, which npm repeats, for one',
    async () => {
      const { pid, exited, output } = await start();
      process.kill(-pid, 'SIGINT');
      process.kill(-pid, 'SIGINT');
      expect(await exited).toBe(0);
      expect(output()).not.toContain('✘');
    },
    STARTS_WITHIN_MS,
  );

  it(
    'reports a service that dies and goes on, and one that stops leaves the registry',
    async () => {
      const { urls, pids, output, stop } = await start('--replicas=budgeting=2');
      process.kill(pids['budgeting.2'] ?? 0, 'SIGKILL');
      await eventually('the death is reported', () =>
        output().includes('✘ budgeting.2 was killed by SIGKILL. It wrote nothing.'),
      );
      expect((await fetch(`${urls.services.budgeting[0]}/health`)).status).toBe(200);
      expect(await registered(playground)).toHaveLength(2);
      process.kill(pids['budgeting.1'] ?? 0, 'SIGTERM');
      await eventually('it has left', async () => (await registered(playground)).length === 1);
      expect(await stop()).toBe(0);
    },
    STARTS_WITHIN_MS,
  );
});

interface Registered {
  readonly name: string;
  readonly host: string;
  readonly url: string;
  readonly status: string;
}

async function registered({ urls }: TestPlayground): Promise<Registered[]> {
  const answer = await fetch(`${urls.registry}/services`);
  return ((await answer.json()) as Registered[] | null) ?? [];
}

describe('what the gateway is given', () => {
  const settings = {
    externalPort: 1,
    internalPort: 2,
    pagePort: 3,
    registryUrl: 'http://127.0.0.1:9000',
    gatewayFile: '/tmp/gateway.json',
    dataDir: '/tmp/data',
    jwtSecret: 's',
  };

  it('is its environment, except where the playground decides', () => {
    const env = {
      REQUEST_TIMEOUT: '1s',
      EXTERNAL_PORT: '80',
      INTERNAL_HOST: '::',
      JWT_SECRET_FILE: '/secret',
    };
    expect(gatewayEnvironment(settings, env)).toMatchObject({
      REQUEST_TIMEOUT: '1s',
      EXTERNAL_HOST: '127.0.0.1',
      EXTERNAL_PORT: '1',
      INTERNAL_HOST: '127.0.0.1',
      INTERNAL_PORT: '2',
      SERVICE_DISCOVERY_URL: 'http://127.0.0.1:9000',
      GATEWAY_FILE: '/tmp/gateway.json',
      PLAYGROUND_PAGE_PORT: '3',
      DATA_DIR: '/tmp/data',
      JWT_SECRET: 's',
      JWT_SECRET_FILE: undefined,
    });
  });

  it('leaves DATA_DIR and files to the caller, wherever the gateway itself runs', () => {
    const env = { DATA_DIR: 'kept', TLS_KEY_FILE: '/key.pem', JWKS_FILE: 'not/ours' };
    expect(gatewayEnvironment(settings, env)).toMatchObject({
      ...env,
      DATA_DIR: join(process.cwd(), 'kept'),
    });
  });

  it('uses a Redis when the flag says so, and none that the environment names', () => {
    const env = {
      REDIS_URL: 'redis://mine',
      REDIS_HOST: 'mine',
      REDIS_PORT: '1',
      USE_REDIS_SHARDING: 'true',
      REDIS_PASSWORD: 'x',
      REDIS_REQUIRED: 'false',
      REDIS_NODES: 'a:mine:1',
    };
    const without = gatewayEnvironment(settings, env);
    expect(Object.entries(without).filter(([name, value]) => name.includes('REDIS') && value)).toEqual([]);
    expect(notPassedOn({ redisUrl: undefined }, env)).toEqual([
      'REDIS_URL and REDIS_HOST and REDIS_PORT and USE_REDIS_SHARDING and REDIS_NODES of the environment: not used; --redis=redis://host:port chooses a Redis.',
    ]);
    const redisUrl = 'redis://127.0.0.1:6379';
    const withFlag = gatewayEnvironment({ ...settings, redisUrl }, env);
    expect(withFlag).toMatchObject({
      REDIS_URL: redisUrl,
      REDIS_PASSWORD: 'x',
      REDIS_HOST: undefined,
      REDIS_PORT: undefined,
      REDIS_NODES: undefined,
      USE_REDIS_SHARDING: undefined,
    });
    expect(notPassedOn({ redisUrl }, env)).toEqual([]);
  });

  it("speaks to the playground's registry as that wants it, whatever the environment says of another", () => {
    const env = { SERVICE_DISCOVERY_INCREMENT: '/mine/{id}', SERVICE_DISCOVERY_TOKEN: 'x' };
    expect(gatewayEnvironment(settings, env)).toMatchObject({
      SERVICE_DISCOVERY_URL: 'http://127.0.0.1:9000',
      SERVICE_DISCOVERY_INCREMENT: undefined,
      SERVICE_DISCOVERY_TOKEN: undefined,
    });
    expect(notPassedOn({ redisUrl: undefined }, env)).toEqual([
      'SERVICE_DISCOVERY_INCREMENT and SERVICE_DISCOVERY_TOKEN of the environment: not used; the playground has a registry.',
    ]);
  });

  it('is the built-in services with upstreams on this machine', async () => {
    const upstreams = Object.fromEntries(
      SERVICE_NAMES.map((name) => [name, [`http://127.0.0.1/${name}`]]),
    ) as Record<ServiceName, string[]>;
    const files = createRunFiles();
    const { services } = JSON.parse(await readFile(await files.writeGatewayFile(upstreams), 'utf8'));
    await files.remove();
    expect(services).toEqual(
      BUILT_IN_SERVICES.map((service) => ({
        ...service,
        upstreams: [`http://127.0.0.1${service.path}`],
        ...(service.name === 'sharing' && { health: { path: '/health', interval: '5s' } }),
      })),
    );
    expect(SERVICE_NAMES.map(registryNameOf)).toEqual(BUILT_IN_SERVICES.map(({ name }) => name));
  });

  it('leaves out the services that do not run', async () => {
    const upstreams = Object.fromEntries(SERVICE_NAMES.map((name) => [name, [] as string[]]));
    const files = createRunFiles();
    const gatewayFile = await files.writeGatewayFile({
      ...(upstreams as Record<ServiceName, string[]>),
      sharing: ['http://127.0.0.1:8089'],
    });
    const { services, routes } = JSON.parse(await readFile(gatewayFile, 'utf8'));
    await files.remove();
    expect(services).toMatchObject([{ path: '/sharing', upstreams: ['http://127.0.0.1:8089'] }]);
    expect(new Set(routes.map((route: { service?: string }) => route.service))).toEqual(
      new Set(['sharing', undefined]),
    );
  });
});

describe('what is suggested to try', () => {
  const none = Object.fromEntries(SERVICE_NAMES.map((name) => [name, []])) as unknown as Record<
    ServiceName,
    string[]
  >;
  const registry = 'http://r';

  it('is a log-in and a call with its token when somebody gives tokens', () => {
    const services = { ...none, userManagement: ['http://u'], budgeting: ['http://b'] };
    const gateway = { external: 'http://e', internal: 'http://i' };
    expect(curlLines({ registry, services, ...gateway })).toMatch(
      /http:\/\/e\/userManagement\/auth\/login[\s\S]*\$TOKEN" http:\/\/e\/budgeting\/api\/transactions\ncurl -i http:\/\/i\/internal\/budgeting\/api\/transactions$/,
    );
    expect(curlLines({ registry, services })).toMatch(
      /http:\/\/u\/auth\/login[\s\S]*\$TOKEN" http:\/\/b\/api\/transactions\ncurl -i http:\/\/r\/services$/,
    );
  });

  it('is what works without a token when nobody does', () => {
    const services = { ...none, sharing: ['http://s'] };
    const gateway = { external: 'http://e', internal: 'http://i' };
    expect(curlLines({ registry, services, ...gateway })).toBe('curl -i http://i/internal/sharing/health');
  });
});
