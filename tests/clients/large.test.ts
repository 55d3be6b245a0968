import type { IncomingMessage, OutgoingHttpHeaders, ServerResponse } from 'node:http';
import { Readable } from 'node:stream';
import { text } from 'node:stream/consumers';
import { pipeline } from 'node:stream/promises';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { parseBytes } from '../../config/kinds/bytes.ts';
import { answerTo, open } from '../support/clients/client.ts';
import { type Digest, digestOf, LargeContent } from '../support/content.ts';
import { type Deferred, deferred } from '../support/deferred.ts';
import { eventually } from '../support/eventually.ts';
import {
  credentials,
  type GatewayProcess,
  PORTS,
  type Port,
  startGatewayProcess,
} from '../support/gateway/gatewayProcess.ts';
import { sendJson, startUpstream } from '../support/upstreams/upstream.ts';

const MEBIBYTE = 2 ** 20;
/** `npm run test:large` makes it 1 GiB. */
const LARGE_BYTES = parseBytes(process.env.LARGE_BYTES ?? '64MiB') ?? Number.NaN;
/** The system holds up to 36 MiB for each of the two connections: a sender that waits has more to send. */
const WAITING_BYTES = Math.max(LARGE_BYTES, 128 * MEBIBYTE);
/** However much passes, over both ports together. */
const RSS_MAY_GROW_BYTES = 64 * MEBIBYTE;
/** What the gateway asks of a service that has owed an answer for long, as it does while an upload is slow. */
const HEALTH = '/health';
const WARM_UP_ROUNDS = 3;
const WARM_UP_BYTES = 64 * 1024;
const SLOWEST_BYTES_PER_MS = 8 * 1024;
const TEST_TAKES_AT_MOST_MS = 30_000 + WAITING_BYTES / SLOWEST_BYTES_PER_MS;
/** A sender that made no progress for so many looks waits for its receiver. */
const LOOKS_AT_STANDSTILL = 40;

const stack = new AsyncDisposableStack();
let gateway: GatewayProcess;
let rssBeforeBytes: number;
/** The next request of the service, whose answer is the test's. */
let arrival: Deferred<{ readonly req: IncomingMessage; readonly res: ServerResponse }>;

beforeAll(async () => {
  const service = stack.use(
    await startUpstream((req, res) => (req.url === HEALTH ? res.end() : arrival.resolve({ req, res })), {
      readsBody: false,
    }),
  );
  gateway = stack.use(await startGatewayProcess({ services: { '/files': [service] } }));
  for (let round = 0; round < WARM_UP_ROUNDS; round += 1) {
    for (const port of PORTS) {
      await download(port, WARM_UP_BYTES);
      await upload(port, WARM_UP_BYTES);
    }
  }
  rssBeforeBytes = gateway.rssBytes();
}, TEST_TAKES_AT_MOST_MS);

afterAll(() => stack.disposeAsync());

beforeEach(() => gateway.resetPeakRss());

afterEach(() => {
  const grownBytes = gateway.peakRssBytes() - rssBeforeBytes;
  if (process.env.LARGE_BYTES) report(grownBytes);
  expect(grownBytes).toBeLessThan(RSS_MAY_GROW_BYTES);
});

interface TransferOptions {
  readonly headers?: OutgoingHttpHeaders;
  /** Awaited before the receiver reads anything. */
  readonly beforeReading?: (content: LargeContent) => Promise<void>;
}

interface Transferred {
  readonly sent: Digest;
  readonly received: Digest;
}

async function download(port: Port, bytes: number, options: TransferOptions = {}): Promise<Transferred> {
  const content = new LargeContent(bytes);
  arrival = deferred();
  const request = open(gateway.url(port, '/files/large'), { headers: credentials(port) });
  request.end();
  const { res } = await arrival.promise;
  res.writeHead(200, { 'Cache-Control': 'no-store', ...options.headers });
  const sending = pipeline(Readable.from(content), res);
  // What the client got instead says more than that the sender was cut.
  sending.catch(() => {});
  const answer = await answerTo(request);
  await assertOk(answer);
  await options.beforeReading?.(content);
  const [received] = await Promise.all([digestOf(answer), sending]);
  return { sent: content.digest, received };
}

async function upload(port: Port, bytes: number, options: TransferOptions = {}): Promise<Transferred> {
  const content = new LargeContent(bytes);
  arrival = deferred();
  const headers = { ...credentials(port), ...options.headers };
  const request = open(gateway.url(port, '/files/large'), { method: 'PUT', headers });
  const sending = pipeline(Readable.from(content), request);
  const { req, res } = await arrival.promise;
  await options.beforeReading?.(content);
  const [received] = await Promise.all([digestOf(req), sending]);
  sendJson(res, received);
  const answer = await answerTo(request);
  await assertOk(answer);
  answer.resume();
  return { sent: content.digest, received };
}

async function assertOk(answer: IncomingMessage): Promise<void> {
  if (answer.statusCode !== 200) throw new Error(`${answer.statusCode}: ${await text(answer)}`);
}

/** The receiver reads nothing until the sender can send no more, and has more to send. */
async function senderWaits(content: LargeContent): Promise<void> {
  let seenBytes = 0;
  let looks = 0;
  await eventually('a sender that waits', () => {
    looks = content.bytes === seenBytes ? looks + 1 : 0;
    seenBytes = content.bytes;
    return looks === LOOKS_AT_STANDSTILL;
  });
  expect(seenBytes).toBeLessThan(WAITING_BYTES);
}

describe.each(PORTS)(`${LARGE_BYTES / MEBIBYTE} MiB through the %s port`, (port) => {
  it.each([
    ['download with its length', download, { headers: { 'Content-Length': LARGE_BYTES } }],
    ['download in chunks', download, {}],
    ['upload with its length', upload, { headers: { 'Content-Length': LARGE_BYTES } }],
    ['upload in chunks', upload, {}],
  ])(
    '%s',
    async (_what, transfer, options) => {
      const { sent, received } = await transfer(port, LARGE_BYTES, options);
      expect(sent.bytes).toBe(LARGE_BYTES);
      expect(received).toEqual(sent);
    },
    TEST_TAKES_AT_MOST_MS,
  );

  it.each([
    ['download by a client that does not read at first', download],
    ['upload to a service that does not read at first', upload],
  ])(
    '%s',
    async (_what, transfer) => {
      const { sent, received } = await transfer(port, WAITING_BYTES, { beforeReading: senderWaits });
      expect(sent.bytes).toBe(WAITING_BYTES);
      expect(received).toEqual(sent);
    },
    TEST_TAKES_AT_MOST_MS,
  );
});

function report(grownBytes: number): void {
  const { currentTestName } = expect.getState();
  const grown = (grownBytes / MEBIBYTE).toFixed(1);
  process.stderr.write(`${currentTestName}: the gateway's memory grew by ${grown} MiB\n`);
}
