import { request as httpRequest } from 'node:http';
import { ExpectedError } from '../../config/commandLine/run.ts';
import type { LoadFigures } from '../load/load.ts';
import { addressOf, type Server } from '../servers/servers.ts';
import type { Site } from '../servers/site.ts';
import type { Contender, Expectation, Subject } from './subjects.ts';

/** A contender that does not answer what it should: its figures would mean nothing. */
export class WrongResponseError extends ExpectedError {
  override readonly name = 'WrongResponseError';
}

interface Reply {
  readonly status: number;
  readonly bytes: number;
  readonly cache: string | undefined;
}

/** A full cache may store an answer when it is asked for again only: the next is a hit. */
const ASKS_BEFORE_HIT = 2;

/** Asks as the load will, and throws `WrongResponseError` unless the answer is the expected one. */
export async function verify(
  subject: Subject,
  contender: Contender,
  server: Server,
  site: Site,
): Promise<void> {
  // The load's own clients compare each echo.
  if (subject.kind === 'webSocket') return;
  for (let asks = 0; contender.cache === 'HIT' && asks < ASKS_BEFORE_HIT; asks += 1) {
    await ask(contender, server, site);
  }
  const { status, bytes, cache } = await ask(contender, server, site);
  const { expects } = subject;
  const isExpected =
    status === expects.status &&
    (expects.bytes === undefined || bytes === expects.bytes) &&
    (contender.cache === undefined || cache === contender.cache);
  if (isExpected) return;
  const expected = [expects.status, expects.bytes, contender.cache].filter((part) => part !== undefined);
  throw new WrongResponseError(
    `${subject.name}: ${contender.name} answered ${[status, bytes, cache].join(' ')} instead of ${expected.join(' ')}`,
  );
}

/** Throws `WrongResponseError` when any request of a run failed, by the load generator's word. */
export function assertNoErrors(
  who: string,
  { status }: Expectation,
  { requests, notOk, broken }: LoadFigures,
): void {
  const refusals = status >= 400 ? requests : 0;
  if (requests > 0 && broken === 0 && notOk === refusals) return;
  throw new WrongResponseError(
    `${who}: ${requests} answers, ${notOk} of them refusals where ${refusals} were due, ${broken} broken`,
  );
}

function ask({ request }: Contender, server: Server, site: Site): Promise<Reply> {
  const { promise, resolve, reject } = Promise.withResolvers<Reply>();
  const { path, method = 'GET', token, distinct, bodyBytes = 0 } = request;
  const headers = { ...(token && { authorization: `Bearer ${site.token}` }), 'content-length': bodyBytes };
  const target = distinct ? `${path}?page=${process.hrtime.bigint()}` : path;
  const sent = httpRequest(
    `http://${addressOf(server, request)}${target}`,
    { method, headers, agent: false },
    (res) => {
      let bytes = 0;
      res.on('data', (chunk: Buffer) => {
        bytes += chunk.length;
      });
      res.on('end', () =>
        resolve({ status: res.statusCode ?? 0, bytes, cache: String(res.headers['x-cache']) }),
      );
      res.on('error', reject);
    },
  );
  sent.on('error', reject).end('x'.repeat(bodyBytes));
  return promise;
}
