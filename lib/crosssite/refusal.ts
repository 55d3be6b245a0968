import type { IncomingMessage } from 'node:http';
import { CrossSiteError, ForeignHostError } from './errors.ts';
import { isPublicName, nameOf } from './publicName.ts';

/**
 * Values of `Sec-Fetch-Site` for requests that no page of another site has made: by the user, or by the same origin.
 */
const OWN: ReadonlySet<string | undefined> = new Set([undefined, 'same-origin', 'none']);

export interface CrossSiteOptions {
  /** Public names, without a port, by which browsers may call. Lower case. */
  readonly names?: readonly string[];
}

/** Why a request is refused as cross-site; undefined when it is not. */
export type CrossSiteRefusal = (req: Pick<IncomingMessage, 'headers'>) => Error | undefined;

/**
 * Protects a port that asks for no credentials and serves programs from pages in browsers that can reach it. It refuses
 *
 * - `Sec-Fetch-Site: cross-site` and `same-site`, which browsers send to secure origins and to localhost;
 * - an `Origin` that is not the target's own, with any method and with a WebSocket's handshake;
 * - a public name in `Host`, if a browser may have sent the request: after DNS rebinding the page has the same origin as the
 *   target, and only the name shows it (see `isPublicName`). `names` are exempt.
 *
 * Programs are not affected: they send neither `Sec-Fetch-Site` nor `Origin`, and may use any name. For the last rule a browser
 * is recognised by `Accept-Language`, which pages can change but not leave out. Node's `fetch` sends it too, and is recognised
 * by `Sec-Fetch-Mode` without `Sec-Fetch-Site`, two fields that no page can set. A program that passes on all fields of a
 * browser's request counts as the browser.
 *
 * It does not protect from programs, which can send any field.
 */
export function crossSiteRefusal({ names = [] }: Readonly<CrossSiteOptions> = {}): CrossSiteRefusal {
  const exempt = new Set(names);
  return ({ headers }) => {
    const { 'sec-fetch-site': site, origin, host } = headers as Record<string, string | undefined>;
    if (!OWN.has(site)) return new CrossSiteError(`Sec-Fetch-Site: ${site}`);
    if (origin !== undefined && !isOwnOrigin(origin, host))
      return new CrossSiteError('the Origin is not this one');
    if (host === undefined || !mayBeBrowser(headers) || !isPublicName(host)) return undefined;
    return exempt.has(nameOf(host)) ? undefined : new ForeignHostError('the Host is a public name');
  };
}

/** Compares hosts only, not schemes, because a proxy in front may have terminated TLS. */
export function isOwnOrigin(origin: string, host: string | undefined): boolean {
  if (host === undefined) return false;
  const own = host.toLowerCase();
  return origin === `http://${own}` || origin === `https://${own}`;
}

function mayBeBrowser({
  'accept-language': language,
  'sec-fetch-mode': mode,
  'sec-fetch-site': site,
}: IncomingMessage['headers']): boolean {
  return site !== undefined || (language !== undefined && mode === undefined);
}
