import type { IncomingMessage } from 'node:http';
import { CrossSiteError, ForeignHostError } from './errors.ts';
import { isPublicName, nameOf } from './publicName.ts';

/** What `Sec-Fetch-Site` says of a request that no other site's page has made: the user, or the origin itself. */
const OWN: ReadonlySet<string | undefined> = new Set([undefined, 'same-origin', 'none']);

export interface CrossSiteOptions {
  /** Public names, without a port, by which browsers may call. Lower case. */
  readonly names?: readonly string[];
}

/** Why a request is refused as a browser's that is misused by a page of another site; undefined: it is none. */
export type CrossSiteRefusal = (req: Pick<IncomingMessage, 'headers'>) => Error | undefined;

/**
 * For a port that asks for no credentials and serves programs: keeps browsers within reach of it from being used by the
 * pages that they show. Refused are
 *
 * - `Sec-Fetch-Site: cross-site` and `same-site`, which browsers send to secure origins and to localhost;
 * - an `Origin` that is not the target's own, with any method and with a WebSocket's handshake;
 * - a public name in `Host`, where a browser may have sent the request: after DNS rebinding a page is of the origin it
 *   calls, and only the name tells (see `isPublicName`). `names` are exempt.
 *
 * Programs are none of this: they send neither `Sec-Fetch-Site` nor `Origin`, and the name they use does not matter.
 * What tells a browser there is `Accept-Language`, which pages can change and not leave out; that of Node's `fetch` is
 * known by `Sec-Fetch-Mode` without `Sec-Fetch-Site`, two fields that no page can set. A program that passes on all
 * fields of a browser's request is taken for the browser.
 *
 * It is no protection from programs, which can send what they like.
 */
export function crossSiteRefusal({ names = [] }: Readonly<CrossSiteOptions> = {}): CrossSiteRefusal {
  const exempt = new Set(names);
  return ({ headers }) => {
    const { 'sec-fetch-site': site, origin, host } = headers as Record<string, string | undefined>;
    if (!OWN.has(site)) return new CrossSiteError(`Sec-Fetch-Site: ${site}`);
    if (origin !== undefined && !isOwn(origin, host)) return new CrossSiteError('the Origin is not this one');
    if (host === undefined || !mayBeBrowser(headers) || !isPublicName(host)) return undefined;
    return exempt.has(nameOf(host)) ? undefined : new ForeignHostError('the Host is a public name');
  };
}

/** A proxy in front may have ended TLS. */
function isOwn(origin: string, host: string | undefined): boolean {
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
