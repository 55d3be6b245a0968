import { isHopByHop } from '../hopByHop.ts';

/** Fields the gateway answers for itself; a client's copies never reach a service, whoever the client is. */
const OWNED: ReadonlySet<string> = new Set([
  'expect',
  'forwarded',
  'x-forwarded',
  'x-request-id',
  'x-request-timeout-ms',
  // CGI programs take it for the variable HTTP_PROXY (CVE-2016-5385).
  'proxy',
  // Who the client is: only the socket and X-Forwarded-For of a trusted peer tell.
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
  // Whether it speaks TLS: only the socket and X-Forwarded-Proto of a trusted peer tell.
  'cloudfront-forwarded-proto',
  'front-end-https',
  'https',
  'wl-proxy-ssl',
  'x-arr-ssl',
  'x-https',
  'x-scheme',
  'x-ssl',
  'x-url-scheme',
  // What is asked for: some frameworks believe these over the request line and Host.
  'x-envoy-original-path',
  'x-host',
  'x-http-destinationurl',
  'x-http-host-override',
  'x-override-url',
  'x-rewrite-url',
]);

/** The same by the beginnings of their names. */
const OWNED_PREFIXES = ['x-forwarded-', 'x-original-', 'x-real-'] as const;

/** Fields that may carry a token, and those in which proxies say whom they have authenticated. */
const IDENTITY: ReadonlySet<string> = new Set([
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

/** The same by the beginnings of their names. */
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

/** Fields that say where a message ends and whom it is for: only their one true spelling passes. */
const FRAMING: ReadonlySet<string> = new Set(['content-length', 'host']);

/**
 * Whether only the gateway may send a field of this name to a service. `ownsIdentity` takes in the fields that
 * carry a token or say who is calling, every `X-Auth-*` among them, and every name with a mark other than the hyphen.
 *
 * Many servers read `X_Auth_Subject` and `X-Auth-Subject` as one name (CGI's HTTP_X_AUTH_SUBJECT), some do the same for
 * other marks: a name is judged by how it reads with hyphens, and strangers' names with other marks do not pass at all, as
 * with nginx (`underscores_in_headers off`, `ignore_invalid_headers on`), or `Accept_Language` would pass by what
 * `Accept-Language` is checked and cached for.
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
