import { createClient } from 'redis';
import { type Passage, startTcpProxy, type TcpProxy } from '../upstreams/tcpProxy.ts';
import { type RedisServer, startRedis } from './redis.ts';

/** A Redis of a test's own, behind a network that the test may spoil. */
export interface StorePlace extends AsyncDisposable {
  readonly redis: RedisServer;
  readonly network: TcpProxy;
  /** Through the network. */
  readonly url: string;
}

export async function startStorePlace(): Promise<StorePlace> {
  const redis = await startRedis();
  const network = await startTcpProxy(redis.port);
  return {
    redis,
    network,
    url: `redis://127.0.0.1:${network.port}`,
    async [Symbol.asyncDispose]() {
      await network[Symbol.asyncDispose]();
      await redis.stop();
    },
  };
}

/** What may happen to Redis, or to the way there. */
export interface StoreHarm {
  readonly name: string;
  /** Whether Redis itself can still be reached past the network. */
  readonly isReachable: boolean;
  hurt(place: StorePlace): Promise<void>;
  heal(place: StorePlace): Promise<void>;
}

/** Harms that keep every answer of Redis away for as long as they last. `lateMs` is to be longer than anybody waits. */
export function awayHarms(lateMs: number): readonly StoreHarm[] {
  return [
    {
      name: 'killed',
      isReachable: false,
      hurt: ({ redis }) => redis.kill(),
      heal: ({ redis }) => redis.restart(),
    },
    {
      name: 'frozen',
      isReachable: false,
      hurt: async ({ redis }) => redis.freeze(),
      heal: async ({ redis }) => redis.thaw(),
    },
    {
      name: 'cut off by a network that drops packets',
      isReachable: true,
      hurt: (place) => spoil(place, 'swallow'),
      heal: (place) => spoil(place, 'pass'),
    },
    {
      name: `late by ${lateMs} ms`,
      isReachable: true,
      hurt: (place) => spoil(place, { lateMs }),
      heal: (place) => spoil(place, 'pass'),
    },
  ];
}

/** It is away for a moment and comes back without anything that it knew. */
export const RESTARTED: StoreHarm = {
  name: 'restarted',
  isReachable: true,
  hurt: ({ redis }) => redis.restart(),
  heal: async () => {},
};

/** It refuses to write and answers all else. */
export const FULL: StoreHarm = {
  name: 'full',
  isReachable: true,
  async hurt(place) {
    await configure(place, 'maxmemory-policy', 'noeviction');
    await configure(place, 'maxmemory', '1');
  },
  heal: (place) => configure(place, 'maxmemory', '0'),
};

async function spoil({ network }: StorePlace, passage: Passage): Promise<void> {
  network.passage = passage;
}

async function configure({ redis }: StorePlace, name: string, value: string): Promise<void> {
  const client = await createClient({ url: redis.url }).connect();
  await client.configSet(name, value);
  client.destroy();
}
