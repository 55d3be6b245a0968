import { host } from '../kinds/addresses.ts';
import { type Kind, kind, splitList } from '../kinds/kinds.ts';

/** One of the servers that keys are spread over. */
export interface RedisNodeAddress {
  /** Decides which keys are on the node, so that it can move to another address. */
  readonly name: string;
  readonly host: string;
  readonly port: number;
}

const HIGHEST_PORT = 65_535;
const ACCEPTED =
  'a comma-separated list of nodes as name:host:port, such as a:redis-a:6379,b:redis-b:6379; without a name, host:port is its name';

/** `name:host:port,...`, with unique names and addresses. An IPv6 address is written in brackets. */
export const redisNodes: Kind<readonly RedisNodeAddress[]> = kind(
  ACCEPTED,
  (given) => {
    const nodes = splitList(given).filter(Boolean).map(nodeIn);
    const areUsable = nodes.every((node) => node !== undefined) && nodes.length > 0;
    return areUsable && twiceIn(nodes) === undefined ? nodes : undefined;
  },
  (given) => {
    const nodes = splitList(given).map(nodeIn);
    const twice = twiceIn(nodes.filter((node) => node !== undefined));
    return twice && `each name and each address once: ${twice} is there twice`;
  },
);

function nodeIn(item: string): RedisNodeAddress | undefined {
  const [, name, address = '', digits = ''] =
    /^(?:([\w.-]+):)?(\[[\da-f:.]+\]|[^:[\]]+):(\d{1,5})$/i.exec(item) ?? [];
  const bare = address.replace(/^\[|\]$/g, '');
  const port = Number(digits);
  if (!host.schema.safeParse(bare).success || port < 1 || port > HIGHEST_PORT) return undefined;
  return { name: name ?? `${address}:${port}`, host: bare, port };
}

function twiceIn(nodes: readonly RedisNodeAddress[]): string | undefined {
  const seen = new Set<string>();
  for (const { name, host: at, port } of nodes) {
    const said = new Set([name, `${at}:${port}`]);
    for (const one of said) if (seen.has(one)) return one;
    for (const one of said) seen.add(one);
  }
  return undefined;
}
