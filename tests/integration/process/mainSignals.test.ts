import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, it } from '@jest/globals';
import { eventually } from '../../support/eventually.ts';
import { type GatewayRun, runGateway } from '../../support/gateway/gatewayRun.ts';
import { startUpstream } from '../../support/upstreams/upstream.ts';

const WITHIN_MS = 60_000;
const ROOT = join(import.meta.dirname, '../../..');
/** How /proc/net/tcp marks a socket that listens. */
const LISTENS = '0A';

const linesOf = (run: GatewayRun): Record<string, unknown>[] =>
  run
    .stdout()
    .split('\n')
    .filter((line) => line.endsWith('}'))
    .map((line) => JSON.parse(line));

const said = (run: GatewayRun, message: string) =>
  eventually(message, () => linesOf(run).some((line) => line.message === message));

/** The inodes of the sockets on which a process listens. */
function listeningSockets(pid: number): string[] {
  const fds = readdirSync(`/proc/${pid}/fd`).flatMap((fd) => {
    try {
      return [readlinkSync(`/proc/${pid}/fd/${fd}`)];
    } catch {
      return [];
    }
  });
  const lines = ['tcp', 'tcp6'].flatMap((kind) =>
    readFileSync(`/proc/${pid}/net/${kind}`, 'utf8').split('\n'),
  );
  const listening = lines
    .map((line) => line.trim().split(/\s+/))
    .filter(([, , , state]) => state === LISTENS);
  return listening
    .map(([, , , , , , , , , inode]) => String(inode))
    .filter((inode) => fds.includes(`socket:[${inode}]`))
    .sort();
}

/** A module that breaks the gateway it is loaded into once SIGHUP comes. */
function breaking(code: string): { NODE_OPTIONS: string } {
  const module = `process.on('SIGHUP', () => { ${code} });`;
  return { NODE_OPTIONS: `--import=data:text/javascript,${encodeURIComponent(module)}` };
}

it(
  'SIGUSR2 switches debug on and off in a gateway that goes on serving',
  async () => {
    await using upstream = await startUpstream();
    await using run = runGateway({ services: { '/up': [upstream] } });
    const { internal } = await run.listening();
    for (const level of ['debug', 'info', 'debug']) {
      run.kill('SIGUSR2');
      await said(run, `Log level is now ${level}`);
      expect((await fetch(`${internal}/internal/up/x`)).status).toBe(200);
    }
    expect(await run.kill('SIGTERM')).toEqual({ exitCode: 0, signal: null });
  },
  WITHIN_MS,
);

it.each(['1', '2'])(
  'with %s workers SIGHUP, SIGUSR1 and SIGPIPE leave it serving, open nothing and cut nobody',
  async (workers) => {
    let finish = () => {};
    await using upstream = await startUpstream((_req, res) => {
      finish = () => res.end('finished');
    });
    await using run = runGateway({ services: { '/up': [upstream] }, env: { WORKERS: workers } });
    const { internal } = await run.listening();
    const before = listeningSockets(run.pid);
    const answer = fetch(`${internal}/internal/up/x`);
    await eventually('it is there', () => upstream.requests.length === 1);
    for (const signal of ['SIGHUP', 'SIGUSR1', 'SIGPIPE'] as const) run.kill(signal);
    for (const signal of ['SIGHUP', 'SIGUSR1']) {
      await eventually(signal, () =>
        linesOf(run).some((line) => String(line.message).startsWith(`${signal} ignored`)),
      );
    }
    finish();
    expect(await (await answer).text()).toBe('finished');
    expect(listeningSockets(run.pid)).toEqual(before);
    expect(await run.kill('SIGTERM')).toEqual({ exitCode: 0, signal: null });
    expect(run.stderr()).toBe('');
  },
  WITHIN_MS,
);

it(
  'as everything of ours starts it, SIGUSR1 opens no inspector from the first moment on',
  async () => {
    for (const afterMs of [0, 5, 10, 20, 40, 80]) {
      await using run = runGateway({
        services: { '/up': ['http://127.0.0.1:1'] },
        execArgv: ['--disable-sigusr1'],
      });
      await sleep(afterMs);
      // Before Node has read its flags the system ends it; nothing is under way then.
      const ended = run.kill('SIGUSR1');
      await Promise.race([ended, run.listening().catch(() => ended)]);
      expect(run.stderr()).toBe('');
    }
  },
  WITHIN_MS,
);

it.each([
  ['SIGTERM', 143],
  ['SIGINT', 130],
] as const)(
  '%s while it drains ends it at once, with %i, once it can be no repetition of the first',
  async (signal, exitCode) => {
    await using upstream = await startUpstream(() => {});
    await using run = runGateway({
      services: { '/up': [upstream] },
      env: { DRAIN_TIMEOUT: '1h', REQUEST_TIMEOUT: '1h' },
    });
    const { internal } = await run.listening();
    const answer = fetch(`${internal}/internal/up/x`).catch(() => 'cut');
    await eventually('it is there', () => upstream.requests.length === 1);
    run.kill(signal);
    await said(run, 'Draining for at most 3600000 ms');
    let ended: unknown;
    await eventually('it ends', () => {
      void run.kill(signal).then((how) => {
        ended = how;
      });
      return ended;
    });
    expect(ended).toEqual({ exitCode, signal: null });
    expect(await answer).toBe('cut');
    await said(run, `${signal} came again: ending at once, and cutting the requests that are left`);
  },
  WITHIN_MS,
);

it('every start of ours keeps the inspector shut from the first moment on', () => {
  const { scripts } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'));
  const dockerfile = readFileSync(join(ROOT, 'Dockerfile'), 'utf8');
  const operations = readFileSync(join(ROOT, 'docs/operations.md'), 'utf8');
  const starts = [
    scripts.start,
    scripts.dev,
    ...(/^ENTRYPOINT.*gateway.*$/m.exec(dockerfile) ?? []),
    ...(operations.match(/node .*gateway\/main\.ts/g) ?? []),
  ];
  expect(starts.length).toBeGreaterThanOrEqual(5);
  for (const start of starts) expect(start).toContain('--disable-sigusr1');
});

it.each([
  { what: 'an exception', code: 'throw new Error("outer", { cause: new Error("inner") })' },
  { what: 'a rejection', code: 'Promise.reject(new Error("outer", { cause: new Error("inner") }))' },
])(
  '$what that nobody caught is logged once, with its cause; what is under way finishes, and it ends with 1',
  async ({ code }) => {
    let finish = () => {};
    await using upstream = await startUpstream((_req, res) => {
      finish = () => res.end('finished');
    });
    await using run = runGateway({
      services: { '/up': [upstream] },
      env: { DRAIN_TIMEOUT: '20s', ...breaking(code) },
    });
    const { internal } = await run.listening();
    const answer = fetch(`${internal}/internal/up/x`);
    await eventually('it is there', () => upstream.requests.length === 1);
    const ended = run.kill('SIGHUP');
    await said(run, 'Draining for at most 20000 ms');
    finish();
    expect(await (await answer).text()).toBe('finished');
    expect(await ended).toEqual({ exitCode: 1, signal: null });
    const errors = linesOf(run).filter(({ level }) => level === 'error');
    expect(errors).toEqual([
      expect.objectContaining({
        message: expect.stringContaining('nobody caught'),
        error: expect.objectContaining({
          message: 'outer',
          cause: expect.objectContaining({ message: 'inner' }),
        }),
      }),
    ]);
    expect(run.stderr()).toBe('');
  },
  WITHIN_MS,
);
