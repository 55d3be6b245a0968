import { listener } from '../../util/listener.ts';
import { tagOf } from '../keyTag.ts';
import type { Eviction } from '../redis/eviction.ts';
import { completeOptions, type RedisOptions } from '../redis/redis.ts';
import { RedisNode, type StoreStateChange } from '../redis/redisNode.ts';
import { assertUrl, startFailure } from '../redis/redisStart.ts';
import type { NodeState, Stores } from '../store.ts';
import { enoughToAsk, enoughToLast } from './copies.ts';
import { HashRing } from './ring.ts';
import { ShardedResponses } from './shardedResponses.ts';
import { ShardedTokens } from './shardedTokens.ts';
import { StoreRepair } from './storeRepair.ts';
import { Twins } from './twins.ts';

export interface ShardedStoresOptions extends RedisOptions {
  /** One or more servers. The name decides which keys are on one: the same on all gateways, and each once. */
  readonly nodes: readonly { readonly name: string; readonly url: string }[];
  /** Called with what an operator should know: that two names lead to the same server. */
  readonly onWarning?: (message: string) => void;
}

/**
 * Opens shared state spread over several servers of Redis that know nothing of each other. Tokens and revocations are on each
 * of them, so one server may be lost. Each response and each count is on one of them, by consistent hashing, and is lost with
 * it. Memory bounds apply to all servers together.
 *
 * Rejects with `StoreUnavailableError` when `required` and more than one server does not respond within `connectTimeoutMs`.
 */
export async function openShardedStore(options: Readonly<ShardedStoresOptions>): Promise<Stores> {
  for (const { url } of options.nodes) assertUrl(url);
  const complete = completeOptions(options);
  const told = { ...complete, onStateChange: listener(complete.onStateChange, complete.onError) };
  const nodes: RedisNode[] = [];
  const repair = new StoreRepair({ nodes, onError: complete.onError, clock: complete.clock });
  const twins = new Twins(nodes, listener(options.onWarning, complete.onError));
  function onReady(node: RedisNode): void {
    repair.begin(node);
    twins.look(node);
  }
  for (const node of options.nodes) nodes.push(openNode(node, options.nodes.length, told, onReady));
  let isOpen = true;
  const close = async () => {
    isOpen = false;
    repair.end();
    await Promise.all(nodes.map((node) => node.close()));
  };
  const start = failuresOf(nodes, told);
  const failed = complete.required ? await start : [];
  if (nodes.length - failed.length < enoughToAsk(nodes.length)) {
    await close();
    throw failed[0]?.cause;
  }
  // Nodes that were never reached are reported like lost ones.
  const settled = start.then((failures) => {
    for (const each of isOpen ? failures : []) told.onStateChange({ store: 'tokens', ready: false, ...each });
  });
  return {
    ...spreadOver(nodes, new HashRing(options.nodes.map(({ name }) => name)), repair),
    settled: complete.required ? Promise.resolve() : settled,
    ...healthOf(nodes),
    eviction: () => evictionOf(nodes),
    close,
  };
}

function spreadOver(
  nodes: readonly RedisNode[],
  ring: HashRing,
  repair: StoreRepair,
): Pick<Stores, 'tokens' | 'responses' | 'evaluate'> {
  return {
    tokens: new ShardedTokens(
      nodes.map(({ tokens }) => tokens),
      (index) => repair.beginLater(nodes[index] as RedisNode),
    ),
    responses: new ShardedResponses({ nodes: nodes.map(({ responses }) => responses), ring }),
    evaluate: async (script, keys, args) =>
      (nodes[ring.ownerOf(tagOf(keys[0] ?? ''))] as RedisNode).tokens.evaluate(script, keys, args),
  };
}

type Told = ReturnType<typeof completeOptions> & {
  readonly onStateChange: (change: StoreStateChange) => void;
};

/** One of `count` nodes, with its share of the memory. */
function openNode(
  { name, url }: ShardedStoresOptions['nodes'][number],
  count: number,
  told: Told,
  onReady: (node: RedisNode) => void,
): RedisNode {
  const share = (bytes: number) => Math.max(1, Math.floor(bytes / count));
  const node: RedisNode = new RedisNode({
    ...told,
    name,
    url,
    localBytes: share(told.localBytes),
    maxResponseBytes: share(told.maxResponseBytes),
    onStateChange: (change) => {
      told.onStateChange(change);
      if (change.ready && change.store === 'tokens') onReady(node);
    },
  });
  return node;
}

/** The nodes that a start cannot use, each with the reason. */
async function failuresOf(nodes: readonly RedisNode[], told: Told) {
  // A node that is loading its data is waited for only as long as there are too few others.
  const isNeeded = () => nodes.filter(isThere).length < enoughToAsk(nodes.length);
  const starts = await Promise.all(
    nodes.map(async (node) => ({
      node: node.name,
      cause: await startFailure(node, { ...told, isNeeded }),
    })),
  );
  return starts.filter(({ cause }) => cause !== undefined);
}

async function evictionOf(nodes: readonly RedisNode[]): Promise<Eviction | undefined> {
  const evictions = await Promise.all(nodes.map((node) => node.eviction()));
  return evictions.find((eviction) => eviction !== undefined);
}

async function stateOf({ name = '', tokens }: RedisNode): Promise<NodeState> {
  return { name, isUp: (await tokens.trouble()) === undefined };
}

const isThere = ({ stores }: RedisNode) => stores.every(({ awayBecause }) => awayBecause === undefined);

/** The health of all nodes together. Nodes may be away as long as lasting values can be stored on enough others. */
function healthOf(nodes: readonly RedisNode[]): Pick<Stores, 'trouble' | 'degraded' | 'nodes'> {
  const tolerated = nodes.length - enoughToLast(nodes.length);
  const look = async () => {
    const troubles = await Promise.all(nodes.map(({ tokens }) => tokens.trouble()));
    const known = troubles.filter((trouble) => trouble !== undefined);
    const words = `${known.length} of ${nodes.length} nodes cannot be used: ${known[0]}`;
    return { isTrouble: known.length > tolerated, words: known.length === 0 ? undefined : words };
  };
  return {
    async trouble() {
      const { isTrouble, words } = await look();
      return isTrouble ? words : undefined;
    },
    async degraded() {
      const { isTrouble, words } = await look();
      return isTrouble ? undefined : words;
    },
    nodes: () => Promise.all(nodes.map(stateOf)),
  };
}
