import type { ClientRequest, ServerResponse } from 'node:http';
import { afterAll, beforeAll, describe, expect, it, jest } from '@jest/globals';
import { answerTo, type CallResponse, call, open } from '../../support/clients/client.ts';
import { eventually } from '../../support/eventually.ts';
import { bearer, tokenFor } from '../../support/gateway/gateway.ts';
import { type GatewayProcess, startGatewayProcess } from '../../support/gateway/gatewayProcess.ts';
import { ensureCommand, INSTALLS_WITHIN_MS, run } from '../../support/processes/command.ts';
import { startUpstream } from '../../support/upstreams/upstream.ts';

// A process with several threads takes its time to start on a machine that may be busy.
jest.setTimeout(120_000);

beforeAll(() => ensureCommand('ab', 'apache2-utils'), INSTALLS_WITHIN_MS);

describe.each(['1', '2'])('with WORKERS=%s', (workers) => {
  const stack = new AsyncDisposableStack();
  const waiting: ServerResponse[] = [];
  let gateway: GatewayProcess;

  beforeAll(async () => {
    const service = stack.use(
      await startUpstream((req, res) => {
        if (req.url === '/events') {
          res.writeHead(200, { 'Content-Type': 'text/event-stream' }).write('data: 1\n\n');
        } else if (req.url === '/slow') {
          setTimeout(() => res.end('ok'), 20);
        } else {
          waiting.push(res);
        }
      }),
    );
    const env = { WORKERS: workers, REQUEST_TIMEOUT: '60s', GET_CACHE_TTL: 'off' };
    gateway = stack.use(await startGatewayProcess({ services: { '/up': [service] }, env }));
  });

  afterAll(() => stack.disposeAsync());

  const ask = (user: string, path = '/up/x') =>
    call(gateway.url('external', path), { headers: bearer(tokenFor(user)) });
  const codes = (answers: readonly CallResponse[]) =>
    answers.map(({ status, body }) => (status === 200 ? 200 : JSON.parse(body.toString()).code));

  it('ab alone gets 429 past ten, and everything up to there', async () => {
    const fields = ['-H', `Authorization: ${bearer(tokenFor('ab')).Authorization}`];
    const abOf = async (connections: number) => {
      const args = [
        '-q',
        '-n',
        '300',
        '-c',
        String(connections),
        ...fields,
        gateway.url('external', '/up/slow'),
      ];
      return (await run('ab', args)).stdout.toString();
    };
    expect(await abOf(15)).toMatch(/Non-2xx responses: +[1-9]/);
    expect(await abOf(10)).not.toContain('Non-2xx');
  });

  it('one user holds eight of ten permits, and another gets in', async () => {
    const other = ask('other');
    await eventually('it is there', () => waiting.length === 1);
    // Each on a connection of its own, so in whichever thread; one token, as a script has it.
    const token = bearer(tokenFor('greedy'));
    const answers: CallResponse[] = [];
    for (let n = 0; n < 15; n += 1) {
      void call(gateway.url('external', '/up/x'), { headers: token }).then((answer) => answers.push(answer));
    }
    await eventually('the refusals', () => answers.length === 7);
    await eventually('those that were let in', () => waiting.length === 9);
    // Full is what it is for a moment, while one that may not have it holds the last permit.
    expect(['fair_share_used', 'service_busy']).toEqual(expect.arrayContaining(codes(answers)));
    expect(codes(answers)).toContain('fair_share_used');
    const third = ask('third');
    await eventually('it is in', () => waiting.length === 10);
    for (const res of waiting.splice(0)) res.end('ok');
    expect(codes([await other, await third])).toEqual([200, 200]);
    await eventually('all are answered', () => answers.length === 15);
  });

  it('twelve event streams leave its permits to requests', async () => {
    const streams: ClientRequest[] = [];
    for (let n = 0; n < 12; n += 1) {
      const stream = open(gateway.url('external', '/up/events'), {
        headers: bearer(tokenFor('listener')),
      }).end();
      streams.push(stream);
      expect((await answerTo(stream)).statusCode).toBe(200);
    }
    const asked = Array.from({ length: 8 }, (_, n) => ask(`other ${n % 4}`));
    await eventually('all are there', () => waiting.length === 8);
    for (const res of waiting.splice(0)) res.end('ok');
    expect(codes(await Promise.all(asked))).toEqual(Array(8).fill(200));
    for (const stream of streams) stream.destroy();
  });
});
