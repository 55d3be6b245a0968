import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { afterEach, describe, expect, it } from '@jest/globals';
import { BUILT_IN_SERVICES } from '../config/services.ts';
import { registryNameOf, SERVICE_NAMES, type ServiceName } from '../playground/catalogue.ts';
import { gatewayEnvironment } from '../playground/gateway.ts';
import { portOf } from '../playground/ports.ts';
import { createRunFiles } from '../playground/runFiles.ts';
import { eventually } from './support/eventually.ts';
import { isAlive, runPlayground, startPlayground, type TestPlayground } from './support/playground.ts';

/** Eleven processes on two cores that other tests use as well. */
const STARTS_WITHIN_MS = 30_000;

describe('playground command', () => {
  it('explains itself with --help', async () => {
    const { exitCode, stdout } = await runPlayground(['--help']);
    expect(exitCode).toBe(0);
    for (const flag of ['--replicas', '--redis', '--external-port', '--base-port', '--no-gateway']) {
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
  let playground: TestPlayground | undefined;

  afterEach(async () => {
    await playground?.stop();
    playground = undefined;
  });

  it(
    'runs every service and as many replicas as asked, and shows what runs where',
    async () => {
      playground = await startPlayground([
        '--no-gateway',
        '--replicas=budgeting=3,checkin=2',
        '--replicas=sharing=2',
      ]);
      const { urls, pids } = playground;
      expect(urls.external).toBeUndefined();
      expect(Object.keys(urls.services)).toEqual(SERVICE_NAMES);
      expect(
        [urls.services.budgeting, urls.services.checkin, urls.services.sharing].map(({ length }) => length),
      ).toEqual([3, 2, 2]);
      for (const url of Object.values(urls.services).flat()) {
        expect(playground.output()).toContain(url);
        expect((await fetch(`${url}/health`)).status).toBe(200);
      }
      for (const [name, pid] of Object.entries(pids)) {
        expect(playground.output()).toMatch(new RegExp(`${name} +http://127.0.0.1:\\d+ +${pid} `));
      }
      expect(playground.output()).toContain('jq -r .access_token');
      expect(playground.output()).toContain('/api/transactions');
    },
    STARTS_WITHIN_MS,
  );

  it(
    'takes the base port and the nine after it, and extra replicas 20 above',
    async () => {
      // Below the ports that the system hands out, so that no other test has one of them.
      const base = 20_000 + (process.pid % 1000) * 10;
      playground = await startPlayground(['--no-gateway', `--base-port=${base}`, '--replicas=booking=2']);
      expect(playground.urls.services.userManagement).toEqual([`http://127.0.0.1:${base}`]);
      expect(playground.urls.services.sharing).toEqual([`http://127.0.0.1:${base + 9}`]);
      const [first, second] = playground.urls.services.booking.map((url) => Number(new URL(url).port));
      expect(first).toBe(base + 4);
      expect(second).toBeGreaterThanOrEqual(base + 20);
      expect(second).toBeLessThan(base + 40);
    },
    STARTS_WITHIN_MS,
  );

  it.each(['SIGTERM', 'SIGINT', 'SIGHUP'] as const)(
    'stops every child on %s and exits with 0',
    async (signal) => {
      playground = await startPlayground(['--no-gateway']);
      expect(await playground.stop(signal)).toBe(0);
      expect(Object.values(playground.pids).filter(isAlive)).toEqual([]);
      expect(playground.output()).not.toContain('✘');
    },
    STARTS_WITHIN_MS,
  );

  it(
    'takes a Ctrl-C in a shell, which npm repeats, for one',
    async () => {
      playground = await startPlayground(['--no-gateway']);
      process.kill(-playground.pid, 'SIGINT');
      process.kill(-playground.pid, 'SIGINT');
      expect(await playground.exited).toBe(0);
      expect(playground.output()).not.toContain('✘');
    },
    STARTS_WITHIN_MS,
  );

  it(
    'leaves no orphans when it is killed',
    async () => {
      playground = await startPlayground(['--no-gateway']);
      const pids = Object.values(playground.pids);
      expect(pids.filter(isAlive)).toHaveLength(11);
      await playground.stop('SIGKILL');
      await eventually('all children have ended', () => !pids.some(isAlive));
    },
    STARTS_WITHIN_MS,
  );

  it(
    'reports a service that dies and goes on',
    async () => {
      playground = await startPlayground(['--no-gateway', '--replicas=budgeting=2']);
      process.kill(playground.pids['budgeting.2'] ?? 0, 'SIGKILL');
      await eventually('the death is reported', () =>
        playground?.output().includes('✘ budgeting.2 was killed by SIGKILL. It wrote nothing.'),
      );
      const [first] = playground.urls.services.budgeting;
      expect((await fetch(`${first}/health`)).status).toBe(200);
      expect(await playground.stop()).toBe(0);
    },
    STARTS_WITHIN_MS,
  );
});

describe('what the gateway is given', () => {
  const settings = {
    externalPort: 1,
    internalPort: 2,
    registryUrl: 'http://127.0.0.1:9000',
    servicesFile: '/tmp/services.json',
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
      SERVICES_FILE: '/tmp/services.json',
      DATA_DIR: '/tmp/data',
      JWT_SECRET: 's',
      JWT_SECRET_FILE: '',
    });
  });

  it('leaves DATA_DIR and the choice of Redis to the caller', () => {
    const env = { DATA_DIR: '/kept', REDIS_HOST: 'redis' };
    expect(gatewayEnvironment(settings, env)).toMatchObject(env);
    const withFlag = gatewayEnvironment({ ...settings, redisUrl: 'redis://127.0.0.1:6379' }, env);
    expect(withFlag).toMatchObject({ REDIS_URL: 'redis://127.0.0.1:6379', REDIS_HOST: '' });
  });

  it('is the built-in services with upstreams on this machine', async () => {
    const upstreams = Object.fromEntries(
      SERVICE_NAMES.map((name) => [name, [`http://127.0.0.1/${name}`]]),
    ) as Record<ServiceName, string[]>;
    const files = await createRunFiles(upstreams);
    const { services } = JSON.parse(await readFile(files.servicesFile, 'utf8'));
    await files.remove();
    expect(services).toEqual(
      BUILT_IN_SERVICES.map((service) => ({ ...service, upstreams: [`http://127.0.0.1${service.path}`] })),
    );
    expect(SERVICE_NAMES.map(registryNameOf)).toEqual(BUILT_IN_SERVICES.map(({ name }) => name));
  });
});
