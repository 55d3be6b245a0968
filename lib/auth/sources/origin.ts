import type { IncomingMessage } from 'node:http';
import type { TLSSocket } from 'node:tls';
import { OriginNotAllowedError } from '../../cors/errors.ts';
import { isOwnOrigin } from '../../crosssite/refusal.ts';
import { mayChange } from '../../http/safeMethods.ts';
import { stackless } from '../../util/stackless.ts';

/** Whether pages of this origin (`https://app.faf.example`) may make requests with the user's cookies. */
export type IsAllowedOrigin = (origin: string, req: IncomingMessage) => boolean;

// Made once: a flood of such requests must not cost an error each.
const NOT_ALLOWED = refusal('the Origin is not one that may send the cookie');
const NO_ORIGIN = refusal('a request with a cookie has neither an Origin nor Sec-Fetch-Site: same-origin');

/**
 * Why a request whose token is a cookie is refused; undefined when it is not. Browsers send cookies along with requests of
 * any page. So a request that may change something, and a WebSocket's handshake, which no CORS protects, must come from a
 * page of the gateway's own origin, or of one that is allowed. It fails closed: without a word of where it comes from, a
 * request is refused. What only reads is let through: pages of other origins cannot see the response.
 */
export function originRefusal(req: IncomingMessage, isAllowed?: IsAllowedOrigin): Error | undefined {
  if (req.headers.upgrade === undefined && !mayChange(req, req.url ?? '')) return undefined;
  const { origin, 'sec-fetch-site': site } = req.headers;
  if (origin === undefined) return site === 'same-origin' ? undefined : NO_ORIGIN;
  return isOwn(origin, req) || isAllowed?.(origin, req) ? undefined : NOT_ALLOWED;
}

/** Of a plain connection the scheme is not known: a proxy in front may speak TLS. */
function isOwn(origin: string, { headers, socket }: IncomingMessage): boolean {
  const isPlain = origin.startsWith('http:') && (socket as Partial<TLSSocket>).encrypted;
  return !isPlain && isOwnOrigin(origin, headers.host);
}

function refusal(message: string): OriginNotAllowedError {
  return stackless(() => new OriginNotAllowedError(message));
}
