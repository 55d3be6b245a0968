import { describe, expect, it } from '@jest/globals';
import { Attempt, type FailureKind } from '../../../lib/exchange/attempt.ts';
import {
  BrokenResponseError,
  ConnectionLostError,
  ConnectTimeoutError,
  InvalidRequestError,
  NotConnectedError,
  RequestContentError,
  ResponseHeadTooLargeError,
} from '../../../lib/http1/errors.ts';
import { UpstreamUnreachableError } from '../../../lib/proxy/errors.ts';
import { asProxyError, failureKindOf } from '../../../lib/proxy/response/outcome.ts';
import { diedWhileKept } from '../../../lib/proxy/transport.ts';
import { RequestTimeoutError } from '../../../lib/timeout/errors.ts';

const attempt = new Attempt({ key: 'replica', id: 'replica', url: new URL('http://replica:80') });
const reset = Object.assign(new Error('read ECONNRESET'), { code: 'ECONNRESET' });

const refused = Object.assign(new Error('connect ECONNREFUSED'), {
  code: 'ECONNREFUSED',
  syscall: 'connect',
});
const unknown = Object.assign(new Error('getaddrinfo ENOTFOUND'), {
  code: 'ENOTFOUND',
  syscall: 'getaddrinfo',
});

describe('what the transport reports', () => {
  const reports: {
    readonly error: Error;
    readonly code: string;
    readonly failure?: FailureKind;
    readonly kept?: boolean;
  }[] = [
    {
      error: new BrokenResponseError('bad_field', 'no colon'),
      code: 'upstream_bad_response',
      failure: 'bad',
    },
    { error: new BrokenResponseError('cut_short', 'closed'), code: 'upstream_bad_response', failure: 'bad' },
    { error: new ConnectionLostError(false, reset), code: 'upstream_unreachable', failure: 'bad' },
    { error: new ConnectionLostError(true, reset), code: 'upstream_unreachable', failure: 'bad', kept: true },
    { error: new ConnectionLostError(true), code: 'upstream_unreachable', failure: 'bad', kept: true },
    { error: new ConnectTimeoutError('replica', 5), code: 'upstream_unreachable', failure: 'absent' },
    { error: new NotConnectedError(refused), code: 'upstream_unreachable', failure: 'absent' },
    { error: reset, code: 'upstream_unreachable', failure: 'bad' },
    { error: refused, code: 'upstream_unreachable', failure: 'absent' },
    { error: unknown, code: 'upstream_unreachable', failure: 'absent' },
    ...['EMFILE', 'ENFILE', 'EADDRNOTAVAIL', 'ENOBUFS'].flatMap((code) => {
      const lacking = Object.assign(new Error(`connect ${code}`), { code, syscall: 'connect' });
      return [lacking, new NotConnectedError(lacking)].map((error) => ({ error, code: 'gateway_exhausted' }));
    }),
    {
      error: Object.assign(new Error('getaddrinfo EBUSY'), { code: 'EBUSY', syscall: 'getaddrinfo' }),
      code: 'gateway_exhausted',
    },
    { error: new ResponseHeadTooLargeError('large'), code: 'upstream_head_too_large' },
    {
      error: Object.assign(new Error('overflow'), { code: 'HPE_HEADER_OVERFLOW' }),
      code: 'upstream_head_too_large',
    },
    { error: new InvalidRequestError('path'), code: 'bad_request' },
    { error: new RequestContentError('too short'), code: 'bad_request' },
  ];

  it.each(reports)('$error.message: $code, $failure', ({ error, code, failure, kept = false }) => {
    const reported = asProxyError(error, attempt);
    expect(reported).toMatchObject({ code, cause: error });
    expect(failureKindOf(reported, attempt, null)).toBe(failure);
    expect(diedWhileKept(error)).toBe(kept);
  });
});

describe('a deadline', () => {
  it.each([
    { silent: false, failure: 'bad' },
    { silent: true, failure: 'absent' },
  ])('of a replica whose silence towards everybody is $silent is $failure', ({ silent, failure }) => {
    const waiting = new Attempt(attempt.target);
    waiting.silent = silent;
    expect(failureKindOf(new RequestTimeoutError(3_000), waiting, null)).toBe(failure);
    const lost = new UpstreamUnreachableError('it was given up');
    expect(failureKindOf(lost, waiting, null)).toBe(failure);
  });
});
