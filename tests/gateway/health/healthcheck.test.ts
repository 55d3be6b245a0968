import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { afterEach, describe, expect, it, jest } from '@jest/globals';
import { readDockerfile } from '../../support/deploy/dockerfile.ts';
import { eventually } from '../../support/eventually.ts';
import { startGatewayProcess } from '../../support/gateway/gatewayProcess.ts';
import { freePort, startRedis } from '../../support/stores/redis.ts';
import { startUpstream } from '../../support/upstreams/upstream.ts';

// Real processes on a machine that may be busy.
jest.setTimeout(60_000);

const ROOT = join(import.meta.dirname, '../../..');
const CHECK = join(ROOT, 'gateway/healthcheck.sh');
const RUNS = 50;
const LIMIT_MS = 2_000;

interface Checked {
  readonly code: number;
  readonly output: string;
  readonly tookMs: number;
}

/** Runs the check with these variables and no others. */
function check(env: Readonly<Record<string, string>>): Promise<Checked> {
  const at = performance.now();
  return new Promise((resolve) => {
    const options = { env: { PATH: process.env.PATH, ...env } };
    execFile('bash', [CHECK], options, (error, stdout) =>
      resolve({ code: Number(error?.code ?? 0), output: stdout.trim(), tookMs: performance.now() - at }),
    );
  });
}

const portOf = (origin: string) => ({ INTERNAL_PORT: new URL(origin).port });

const servers: Server[] = [];
const sockets = new Set<Socket>();
afterEach(() => {
  for (const socket of sockets) socket.destroy();
  for (const server of servers.splice(0)) server.close();
});

/** Something that is no gateway, on a free port. */
async function serve(heard: (socket: Socket) => void, host = '127.0.0.1'): Promise<string> {
  const server = createServer((socket) => {
    sockets.add(socket.on('error', () => {}).resume());
    heard(socket);
  }).listen(0, host);
  servers.push(server);
  await once(server, 'listening');
  return String((server.address() as AddressInfo).port);
}

function trickle(socket: Socket): void {
  const timer = setInterval(() => socket.write('H'), 200);
  socket.once('close', () => clearInterval(timer));
}

const LISTENS_WITH_NO_ROOM = `
  const server = require('node:net').createServer().listen(0, '127.0.0.1', 1);
  server.once('listening', () => process.stdout.write(String(server.address().port)));`;

const answers = (head: string) => (socket: Socket) =>
  void socket.once('data', () => socket.end(`${head}\r\nContent-Length: 2\r\n\r\n{}`));

it('is what the image runs', () => {
  const gateway = readDockerfile(join(ROOT, 'Dockerfile')).find(({ name }) => name === 'gateway');
  const text = gateway?.instructions.find(({ name }) => name === 'HEALTHCHECK')?.text ?? '';
  expect(text).toContain('CMD ["bash", "gateway/healthcheck.sh"]');
});

describe('the health check', () => {
  it('of a gateway that is ready passes, and of one that has lost Redis: another would not have it either', async () => {
    const redis = await startRedis();
    try {
      await using upstream = await startUpstream();
      await using gateway = await startGatewayProcess({
        services: { '/up': [upstream] },
        env: { REDIS_URL: redis.url, STORE_TIMEOUT: '500ms' },
      });
      const healthy = { code: 0, output: 'HTTP/1.1 200 OK', tookMs: expect.any(Number) };
      expect(await check(portOf(gateway.internal))).toEqual(healthy);
      await redis.kill();
      await eventually(
        'it is noticed',
        async () => (await fetch(`${gateway.external}/readyz`)).status === 503,
      );
      expect(await check(portOf(gateway.internal))).toEqual(healthy);
      // The port that users come to says otherwise.
      expect(await check(portOf(gateway.external))).toMatchObject({
        code: 1,
        output: 'HTTP/1.1 503 Service Unavailable',
      });
    } finally {
      await redis.stop();
    }
  });

  it('of a gateway that hangs fails in time, and passes when it goes on', async () => {
    await using upstream = await startUpstream();
    await using gateway = await startGatewayProcess({ services: { '/up': [upstream] } });
    process.kill(gateway.pid, 'SIGSTOP');
    const checked = await check(portOf(gateway.internal));
    process.kill(gateway.pid, 'SIGCONT');
    expect(checked).toMatchObject({ code: 1, output: 'no response within 2 s' });
    expect(checked.tookMs).toBeGreaterThan(LIMIT_MS - 100);
    expect(checked.tookMs).toBeLessThan(2 * LIMIT_MS);
    expect((await check(portOf(gateway.internal))).code).toBe(0);
  });

  it.each([
    ['says nothing', () => {}],
    ['says a byte now and then', (socket: Socket) => trickle(socket)],
  ])('of what takes the connection and %s fails in time, and leaves nothing behind', async (_what, heard) => {
    const checked = await check({ INTERNAL_PORT: await serve(heard) });
    expect(checked).toMatchObject({ code: 1, output: 'no response within 2 s' });
    expect(checked.tookMs).toBeLessThan(2 * LIMIT_MS);
    await eventually('nobody is connected', () => [...sockets].every(({ destroyed }) => destroyed));
  });

  it('that is killed before its time is up leaves nothing behind either', async () => {
    const taken = Promise.withResolvers<void>();
    const INTERNAL_PORT = await serve(() => taken.resolve());
    const running = execFile('bash', [CHECK], { env: { PATH: process.env.PATH, INTERNAL_PORT } });
    await taken.promise;
    running.kill('SIGKILL');
    await eventually('nobody is connected', () => [...sockets].every(({ destroyed }) => destroyed));
  });

  it('of what does not even take the connection fails in time', async () => {
    const hung = execFile(process.execPath, ['--eval', LISTENS_WITH_NO_ROOM]);
    try {
      const [text] = await once(hung.stdout as Readable, 'data');
      const port = Number(text);
      hung.kill('SIGSTOP');
      // More than wait to be taken: the kernel drops whoever comes next.
      for (let n = 0; n < 8; n += 1) sockets.add(connect(port, '127.0.0.1').on('error', () => {}));
      await eventually('there is no more room', () => [...sockets].some(({ connecting }) => !connecting));
      const checked = await check({ INTERNAL_PORT: String(port) });
      expect(checked).toMatchObject({ code: 1, output: 'no response within 2 s' });
      expect(checked.tookMs).toBeLessThan(2 * LIMIT_MS);
    } finally {
      hung.kill('SIGKILL');
    }
  });

  it('fails at once where nobody listens', async () => {
    const checked = await check({ INTERNAL_PORT: String(await freePort()) });
    expect(checked.code).toBe(1);
    expect(checked.output).toContain('Connection refused');
    expect(checked.tookMs).toBeLessThan(LIMIT_MS);
  });

  it.each(['HTTP/1.1 503 Service Unavailable', 'HTTP/1.1 404 Not Found', '+PONG'])(
    'takes %s for no',
    async (head) => {
      expect((await check({ INTERNAL_PORT: await serve(answers(head)) })).code).toBe(1);
    },
  );

  it.each(['127.0.0.1', '::1', '::'])('asks where INTERNAL_HOST=%s lets it listen', async (INTERNAL_HOST) => {
    const INTERNAL_PORT = await serve(answers('HTTP/1.1 200 OK'), INTERNAL_HOST);
    expect((await check({ INTERNAL_HOST, INTERNAL_PORT })).code).toBe(0);
  });

  it.each(['\r', ' ', '\n'])('takes no notice of white space around a value, such as %j', async (space) => {
    const INTERNAL_PORT = await serve(answers('HTTP/1.1 200 OK'));
    const padded = {
      INTERNAL_HOST: `${space}127.0.0.1${space}`,
      INTERNAL_PORT: `${space}${INTERNAL_PORT}${space}`,
    };
    expect(await check(padded)).toMatchObject({ code: 0 });
    // Nothing but that is nothing, to the gateway as well.
    expect(await check({ INTERNAL_HOST: space, INTERNAL_PORT })).toMatchObject({ code: 0 });
  });

  it(`takes at most 15 ms of CPU, in ${RUNS} runs`, async () => {
    const env = { PATH: process.env.PATH, INTERNAL_PORT: await serve(answers('HTTP/1.1 200 OK')) };
    const loop = `for ((n = 0; n < ${RUNS}; n += 1)); do bash ${CHECK} >/dev/null || exit; done; times`;
    const output = await new Promise<string>((resolve, reject) => {
      execFile('bash', ['-c', loop], { env }, (error, stdout) => (error ? reject(error) : resolve(stdout)));
    });
    // What the shell's children took, as 0m0.081s 0m0.042s.
    const [, children = ''] = output.trim().split('\n');
    const seconds = [...children.matchAll(/(\d+)m([\d.]+)s/g)].map(
      ([, min, s]) => Number(min) * 60 + Number(s),
    );
    expect(seconds).toHaveLength(2);
    const cpuMs = (seconds.reduce((sum, each) => sum + each, 0) * 1_000) / RUNS;
    expect(cpuMs).toBeGreaterThan(0);
    expect(cpuMs).toBeLessThan(15);
  });

  it('takes at most 4 MiB', async () => {
    const env = { PATH: process.env.PATH, INTERNAL_PORT: await serve(answers('HTTP/1.1 200 OK')) };
    const show = 'while read -r line; do echo "$line"; done </proc/self/status';
    const output = await new Promise<string>((resolve, reject) => {
      execFile('bash', ['-c', `. ${CHECK} && ${show}`], { env }, (error, stdout) =>
        error ? reject(error) : resolve(stdout),
      );
    });
    const peakKiB = Number(/^VmHWM:\s*(\d+) kB$/m.exec(output)?.[1]);
    expect(peakKiB).toBeGreaterThan(1_000);
    expect(peakKiB).toBeLessThan(4 * 1_024);
  });
});
