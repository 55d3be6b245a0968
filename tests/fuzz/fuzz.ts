import { startGateway, type TestGateway, tokenFor } from '../support/gateway/gateway.ts';
import { exchange } from './client.ts';
import { fuzzedRequest } from './messages.ts';
import { startStrictOrigin } from './origin.ts';

export type Kind = 'request' | 'answer';

export interface FuzzOptions {
  readonly seed: number;
  /** Stops after this long. */
  readonly forMs: number;
  /** Stops after so many cases. Default: no limit. */
  readonly cases?: number;
  /** Only cases of this kind. Default: both by turns. */
  readonly kind?: Kind;
  readonly onFinding: (finding: string) => void;
}

export interface FuzzReport {
  readonly cases: number;
  /** Requests that reached the origin. */
  readonly requests: number;
  readonly findings: readonly string[];
}

/** Cases under way at a time. */
const LANES = 16;

/** Short, so that cases that wait do not hold up the others, and long enough for a machine that is busy. */
const ENV = {
  REQUEST_TIMEOUT: '3s',
  UPSTREAM_TIMEOUT: '1s',
  HEADERS_TIMEOUT: '2s',
  SEND_TIMEOUT: '2s',
  CIRCUIT_BREAKER_THRESHOLD: '1000000',
  GLOBAL_CONCURRENCY: '1000',
  PER_SERVICE_LIMIT: '1000',
};

/** Each head of an answer to a client must be readable in one way only. */
const HEAD = /^HTTP\/1\.1 [1-9]\d\d [\t -~\x80-\xff]*(?:\r\n[\w!#$%&'*+.^`|~-]+:[\t -~\x80-\xff]*)*$/;

/** Sends odd requests, gets odd answers, and looks whether the gateway stays what it is. */
export async function fuzz(options: Readonly<FuzzOptions>): Promise<FuzzReport> {
  const findings: string[] = [];
  const find = (what: string) => {
    findings.push(what);
    options.onFinding(what);
  };
  const onCrash = (error: unknown) =>
    find(`the process would have died: ${Error.isError(error) ? error.stack : error}`);
  process.on('uncaughtException', onCrash).on('unhandledRejection', onCrash);
  await using origin = await startStrictOrigin(find);
  await using test = await startGateway({ services: { '/up': [origin] }, env: ENV });
  const giveUpAt = performance.now() + options.forMs;
  let cases = 0;

  async function lane(): Promise<void> {
    while (performance.now() < giveUpAt && cases < (options.cases ?? Number.POSITIVE_INFINITY)) {
      const seed = options.seed + cases;
      const kind = options.kind ?? (cases % 2 === 0 ? 'request' : 'answer');
      cases += 1;
      const told = (what: string) =>
        find(`${what}\n  again: npm run fuzz -- --kind ${kind} --cases 1 --seed ${seed}`);
      await (kind === 'request' ? requestCase(test, seed, told) : answerCase(test, seed, told));
    }
  }
  await Promise.all(Array.from({ length: options.cases === 1 ? 1 : LANES }, lane));
  const unexpected = test.logLines().filter(({ level }) => level === 'error');
  for (const line of unexpected) find(`logged: ${JSON.stringify(line)}`);
  process.off('uncaughtException', onCrash).off('unhandledRejection', onCrash);
  return { cases, requests: origin.requests, findings };
}

const token = tokenFor('fuzz');

async function requestCase(test: TestGateway, seed: number, find: (what: string) => void): Promise<void> {
  const external = seed % 3 === 0;
  const bytes = external
    ? fuzzedRequest(seed, '/up', [`Authorization: Bearer ${token}`])
    : fuzzedRequest(seed, '/internal/up', []);
  const { received, hung } = await exchange(external ? test.external : test.internal, bytes, {
    leaves: true,
  });
  if (hung) find(`no end of the connection for ${JSON.stringify(bytes.slice(0, 300))}`);
  checkHead(received, find);
}

async function answerCase(test: TestGateway, seed: number, find: (what: string) => void): Promise<void> {
  const method = ['GET', 'GET', 'HEAD', 'POST'][seed % 4] as string;
  const length = method === 'POST' ? 'Content-Length: 2\r\n' : '';
  const ask = (how: string, target: string, content = '') =>
    exchange(
      test.internal,
      `${how} /internal/up${target} HTTP/1.1\r\nHost: h\r\n${content && length}Connection: close\r\n\r\n${content}`,
      { leaves: false },
    );
  const { received, hung } = await ask(method, `/answer/${seed}`, method === 'POST' ? 'ok' : '');
  if (hung) find('no end of an answer');
  checkHead(received, find);
  // Whatever it left behind on its connection is not for the next.
  const { received: next } = await ask('GET', `/own/${seed}`);
  const status = next.slice(9, 12);
  const isOwn = status === '200' && next.endsWith(`\r\n\r\n/own/${seed}`);
  if (!isOwn && status !== '502') find(`the next request got ${JSON.stringify(next.slice(0, 300))}`);
}

function checkHead(received: string, find: (what: string) => void): void {
  if (received === '') return;
  const head = received.slice(0, received.indexOf('\r\n\r\n'));
  if (!HEAD.test(head)) find(`a client got ${JSON.stringify(head.slice(0, 300))}`);
  else if (/^HTTP\/1\.1 500 /.test(head) && received.includes('internal_error')) find(`a 500: ${head}`);
}
