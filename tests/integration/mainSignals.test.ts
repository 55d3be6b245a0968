import { expect, it } from '@jest/globals';
import { eventually } from '../support/eventually.ts';
import { type GatewayRun, runGateway } from '../support/gatewayRun.ts';
import { startUpstream } from '../support/upstream.ts';

const WITHIN_MS = 60_000;

const linesOf = (run: GatewayRun): Record<string, unknown>[] =>
  run
    .stdout()
    .split('\n')
    .filter((line) => line.endsWith('}'))
    .map((line) => JSON.parse(line));

const said = (run: GatewayRun, message: string) =>
  eventually(message, () => linesOf(run).some((line) => line.message === message));

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
