import { isHopByHop } from '../hopByHop.ts';

/** Fields that only the gateway may set. A client's copies never reach a service, even if the client is trusted. */
const OWNED: ReadonlySet<string> = new Set([
  'expect',
  'forwarded',
  'x-forwarded',
  'x-request-id',
  'x-request-timeout-ms',
  // CGI programs take it for the variable HTTP_PROXY (CVE-2016-5385).
  'proxy',
  // The client's address: it is taken only from the socket and from X-Forwarded-For of a trusted peer.
  'ali-cdn-real-ip',
  'cdn-src-ip',
  'cf-connecting-ip',
  'cf-connecting-ipv6',
  'cf-pseudo-ipv4',
  'client-ip',
  'do-connecting-ip',
  'fastly-client-ip',
  'fly-client-ip',
  'http-client-ip',
  'incap-client-ip',
  'proxy-client-ip',
  'remote-addr',
  'remote-host',
  'remote-ip',
  'true-client-ip',
  'wl-proxy-client-ip',
  'wl-proxy-client-keysize',
  'x-appengine-remote-addr',
  'x-appengine-user-ip',
  'x-azure-clientip',
  'x-azure-socketip',
  'x-client-ip',
  'x-clientip',
  'x-cluster-client-ip',
  'x-coming-from',
  'x-envoy-external-address',
  'x-envoy-internal',
  'x-nf-client-connection-ip',
  'x-proxyuser-ip',
  'x-remote-addr',
  'x-remote-host',
  'x-remote-ip',
  'x-sucuri-clientip',
  'x-true-client-ip',
  // The scheme: it is taken only from the socket and from X-Forwarded-Proto of a trusted peer.
  'cloudfront-forwarded-proto',
  'front-end-https',
  'https',
  'wl-proxy-ssl',
  'x-arr-ssl',
  'x-https',
  'x-scheme',
  'x-ssl',
  'x-url-scheme',
  // The request target: some frameworks prefer these to the request line and Host.
  'x-envoy-original-path',
  'x-host',
  'x-http-destinationurl',
  'x-http-host-override',
  'x-override-url',
  'x-rewrite-url',
]);

/** The same, by the beginnings of the names. */
const OWNED_PREFIXES = ['x-forwarded-', 'x-original-', 'x-real-'] as const;

/** Fields that may contain a token, those in which proxies name whom they have authenticated, and the mark of copies. */
const IDENTITY: ReadonlySet<string> = new Set([
  // Services may pass it on to each other, and skip what is done once; a user must not make them do so.
  'x-mirrored',
  'authorization',
  'sec-websocket-protocol',
  // By certificate (RFC 9440).
  'client-cert',
  'client-cert-chain',
  'x-arr-clientcert',
  'x-client-cert',
  'x-client-dn',
  'x-client-verify',
  // By the proxy's own means.
  'auth-user',
  'remote-group',
  'remote-groups',
  'remote-user',
  'x-goog-iap-jwt-assertion',
  'x-remote-group',
  'x-remote-groups',
  'x-remote-user',
]);

/** The same, by the beginnings of the names. */
const IDENTITY_PREFIXES = [
  'cf-access-',
  'ssl-client-',
  'tailscale-user-',
  'x-amzn-oidc-',
  'x-auth-',
  'x-authenticated-',
  'x-goog-authenticated-',
  'x-ms-client-principal',
  'x-remote-extra-',
  'x-ssl-client-',
  'x-webauth-',
] as const;

/** Fields that say where a message ends and for which host it is. They pass in their exact spelling only. */
const FRAMING: ReadonlySet<string> = new Set(['content-length', 'host']);

/**
 * Whether only the gateway may send a field of this name to a service. With `ownsIdentity` that includes the fields that
 * contain a token or say who is calling, such as every `X-Auth-*`, and every name with punctuation other than hyphens.
 *
 * Many servers treat `X_Auth_Subject` and `X-Auth-Subject` as the same name (CGI's HTTP_X_AUTH_SUBJECT), some do so for other
 * punctuation too. So a name is compared as if it had hyphens. Users' names with other punctuation do not pass at all, as with
 * nginx (`underscores_in_headers off`, `ignore_invalid_headers on`): otherwise `Accept_Language` would bypass what the gateway
 * checks and caches by `Accept-Language`.
 */
export function isOwned(lowerCaseName: string, ownsIdentity: boolean): boolean {
  const name = withHyphens(lowerCaseName);
  if (name !== lowerCaseName && (ownsIdentity || FRAMING.has(name) || isHopByHop(name))) return true;
  if (OWNED.has(name) || OWNED_PREFIXES.some((prefix) => name.startsWith(prefix))) return true;
  return ownsIdentity && (IDENTITY.has(name) || IDENTITY_PREFIXES.some((prefix) => name.startsWith(prefix)));
}

function withHyphens(name: string): string {
  return /[^a-z0-9-]/.test(name) ? name.replace(/[^a-z0-9]/g, '-') : name;
}
