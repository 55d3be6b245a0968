import { expect } from '@jest/globals';
import type { RawResponse } from '../clients/rawClient.ts';

/** The table of docs: every reply that the gateway makes itself. */
export const TABLE = {
  bad_request: [400, 'Bad request'],
  tls_required: [400, 'TLS required'],
  token_missing: [401, 'Token missing'],
  token_invalid: [401, 'Token invalid'],
  token_expired: [401, 'Token expired'],
  token_revoked: [401, 'Token revoked'],
  api_key_missing: [401, 'API key missing'],
  api_key_invalid: [401, 'API key invalid'],
  api_key_expired: [401, 'API key expired'],
  api_key_revoked: [401, 'API key revoked'],
  insufficient_scope: [403, 'Insufficient scope'],
  admin_token_wrong: [401, 'Admin token wrong'],
  bad_revocation: [400, 'Bad revocation'],
  address_refused: [403, 'Address refused'],
  cross_site: [403, 'Cross-site request'],
  foreign_host: [403, 'Foreign host'],
  origin_not_allowed: [403, 'Origin not allowed'],
  no_such_revocation: [404, 'No such revocation'],
  too_many_revocations: [409, 'Too many revocations'],
  no_such_api_key: [404, 'No such API key'],
  api_key_conflict: [409, 'API key conflict'],
  too_many_api_keys: [409, 'Too many API keys'],
  no_such_service: [404, 'No such service'],
  method_not_allowed: [405, 'Method not allowed'],
  upload_stalled: [408, 'Upload stalled'],
  body_too_large: [413, 'Body too large'],
  uri_too_long: [414, 'URI too long'],
  service_busy: [429, 'Service busy'],
  gateway_busy: [429, 'Gateway busy'],
  admin_guesses_limited: [429, 'Too many wrong admin tokens'],
  streams_busy: [429, 'Too many streams'],
  upgrades_busy: [429, 'Too many WebSockets'],
  fair_share_used: [429, 'Your share is in use'],
  rate_limited: [429, 'Too many requests'],
  headers_too_large: [431, 'Headers too large'],
  internal_error: [500, 'Internal error'],
  method_not_implemented: [501, 'Method not implemented'],
  upstream_unreachable: [502, 'Service unreachable'],
  upstream_certificate_invalid: [502, 'Certificate of service invalid'],
  upstream_tls_alert: [502, 'TLS refused by service'],
  upstream_tls_failed: [502, 'No TLS with service'],
  upstream_bad_response: [502, 'Bad response from service'],
  upstream_head_too_large: [502, 'Response head too large'],
  circuit_open: [503, 'Circuit breaker is open'],
  no_healthy_replica: [503, 'No healthy replica'],
  store_unavailable: [503, 'Store unavailable'],
  keys_unavailable: [503, 'Keys unavailable'],
  draining: [503, 'Gateway is shutting down'],
  not_cached: [504, 'Not in the cache'],
  request_timeout: [504, 'Request timeout'],
} as const satisfies Record<string, readonly [number, string]>;

export type ProblemCode = keyof typeof TABLE;

/** Seconds of `Retry-After`; 1 where nobody knows better. */
export interface ProblemDetails {
  readonly retryAfter?: number;
  /** The whole challenge, where it is another than that for a token. */
  readonly challenge?: string;
  /** Scopes that the challenge of an `insufficient_scope` names. */
  readonly scope?: string;
}

/** What a library, a stack or a host name would put into a reply. */
const LEAKS = /at \S+ \(|node:|node_modules|ECONN|ENOTFOUND|undici|redis|sqlite|jwt |127\.0\.0\.1|\.ts\b/i;

/** Asserts that `answer` is the gateway's own reply of this code, with every field that the design promises. */
export async function expectProblem(
  answer: Response | RawResponse,
  code: ProblemCode,
  { retryAfter = 1, scope, challenge }: ProblemDetails = {},
): Promise<void> {
  const [status, title] = TABLE[code];
  const field = fieldReader(answer);
  const text = answer instanceof Response ? await answer.text() : answer.body;
  const requestId = field('X-Request-Id');
  expect({ status: answer.status, ...JSON.parse(text) }).toEqual({
    type: `urn:faf-cab-gateway:problem:${code}`,
    title,
    status,
    detail: expect.any(String),
    code,
    requestId,
    error: title,
  });
  expect(requestId).toMatch(/^[\w.:/+=-]{1,128}$/);
  expect(field('Content-Type')).toBe('application/problem+json');
  expect(field('Proxy-Status')).toMatch(new RegExp(`^gateway; error=[a-z_]+; details="${code}"$`));
  expect(field('Cache-Control')).toBe('no-store');
  expect(field('Retry-After')).toBe(status === 429 || status === 503 ? String(retryAfter) : undefined);
  expect(field('WWW-Authenticate')).toBe(challenge ?? challengeOf(status, code, scope));
  expect(text).not.toMatch(LEAKS);
}

/** RFC 6750 section 3.1: no error code for a request without a token. */
function challengeOf(status: number, code: ProblemCode, scope?: string): string | undefined {
  if (code === 'insufficient_scope')
    return `Bearer error="insufficient_scope"${scope === undefined ? '' : `, scope="${scope}"`}`;
  if (status !== 401) return undefined;
  if (code === 'api_key_missing') return 'ApiKey field="x-api-key"';
  if (code.startsWith('api_key_')) return `ApiKey error="invalid_key", error_description="${code}"`;
  if (code === 'admin_token_wrong') return 'Bearer realm="admin"';
  return code === 'token_missing' ? 'Bearer' : `Bearer error="invalid_token", error_description="${code}"`;
}

function fieldReader(answer: Response | RawResponse): (name: string) => string | undefined {
  if (!(answer instanceof Response)) return answer.field;
  return (name) => answer.headers.get(name) ?? undefined;
}
