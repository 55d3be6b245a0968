import { isHopByHop } from './hopByHop.ts';

/** Fields the gateway answers for itself; a client's copies never reach a service. */
const OWNED: ReadonlySet<string> = new Set([
  'expect',
  'forwarded',
  'x-forwarded',
  'x-request-id',
  'x-request-timeout-ms',
  // Who the client is: only the socket and X-Forwarded-For of a trusted peer tell.
  'cf-connecting-ip',
  'client-ip',
  'fastly-client-ip',
  'true-client-ip',
  'x-client-ip',
  'x-cluster-client-ip',
  'x-real-ip',
  'x-remote-addr',
  'x-remote-ip',
  // What is asked for: some frameworks believe these over the request line and Host.
  'x-host',
  'x-http-host-override',
  'x-rewrite-url',
]);

/** The same by the beginnings of their names. */
const OWNED_PREFIXES = ['x-forwarded-', 'x-original-'] as const;

/** Fields that may carry a token. */
const IDENTITY: ReadonlySet<string> = new Set(['authorization', 'sec-websocket-protocol']);

/** Fields that say where a message ends and whom it is for: only their one true spelling passes. */
const FRAMING: ReadonlySet<string> = new Set(['content-length', 'host']);

/**
 * Whether only the gateway may send a field of this name to a service. `ownsIdentity` takes in the fields that
 * carry a token and every `X-Auth-*`.
 *
 * Many servers read `X_Auth_Subject` and `X-Auth-Subject` as one name (CGI's HTTP_X_AUTH_SUBJECT), some do the same for
 * other marks: a name is judged by how it reads with hyphens.
 */
export function isOwned(lowerCaseName: string, ownsIdentity: boolean): boolean {
  const name = withHyphens(lowerCaseName);
  if (name !== lowerCaseName && (FRAMING.has(name) || isHopByHop(name))) return true;
  if (OWNED.has(name) || OWNED_PREFIXES.some((prefix) => name.startsWith(prefix))) return true;
  return ownsIdentity && (IDENTITY.has(name) || name.startsWith('x-auth-'));
}

function withHyphens(name: string): string {
  return /[^a-z0-9-]/.test(name) ? name.replace(/[^a-z0-9]/g, '-') : name;
}
