import { chmod, mkdtemp, readdir, readFile, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { FlagError } from '../../config/commandLine/flags.ts';
import { choose } from '../../playground/control/choose.ts';
import { parseCommand } from '../../playground/control/command.ts';
import { socketPathOf } from '../../playground/control/sockets.ts';
import { eventually } from '../support/eventually.ts';
import { isAlive, runCtl, startPlayground, type TestPlayground } from '../support/processes/playground.ts';

const STARTS_WITHIN_MS = 30_000;
/** Slow enough to be told from no delay at all. */
const DELAY_MS = 100;
const HALTED = 'T';

describe('parseCommand', () => {
  it.each([
    { words: [], expected: { action: 'list' } },
    { words: ['list'], expected: { action: 'list' } },
    { words: ['kill', 'budgeting.2'], expected: { action: 'kill', name: 'budgeting.2', value: 0 } },
    {
      words: ['slow', 'budgeting.2', '2000'],
      expected: { action: 'slow', name: 'budgeting.2', value: 2000 },
    },
    { words: ['fail', 'budgeting.2', '0'], expected: { action: 'fail', name: 'budgeting.2', value: 0 } },
    { words: ['join', 'budgeting'], expected: { action: 'join', name: 'budgeting', value: 0 } },
  ])('understands $words', ({ words, expected }) => {
    expect(parseCommand(words)).toEqual(expected);
  });

  it.each([
    {
      words: ['freez', 'budgeting.2'],
      message: '"freez" is no command: there are list, kill, freeze, thaw, ',
    },
    { words: ['list', 'all'], message: 'list takes nothing more, got "all"' },
    { words: ['kill'], message: 'kill needs a name, such as kill budgeting.1' },
    { words: ['kill', 'a.1', 'b.1'], message: 'kill takes a name alone, got "b.1"' },
    { words: ['slow', 'a.1'], message: 'slow a.1 needs milliseconds from 0 to 3600000' },
    { words: ['slow', 'a.1', '2s'], message: 'slow a.1 needs milliseconds from 0 to 3600000, got "2s"' },
    { words: ['slow', 'a.1', '3600001'], message: 'got "3600001"' },
    { words: ['slow', 'a.1', '1', '2'], message: 'got "1 2"' },
    { words: ['fail', 'a.1', '200'], message: 'needs a status from 400 to 599, or 0 for none, got "200"' },
    { words: ['fail', 'a.1', '-1'], message: 'got "-1"' },
  ])('refuses $words', ({ words, message }) => {
    expect(() => parseCommand(words)).toThrow(FlagError);
    expect(() => parseCommand(words)).toThrow(message);
  });
});

describe('choose', () => {
  const at = (registryPort: number) => ({ registryPort, socketPath: `/${registryPort}.sock` });

  it.each([
    { running: [9100], asked: undefined, chosen: 9100 },
    { running: [9200, 9100], asked: undefined, chosen: 9200 },
    { running: [9200, 9000, 9100], asked: undefined, chosen: 9000 },
    { running: [9200, 9000, 9100], asked: 9100, chosen: 9100 },
  ])('of $running, with $asked asked for, takes $chosen', ({ running, asked, chosen }) => {
    expect(choose(running.map(at), asked)).toEqual(at(chosen));
  });
});

describe('control of a running playground', () => {
  let playground: TestPlayground;

  beforeAll(async () => {
    playground = await startPlayground(['--only=budgeting,sharing', '--replicas=budgeting=3']);
  }, STARTS_WITHIN_MS);

  afterAll(async () => {
    await playground?.stop();
  });

  async function urlOf(name: string, path = '/api/balance'): Promise<string> {
    const status = (await playground.ctl('list')).find((one) => one.name === name);
    return `${status?.url}${path}`;
  }

  async function pidOf(name: string): Promise<number> {
    return (await playground.ctl('list')).find((one) => one.name === name)?.pid ?? 0;
  }

  async function stateOf(name: string): Promise<string | undefined> {
    return (await playground.ctl('list')).find((one) => one.name === name)?.state;
  }

  async function registered(url: string): Promise<Registered[]> {
    const answer = await fetch(`${playground.urls.registry}/services`);
    return (((await answer.json()) as Registered[] | null) ?? []).filter((one) => url.startsWith(one.url));
  }

  it('lists what runs, as a table, with or without the word', async () => {
    const { urls, pids } = playground;
    const flag = `--registry-port=${new URL(urls.registry).port}`;
    const [listed, plain] = await Promise.all([runCtl([flag, 'list']), runCtl([flag])]);
    expect(listed).toEqual(plain);
    expect(listed.exitCode).toBe(0);
    expect(listed.stdout.split('\n').map((line) => line.split(/ {2,}/))).toEqual([
      ['NAME', 'ADDRESS', 'PID', 'STATE'],
      ['gateway', urls.external, String(pids.gateway), 'running'],
      ['registry', urls.registry, String(pids.registry), 'running'],
      ['budgeting.1', urls.services.budgeting[0], String(pids['budgeting.1']), 'running'],
      ['budgeting.2', urls.services.budgeting[1], String(pids['budgeting.2']), 'running'],
      ['budgeting.3', urls.services.budgeting[2], String(pids['budgeting.3']), 'running'],
      ['sharing.1', urls.services.sharing[0], String(pids['sharing.1']), 'running'],
      [''],
    ]);
  });

  it('freezes a replica, which answers when it is thawed', async () => {
    const [status] = await playground.ctl('freeze', 'budgeting.2');
    expect(status).toMatchObject({ name: 'budgeting.2', state: 'frozen' });
    expect(await processState(status?.pid)).toBe(HALTED);
    const answer = fetch(await urlOf('budgeting.2'));
    await expect(playground.ctl('freeze', 'budgeting.2')).rejects.toThrow(
      'budgeting.2 is frozen: it takes kill or thaw, not freeze',
    );
    await expect(playground.ctl('slow', 'budgeting.2', '1')).rejects.toThrow('not slow');
    expect(await playground.ctl('thaw', 'budgeting.2')).toMatchObject([{ state: 'running' }]);
    expect((await answer).status).toBe(200);
    await expect(playground.ctl('thaw', 'budgeting.2')).rejects.toThrow('budgeting.2 is running: it takes');
  });

  it('slows a replica down, but not its health check', async () => {
    const url = await urlOf('budgeting.2');
    expect(await playground.ctl('slow', 'budgeting.2', '3600000')).toMatchObject([
      { state: 'running, slow by 3600000 ms' },
    ]);
    expect((await fetch(await urlOf('budgeting.2', '/health'))).status).toBe(200);
    await playground.ctl('slow', 'budgeting.2', String(DELAY_MS));
    const before = performance.now();
    expect((await fetch(url)).status).toBe(200);
    // Timers may fire up to a millisecond early.
    expect(performance.now() - before).toBeGreaterThanOrEqual(DELAY_MS - 1);
    expect(await playground.ctl('slow', 'budgeting.2', '0')).toMatchObject([{ state: 'running' }]);
  });

  it('makes a replica fail, except its health check, until it is healed', async () => {
    const url = await urlOf('budgeting.2');
    await playground.ctl('slow', 'budgeting.2', '1');
    expect(await playground.ctl('fail', 'budgeting.2', '503')).toMatchObject([
      { state: 'running, slow by 1 ms, failing with 503' },
    ]);
    const answer = await fetch(url);
    expect(answer.status).toBe(503);
    expect(answer.headers.get('X-Replica')).toMatch(/^padstack_budgeting-service\.2\./);
    expect((await fetch(await urlOf('budgeting.2', '/health'))).status).toBe(200);
    expect(await registered(url)).toMatchObject([{ status: 'healthy' }]);
    expect((await fetch(await urlOf('budgeting.1'))).status).toBe(200);
    expect(await playground.ctl('heal', 'budgeting.2')).toMatchObject([{ state: 'running' }]);
    expect((await fetch(url)).status).toBe(200);
  });

  it('has a replica back that the gateway deregistered, under a new id and with no requests', async () => {
    const url = await urlOf('sharing.1', '/loans');
    for (let n = 0; n < 3; n++) await fetch(url);
    const [{ id = '', host = '' } = {}] = await registered(url);
    await fetch(`${playground.urls.registry}/deregister?id=${host}`, { method: 'DELETE' });
    expect(await registered(url)).toEqual([]);
    const back = await eventually('it is back, and checked', async () =>
      (await registered(url)).find(({ status }) => status !== 'unknown'),
    );
    expect(back).toMatchObject({ host, status: 'healthy', request_count: 0 });
    expect(back.id).not.toBe(id);
    const health = (await (await fetch(await urlOf('sharing.1', '/health'))).json()) as object;
    expect(health).toMatchObject({ message: 'Service is healthy', requestsCount: 3 });
  });

  it('kills a replica, which is no failure, and starts it again on its port', async () => {
    const url = await urlOf('budgeting.2');
    const pid = await pidOf('budgeting.2');
    const [before] = await registered(url);
    expect(await playground.ctl('kill', 'budgeting.2')).toMatchObject([{ pid: null, state: 'killed' }]);
    expect(isAlive(pid)).toBe(false);
    await expect(fetch(url)).rejects.toThrow();
    await expect(playground.ctl('kill', 'budgeting.2')).rejects.toThrow(
      'budgeting.2 is killed: it takes join, not kill',
    );
    const [again] = await playground.ctl('join', 'budgeting.2');
    expect(again).toMatchObject({ name: 'budgeting.2', state: 'running' });
    expect(again?.pid).not.toBe(pid);
    expect((await fetch(url)).status).toBe(200);
    // In the place of the one that died without a word.
    const listed = await registered(url);
    expect(listed).toMatchObject([{ status: 'healthy', request_count: 0 }]);
    expect(listed[0]?.host).not.toBe(before?.host);
    expect(playground.output()).not.toContain('✘');
  });

  it('kills a frozen replica', async () => {
    await playground.ctl('freeze', 'budgeting.2');
    const pid = await pidOf('budgeting.2');
    await playground.ctl('kill', 'budgeting.2');
    expect(isAlive(pid)).toBe(false);
    await playground.ctl('join', 'budgeting.2');
  });

  it('adds a replica under the next number or a given one, and registers it', async () => {
    for (const [word, name] of [
      ['budgeting', 'budgeting.4'],
      ['budgeting.9', 'budgeting.9'],
      ['budgeting', 'budgeting.5'],
    ] as const) {
      const [added] = await playground.ctl('join', word);
      expect(added).toMatchObject({ name, state: 'running' });
      const [listed] = await registered(added?.url ?? '');
      expect(listed).toMatchObject({ name: 'budgeting', status: 'healthy', request_count: 0 });
      expect(listed?.host).toContain(`padstack_${name.replace('.', '-service.')}.`);
    }
  });

  it('lets a replica leave, which first answers what it has and what still comes', async () => {
    const url = await urlOf('budgeting.3');
    const gate = new AbortController();
    const stream = await fetch(await urlOf('budgeting.3', '/stream?chunks=1000&ms=10'), {
      signal: gate.signal,
    });
    expect(await playground.ctl('leave', 'budgeting.3')).toMatchObject([{ state: 'leaving' }]);
    expect(await registered(url)).toEqual([]);
    expect((await fetch(url)).status).toBe(200);
    expect(stream.status).toBe(200);
    gate.abort();
    await eventually('it has left', async () => (await stateOf('budgeting.3')) === 'left');
    await expect(fetch(url)).rejects.toThrow();
    expect(playground.output()).not.toContain('✘');
    await playground.ctl('join', 'budgeting.3');
    expect(await registered(url)).toMatchObject([{ status: 'healthy' }]);
  });

  it('names what there is when it is given another name', async () => {
    await expect(playground.ctl('kill', 'budgeting')).rejects.toThrow(
      /^there is no budgeting: there are budgeting\.1, budgeting\.2, .*, sharing\.1$/,
    );
    await expect(playground.ctl('join', 'checkin')).rejects.toThrow(
      '"checkin" cannot join: give a service, or a replica from .1 to .99, of budgeting, sharing',
    );
    await expect(playground.ctl('join', 'budgeting.100')).rejects.toThrow('"budgeting.100" cannot join');
  });

  it('shows each command among the lines of the gateway', async () => {
    await playground.ctl('slow', 'budgeting.1', '5');
    await playground.ctl('heal', 'budgeting.1');
    expect(playground.output()).toContain('control | slow budgeting.1 5\ncontrol | heal budgeting.1\n');
  });

  it('reports a replica that ends by itself, as ever, and can start it again', async () => {
    process.kill(await pidOf('budgeting.1'), 'SIGKILL');
    await eventually('it is reported', () =>
      playground.output().includes('✘ budgeting.1 was killed by SIGKILL'),
    );
    expect(await stateOf('budgeting.1')).toBe('died');
    expect(await playground.ctl('join', 'budgeting.1')).toMatchObject([{ state: 'running' }]);
  });

  it('takes commands from this user alone', async () => {
    const socketPath = await socketPathOf(Number(new URL(playground.urls.registry).port));
    expect((await stat(dirname(socketPath))).mode & 0o777).toBe(0o700);
  });
});

describe('several playgrounds', () => {
  let directory: string;
  let playgrounds: TestPlayground[];
  let env: NodeJS.ProcessEnv;

  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), 'playground-ctl-'));
    env = { TMPDIR: directory };
    playgrounds = [];
    for (let n = 0; n < 2; n++) {
      playgrounds.push(await startPlayground(['--no-gateway', '--only=sharing'], env));
    }
  }, STARTS_WITHIN_MS);

  afterAll(async () => {
    await Promise.all(playgrounds.map((playground) => playground.stop()));
    await rm(directory, { recursive: true });
  });

  function registryPort(index: number): string {
    return new URL(playgrounds[index]?.urls.registry ?? '').port;
  }

  it('are told apart by --registry-port; without it the last one is meant', async () => {
    const last = await runCtl(['list'], env);
    expect(last.stdout).toContain(`:${registryPort(1)} `);
    expect(last.stderr).toBe(
      `Several playgrounds run, this is ${registryPort(1)}: --registry-port chooses another of ${registryPort(1)}, ${registryPort(0)}.\n`,
    );
    const first = await runCtl(['--registry-port', registryPort(0)], env);
    expect(first).toMatchObject({ exitCode: 0, stderr: '' });
    expect(first.stdout).toContain(`:${registryPort(0)} `);
    const none = await runCtl(['--registry-port=1'], env);
    expect(none.exitCode).toBe(1);
    expect(none.stderr).toBe(
      `no playground runs with --registry-port 1, but with ${registryPort(1)}, ${registryPort(0)}\n`,
    );
  });

  it('end with all their processes although a replica is frozen, and leave no socket', async () => {
    const [playground] = playgrounds as [TestPlayground];
    await runCtl(['freeze', 'sharing.1', '--registry-port', registryPort(0)], env);
    expect(await processState(playground.pids['sharing.1'])).toBe(HALTED);
    expect(await playground.stop()).toBe(0);
    expect(Object.values(playground.pids).filter(isAlive)).toEqual([]);
    const control = (await readdir(directory)).find((name) => name.startsWith('playground-control-'));
    const left = await readdir(join(directory, control ?? ''));
    expect(left).toEqual([`${registryPort(1)}.sock`]);
  });

  it('leave no frozen replica behind when they are killed themselves', async () => {
    const playground = playgrounds[1] as TestPlayground;
    // The only one left needs no flag.
    expect(await runCtl(['freeze', 'sharing.1'], env)).toMatchObject({ exitCode: 0, stderr: '' });
    expect(await processState(playground.pids['sharing.1'])).toBe(HALTED);
    await playground.stop('SIGKILL');
    await eventually('all have ended', () => !Object.values(playground.pids).some(isAlive));
  });

  it('are not there any more, which is said with what starts one', async () => {
    const { exitCode, stdout, stderr } = await runCtl(['kill', 'sharing.1'], env);
    expect({ exitCode, stdout }).toEqual({ exitCode: 1, stdout: '' });
    expect(stderr).toBe('no playground runs: start one with npm run playground\n');
  });
});

describe('playground:ctl command', () => {
  it('explains itself with --help', async () => {
    const { exitCode, stdout } = await runCtl(['--help']);
    expect(exitCode).toBe(0);
    for (const word of ['list', 'kill', 'freeze', 'thaw', 'slow', 'fail', 'heal', 'leave', 'join']) {
      expect(stdout).toMatch(new RegExp(`^  ${word} `, 'm'));
    }
    expect(stdout).toContain('--registry-port');
  });

  it.each([
    [['freez', 'budgeting.1'], '"freez" is no command'],
    [['--registry-prot=1'], "'--registry-prot'"],
    [['--registry-port=http'], '--registry-port must be a port'],
  ])('refuses %j, and points to --help', async (words, complaint) => {
    const { exitCode, stderr } = await runCtl(words);
    expect(exitCode).toBe(2);
    expect(stderr).toContain(complaint);
    expect(stderr).toContain('npm run playground:ctl -- --help');
  });

  it('has nothing to do with a directory that others can enter', async () => {
    const TMPDIR = await mkdtemp(join(tmpdir(), 'playground-ctl-'));
    await runCtl([], { TMPDIR });
    const [name = ''] = await readdir(TMPDIR);
    await chmod(join(TMPDIR, name), 0o755);
    const { exitCode, stderr } = await runCtl([], { TMPDIR });
    await rm(TMPDIR, { recursive: true });
    expect(exitCode).toBe(1);
    expect(stderr).toContain(`${join(TMPDIR, name)} must be a directory of yours that nobody else may enter`);
  });
});

interface Registered {
  readonly id: string;
  readonly host: string;
  readonly name: string;
  readonly url: string;
  readonly status: string;
  readonly request_count: number;
}

/** As Linux tells it: `S` sleeping, `R` running, `T` halted. */
async function processState(pid: number | null | undefined): Promise<string | undefined> {
  return /^State:\s+(\w)/m.exec(await readFile(`/proc/${pid}/status`, 'utf8'))?.[1];
}
