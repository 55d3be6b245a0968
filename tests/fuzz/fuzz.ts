import { startGateway, type TestGateway, tokenFor } from '../support/gateway/gateway.ts';
import type { Wanted } from '../support/readings/model.ts';
import { exchange } from './client.ts';
import { GUARDED, startGuardedOrigin } from './guardedOrigin.ts';
import { fuzzedRequest, guardedRequest } from './messages.ts';
import { startStrictOrigin } from './origin.ts';

export const KINDS = ['request', 'answer', 'route'] as const;
export type Kind = (typeof KINDS)[number];

export interface FuzzOptions {
  readonly seed: number;
  /** Stops after this long. */
  readonly forMs: number;
  /** Stops after so many cases. Default: no limit. */
  readonly cases?: number;
  /** Only cases of this kind. Default: all by turns. */
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
  await using guarded = await startGuardedOrigin(find);
  const services = { '/up': [origin], '/guarded': { upstreams: [guarded], routes: GUARDED.map(written) } };
  await using test = await startGateway({ services, env: ENV });
  const giveUpAt = performance.now() + options.forMs;
  let cases = 0;

  async function lane(): Promise<void> {
    while (performance.now() < giveUpAt && cases < (options.cases ?? Number.POSITIVE_INFINITY)) {
      const seed = options.seed + cases;
      const kind = options.kind ?? (KINDS[cases % KINDS.length] as Kind);
      cases += 1;
      const told = (what: string) =>
        find(`${what}\n  again: npm run fuzz -- --kind ${kind} --cases 1 --seed ${seed}`);
      await CASES[kind](test, seed, told);
    }
  }
  await Promise.all(Array.from({ length: options.cases === 1 ? 1 : LANES }, lane));
  const unexpected = test.logLines().filter(({ level }) => level === 'error');
  for (const line of unexpected) find(`logged: ${JSON.stringify(line)}`);
  process.off('uncaughtException', onCrash).off('unhandledRejection', onCrash);
  return { cases, requests: origin.requests + guarded.requests.length, findings };
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

const CALLERS = [
  '',
  ...['', 'admin', 'files', 'admin files'].map(
    (scope) => `Authorization: Bearer ${tokenFor('fuzz', { scope })}`,
  ),
];

/** What the service gets that it would guard, `startGuardedOrigin` finds. */
async function routeCase(test: TestGateway, seed: number, find: (what: string) => void): Promise<void> {
  const bytes = guardedRequest(seed, '/guarded', CALLERS);
  const { received, hung } = await exchange(test.external, bytes, { leaves: false });
  if (hung) find(`no end of the connection for ${JSON.stringify(bytes.slice(0, 300))}`);
  checkHead(received, find);
}

const CASES = { request: requestCase, answer: answerCase, route: routeCase } as const;

function written({ match, asks }: Wanted) {
  const { path, methods, host } = match;
  const auth =
    typeof asks === 'string' ? asks : asks.length === 0 ? 'required' : { require: { scopes: [...asks] } };
  return { match: { path, host, methods: methods && [...methods] }, auth } as const;
}

function checkHead(received: string, find: (what: string) => void): void {
  if (received === '') return;
  const head = received.slice(0, received.indexOf('\r\n\r\n'));
  if (!HEAD.test(head)) find(`a client got ${JSON.stringify(head.slice(0, 300))}`);
  else if (/^HTTP\/1\.1 500 /.test(head) && received.includes('internal_error')) find(`a 500: ${head}`);
}
