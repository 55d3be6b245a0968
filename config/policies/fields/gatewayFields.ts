import { isHopByHop } from '../../../lib/proxy/hopByHop.ts';
import { isOwned } from '../../../lib/proxy/request/ownedFields.ts';

/** Fields of both messages that no rule can change, and what to use instead; '' where there is nothing. */
const OF_BOTH: Readonly<Record<string, string>> = {
  'content-length': '',
  'content-encoding': '',
  'content-range': '',
  date: '',
  via: 'VIA_NAME and VIA_ON_RESPONSES say what it is',
  'x-request-id': 'TRUSTED_PROXIES may send one',
  traceparent: 'TRUSTED_PROXIES may send one',
  tracestate: 'TRUSTED_PROXIES may send one',
};

const OF_REQUESTS: Readonly<Record<string, string>> = {
  ...OF_BOTH,
  host: 'host: client, upstream or a name',
  'max-forwards': '',
  // The cache asks by these, and goes by what the client has asked.
  range: 'cache: off, where the service must see what the client asks',
  'if-match': 'cache: off, where the service must see what the client asks',
  'if-none-match': 'cache: off, where the service must see what the client asks',
  'if-modified-since': 'cache: off, where the service must see what the client asks',
  'if-unmodified-since': 'cache: off, where the service must see what the client asks',
  'if-range': 'cache: off, where the service must see what the client asks',
  // A service would see another method than routes and cache do.
  'x-http-method-override': 'match.methods and a route of its own',
  'x-http-method': 'match.methods and a route of its own',
  'x-method-override': 'match.methods and a route of its own',
};

const OF_RESPONSES: Readonly<Record<string, string>> = {
  ...OF_BOTH,
  age: '',
  'x-cache': '',
  'cache-status': '',
  'proxy-status': '',
  ratelimit: '',
  'ratelimit-policy': '',
  'retry-after': '',
  'www-authenticate': '',
  allow: '',
  // What is stored is compared with what clients have by these.
  etag: '',
  'last-modified': '',
  vary: 'what the service sends, which the cache goes by too',
  location: 'redirect',
};

/**
 * Whether the gateway itself decides what a service gets under this name. Undefined: a rule may. Otherwise what to use
 * instead, or ''.
 */
export function ownedInRequests(lowerCaseName: string): string | undefined {
  if (lowerCaseName.startsWith('access-control-')) return 'cors';
  if (lowerCaseName.startsWith('sec-websocket-')) return '';
  const own = ownIn(OF_REQUESTS, lowerCaseName);
  if (own !== undefined) return own;
  // Credentials of the gateway itself. A user's are gone before.
  if (lowerCaseName === 'authorization') return undefined;
  return isHopByHop(lowerCaseName) || isOwned(lowerCaseName, true) ? insteadOf(lowerCaseName) : undefined;
}

/** The same for what clients get. */
export function ownedInResponses(lowerCaseName: string): string | undefined {
  if (lowerCaseName.startsWith('access-control-')) return 'cors';
  if (lowerCaseName.startsWith('sec-websocket-')) return '';
  return ownIn(OF_RESPONSES, lowerCaseName) ?? (isHopByHop(lowerCaseName) ? '' : undefined);
}

/** Not what every object inherits: `constructor` is a name like any other. */
function ownIn(table: Readonly<Record<string, string>>, name: string): string | undefined {
  return Object.hasOwn(table, name) ? table[name] : undefined;
}

function insteadOf(lowerCaseName: string): string {
  if (lowerCaseName.startsWith('x-auth-'))
    return 'a name of its own, since services take X-Auth-* for a verified identity';
  if (/[^a-z0-9-]/.test(lowerCaseName)) return 'a name of letters, digits and hyphens';
  return /^(?:x-)?forwarded|^x-real-/.test(lowerCaseName) ? 'TRUSTED_PROXIES, whose fields count' : '';
}
