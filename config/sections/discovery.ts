import { host, httpUrl } from '../kinds/addresses.ts';
import { type Kind, kind } from '../kinds/kinds.ts';

/** Where the gateway looks for replicas. */
export type DiscoveryAddress =
  | { readonly kind: 'http' | 'consul'; readonly url: string }
  | {
      readonly kind: 'dns';
      /** The name to look up; `{name}` in it is the service's. */
      readonly pattern: string;
      /** Of the replicas; undefined: that of the service's first upstream, or 80. */
      readonly port: number | undefined;
      /** The DNS server to ask, `address` or `address:port`; undefined: the system's. */
      readonly server: string | undefined;
    };

const DNS = /^dns:\/\/([^/?#:]+)(?::(\d{1,5}))?(?:\?server=([\w.:[\]]+))?$/i;
const CONSUL = /^consul(\+https)?:\/\//i;

/** `http://service-discovery:9000`, `dns://tasks.{name}-service` or `consul://consul:8500`. */
export const discoveryAddress: Kind<DiscoveryAddress> = kind(
  'http://..., https://..., consul://host:port, consul+https://host:port or dns://tasks.{name}-service[:port][?server=address]',
  (given) => parseDns(given) ?? parseConsul(given) ?? parseHttp(given),
);

/** The name of a Swarm stack, without the underscore that Swarm appends to it. */
export const stackName: Kind<string> = kind('the name of a Swarm stack, such as padstack', (given) =>
  /^[a-z0-9](?:[a-z0-9_-]*[a-z0-9])?$/i.test(given) ? given : undefined,
);

function parseDns(given: string): DiscoveryAddress | undefined {
  const [, pattern, digits, server] = DNS.exec(given) ?? [];
  const port = digits === undefined ? undefined : Number(digits);
  const isName =
    pattern?.includes('{name}') && accepts(host, pattern.replaceAll('{name}', 'x').replace(/^_/, ''));
  if (!pattern || !isName || port === 0 || (port ?? 0) > 65_535) return undefined;
  return { kind: 'dns', pattern, port, server };
}

function parseConsul(given: string): DiscoveryAddress | undefined {
  if (!CONSUL.test(given)) return undefined;
  const url = httpUrl.schema.safeParse(
    given.replace(CONSUL, (_, tls) => (tls ? 'https://' : 'http://')),
  ).data;
  return url === undefined ? undefined : { kind: 'consul', url };
}

function parseHttp(given: string): DiscoveryAddress | undefined {
  const url = httpUrl.schema.safeParse(given).data;
  return url === undefined ? undefined : { kind: 'http', url };
}

function accepts({ schema }: Kind<unknown>, given: string): boolean {
  return schema.safeParse(given).success;
}
