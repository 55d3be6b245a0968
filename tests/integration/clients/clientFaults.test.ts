import type { RequestListener } from 'node:http';
import { describe, expect, it } from '@jest/globals';
import { RawClient, request } from '../../support/clients/rawClient.ts';
import { eventually } from '../../support/eventually.ts';
import { startGateway, type TestGateway, tokenFor } from '../../support/gateway/gateway.ts';
import { expectProblem, type ProblemCode } from '../../support/gateway/problem.ts';
import { ManualClock } from '../../support/manualClock.ts';
import { startUpstream } from '../../support/upstreams/upstream.ts';

const PORTS = ['external', 'internal'] as const;
const authorization = `Authorization: Bearer ${tokenFor('ann')}`;

interface ClientFault {
  readonly what: string;
  /** Line and fields, which get their Host and the token. */
  readonly line: string;
  readonly fields?: readonly string[];
  readonly content?: string;
  /** Whether the client leaves after it, closes its half, or waits for its answer. Default: waits. */
  readonly ending?: 'leaves' | 'closesHalf' | 'stalls';
  /** `closed`: the connection ends, and no reply says why. */
  readonly reply: ProblemCode | 'closed';
}

const CHUNKED = 'Transfer-Encoding: chunked';

/** What a client may do wrong while its request is one, and the reply that the documents promise. */
const FAULTS: readonly ClientFault[] = [
  { what: 'a chunk of no size', line: 'POST', fields: [CHUNKED], content: 'x\r\n', reply: 'bad_request' },
  {
    what: 'a chunk that is longer than its size',
    line: 'POST',
    fields: [CHUNKED],
    content: '2\r\nabc\r\n',
    reply: 'bad_request',
  },
  {
    what: 'a chunk that breaks after a good one',
    line: 'POST',
    fields: [CHUNKED],
    content: '2\r\nab\r\nzz\r\n',
    reply: 'bad_request',
  },
  {
    what: 'a chunk extension without end',
    line: 'POST',
    fields: [CHUNKED],
    content: `2;${'x'.repeat(70_000)}`,
    reply: 'bad_request',
  },
  {
    what: 'a length and chunks',
    line: 'POST',
    fields: [CHUNKED, 'Content-Length: 2'],
    content: 'ab',
    reply: 'bad_request',
  },
  { what: 'a coding nobody knows', line: 'POST', fields: ['Transfer-Encoding: x'], reply: 'bad_request' },
  {
    what: 'content that stalls',
    line: 'POST',
    fields: ['Content-Length: 5'],
    content: 'ab',
    ending: 'stalls',
    reply: 'upload_stalled',
  },
  {
    what: 'chunks that stall',
    line: 'POST',
    fields: [CHUNKED],
    content: '5\r\nab',
    ending: 'stalls',
    reply: 'upload_stalled',
  },
  {
    what: 'no content after 100 Continue',
    line: 'POST',
    fields: ['Content-Length: 5', 'Expect: 100-continue'],
    ending: 'stalls',
    reply: 'upload_stalled',
  },
  {
    what: 'too much content',
    line: 'POST',
    fields: ['Content-Length: 2000000'],
    reply: 'body_too_large',
  },
  {
    what: 'too large a head',
    line: 'GET',
    fields: [`X-Long: ${'x'.repeat(70_000)}`],
    reply: 'headers_too_large',
  },
  {
    what: 'content that ends early',
    line: 'POST',
    fields: ['Content-Length: 5'],
    content: 'ab',
    ending: 'closesHalf',
    reply: 'closed',
  },
  {
    what: 'leaving within its content',
    line: 'POST',
    fields: ['Content-Length: 5'],
    content: 'ab',
    ending: 'leaves',
    reply: 'closed',
  },
];

/** Reads content and answers when it has come. */
const reads: RequestListener = (req, res) => void req.resume().on('end', () => res.end('ok'));

async function send(test: TestGateway, port: (typeof PORTS)[number], fault: ClientFault): Promise<RawClient> {
  const path = port === 'external' ? '/up/x' : '/internal/up/x';
  const client = await RawClient.to(test[port]);
  const { line, fields = [], content = '', ending } = fault;
  client.send(request(`${line} ${path}`, authorization, 'Connection: keep-alive', ...fields) + content);
  if (ending === 'closesHalf') client.socket.end();
  if (ending === 'leaves') {
    await eventually(
      'it is under way',
      async () => (await test.metric('gateway_lb_instance_in_flight')) === 1,
    );
    client.socket.resetAndDestroy();
  }
  return client;
}

describe.each(PORTS)('on the %s port, a client with', (port) => {
  it.each(FAULTS)('$what: $reply, and no fault of the service', async (fault) => {
    const clock = new ManualClock();
    await using service = await startUpstream(reads, { readsBody: false });
    const env = { MAX_BODY_BYTES: '1MiB' };
    await using test = await startGateway({ services: { '/up': [service] }, env, clock });
    for (let n = 0; n < 4; n += 1) {
      using client = await send(test, port, fault);
      if (fault.ending === 'stalls') {
        await eventually(
          'its content is waited for',
          () => service.requests.length === n + 1 || client.received.includes('100 Continue'),
        );
        await eventually('the stall is noticed', () => {
          clock.advance(3_000);
          return client.received.includes(' 408 ');
        });
      }
      if (fault.reply === 'closed') await client.closed();
      else await expectProblem(await client.answer(), fault.reply);
    }
    await eventually(
      'nothing is under way',
      async () => (await test.metric('gateway_lb_instance_in_flight')) === 0,
    );
    expect(await test.metric('gateway_circuit_breaker_failures_total')).toBe(0);
    expect(await test.metric('gateway_request_timeouts_total')).toBe(0);
    const statuses = test.logLines().map(({ status }) => Number(status ?? 0));
    expect(statuses.filter((status) => status >= 500)).toEqual([]);
    expect(test.logLines().filter(({ level }) => level === 'error')).toEqual([]);
  });
});
