import { describe, expect, it } from '@jest/globals';
import { Attempt } from '../lib/exchange/attempt.ts';
import {
  BrokenAnswerError,
  ConnectionLostError,
  ConnectTimeoutError,
  InvalidRequestError,
  RequestContentError,
} from '../lib/http1/errors.ts';
import { asProxyError, blamesReplica } from '../lib/proxy/outcome.ts';
import { diedWhileKept } from '../lib/proxy/transport.ts';

const attempt = new Attempt({ id: 'replica', url: new URL('http://replica:80') });
const reset = Object.assign(new Error('read ECONNRESET'), { code: 'ECONNRESET' });

describe('what the transport reports', () => {
  it.each([
    {
      error: new BrokenAnswerError('bad_field', 'no colon'),
      code: 'upstream_bad_response',
      blames: true,
      kept: false,
    },
    {
      error: new BrokenAnswerError('cut_short', 'closed'),
      code: 'upstream_bad_response',
      blames: true,
      kept: false,
    },
    { error: new ConnectionLostError(false, reset), code: 'upstream_unreachable', blames: true, kept: false },
    { error: new ConnectionLostError(true, reset), code: 'upstream_unreachable', blames: true, kept: true },
    { error: new ConnectionLostError(true), code: 'upstream_unreachable', blames: true, kept: true },
    { error: new ConnectTimeoutError('replica', 5), code: 'upstream_unreachable', blames: true, kept: false },
    { error: reset, code: 'upstream_unreachable', blames: true, kept: false },
    { error: new InvalidRequestError('path'), code: 'bad_request', blames: false, kept: false },
    { error: new RequestContentError('too short'), code: 'bad_request', blames: false, kept: false },
  ])('$error: $code', ({ error, code, blames, kept }) => {
    const reported = asProxyError(error, attempt);
    expect(reported).toMatchObject({ code, cause: error });
    expect(blamesReplica(reported, null)).toBe(blames);
    expect(diedWhileKept(error)).toBe(kept);
  });
});
