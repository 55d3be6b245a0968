import { workerData } from 'node:worker_threads';
import { ReplicaPool } from '../../../lib/loadbalancer/pool.ts';
import { LoadScan } from '../../../lib/threads/loadbalancer/loadScan.ts';
import { ThreadsReplica } from '../../../lib/threads/loadbalancer/threadsReplica.ts';
import { SharedCells } from '../../../lib/threads/sharedCells.ts';
import { answerWith } from './place.ts';

/** Takes so many replicas, answers their ids, and releases them again unless they are to be kept. */
export interface TakeOrder {
  readonly times: number;
  readonly keep?: boolean;
}

const { threadNumber, threadCount } = workerData;

function countsOf(buffer: SharedArrayBuffer) {
  return { cells: new SharedCells(buffer, threadNumber), threadNumber, threadCount };
}

const buffers: Record<string, SharedArrayBuffer> = workerData.replicas;
const pool = new ReplicaPool({
  service: '/budgeting',
  replicas: Object.entries(buffers).map(([id, buffer]) =>
    ThreadsReplica.at(`http://${id}`, countsOf(buffer)),
  ),
  candidates: new LoadScan(Math.random),
});

answerWith(({ times, keep = false }: TakeOrder): string[] => {
  const ids: string[] = [];
  for (let i = 0; i < times; i += 1) {
    const replica = pool.take();
    if (!replica) throw new Error('nobody can be taken');
    ids.push(replica.id);
    if (!keep) pool.release(replica);
  }
  return ids;
});
