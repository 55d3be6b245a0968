import type { GaugeDefinition } from '../series/definition.ts';
import type { Reading } from '../series/gauge.ts';

/** One of several servers that the store is spread over. */
export interface NodeReading {
  readonly name: string;
  readonly isUp: boolean;
}

export interface StoreReadings {
  storeUp(): Promise<boolean>;
  /** Whether a full store may drop revocations. */
  storeMayEvict(): Promise<boolean>;
  /** The servers that the store is spread over; undefined: it is not, and there is no such gauge. */
  readonly redisNodes: (() => Promise<Iterable<NodeReading>>) | undefined;
}

/** Whether the store of tokens can be relied on. */
export function storeGauges({ storeUp, storeMayEvict, redisNodes }: StoreReadings): GaugeDefinition[] {
  return [
    {
      name: 'gateway_store_up',
      help: 'Whether the store of tokens responds and takes writes (1) or not (0).',
      labels: [],
      aggregator: 'min',
      read: async () => [[Number(await storeUp())]],
    },
    {
      name: 'gateway_store_may_evict',
      help: 'Whether the store, when it is full, may drop revocations (1) or not (0).',
      labels: [],
      read: async () => [[Number(await storeMayEvict())]],
    },
    ...(redisNodes ? [nodeGauge(redisNodes)] : []),
  ];
}

function nodeGauge(redisNodes: NonNullable<StoreReadings['redisNodes']>): GaugeDefinition {
  return {
    name: 'gateway_redis_node_up',
    help: 'Whether a node of Redis that keys are spread over responds and takes writes (1) or not (0).',
    labels: ['node'],
    aggregator: 'min',
    read: async () => Array.from(await redisNodes(), ({ name, isUp }): Reading => [Number(isUp), name]),
  };
}
