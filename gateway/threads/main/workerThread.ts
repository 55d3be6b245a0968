import { join } from 'node:path';
import { Worker, type WorkerOptions } from 'node:worker_threads';
import type { MemoryPlan } from '../../../config/sections/memoryPlan.ts';
import type { Snapshot } from '../../../lib/metrics/snapshots.ts';
import { asError } from '../../../lib/util/asError.ts';
import type { TakenPorts } from '../../gateway.ts';
import type { FromWorker, MainQuestion, ToWorker, WorkerStart } from '../messages.ts';
import { RpcChannel } from '../rpcChannel.ts';

const MODULE = join(import.meta.dirname, '../worker.ts');
/** The part of a worker's heap for young objects. */
const YOUNG_SHARE = 0.25;
const LEAST_YOUNG_MIB = 8;

export interface WorkerThreadOptions {
  readonly start: WorkerStart;
  readonly onTold: (told: FromWorker, worker: WorkerThread) => void;
  readonly onAsked: (asked: MainQuestion) => Promise<unknown>;
  /** Called when the worker has ended, with the reason when it was not told to. */
  readonly onEnded: (worker: WorkerThread, error: Error | undefined) => void;
}

/** The main thread's handle of a worker thread. */
export class WorkerThread {
  readonly number: number;
  readonly threadNumber: number;
  /** Resolves to its ports once it listens; rejects when it cannot. */
  readonly listening: Promise<TakenPorts>;
  readonly ended: Promise<void>;
  /** Whether it takes no new requests any more. */
  isEnding = false;
  /** Its last known metrics. */
  snapshot: Snapshot = [];
  readonly #thread: Worker;
  readonly #channel: RpcChannel<FromWorker, MainQuestion>;
  readonly #onTold: WorkerThreadOptions['onTold'];
  readonly #listening = Promise.withResolvers<TakenPorts>();
  #error: Error | undefined;

  constructor({ start, onTold, onAsked, onEnded }: WorkerThreadOptions) {
    this.number = start.worker;
    this.threadNumber = start.threadNumber;
    this.listening = this.#listening.promise;
    // Nobody waits for a replacement to listen.
    this.listening.catch(() => {});
    this.#onTold = onTold;
    this.#thread = new Worker(MODULE, {
      workerData: start,
      name: `worker ${start.worker}`,
      ...heapLimit(start.settings.memory),
    });
    this.#channel = new RpcChannel(this.#thread, { onTold: (told) => this.#told(told), onAsked });
    this.#thread.on('error', (thrown) => {
      this.#error = asError(thrown);
    });
    this.ended = new Promise((resolve) => {
      this.#thread.once('exit', (code) => {
        const unasked = this.isEnding ? undefined : new Error(`it ended with ${code}`);
        const error = this.#error ?? unasked;
        this.isEnding = true;
        this.#listening.reject(error ?? new Error('it ended before it listened'));
        this.#channel.close();
        onEnded(this, error);
        resolve();
      });
    });
  }

  tell(told: ToWorker): void {
    if (told.kind === 'drain') this.isEnding = true;
    this.#channel.tell(told);
  }

  /** Its current metrics, or the last known ones when it does not reply in time. */
  async metrics(withinMs: number): Promise<Snapshot> {
    const late = Promise.withResolvers<Snapshot>();
    const timer = setTimeout(() => late.resolve(this.snapshot), withinMs);
    const asked = this.#channel.ask<Snapshot>({ kind: 'metrics' }).catch(() => this.snapshot);
    this.snapshot = await Promise.race([asked, late.promise]);
    clearTimeout(timer);
    return this.snapshot;
  }

  /** Ends it at once, whatever it is doing. */
  async kill(): Promise<void> {
    await this.#thread.terminate();
  }

  #told(told: FromWorker): void {
    if (told.kind === 'ending' || told.kind === 'failed') this.isEnding = true;
    if (told.kind === 'listening') this.#listening.resolve(told);
    else if (told.kind === 'failed') this.#listening.reject(new Error(told.message));
    else if (told.kind === 'last') this.snapshot = told.metrics;
    this.#onTold(told, this);
  }
}

/** The limits of a worker's heap. Without them V8 allows 96 MiB for young objects, however little memory there is. */
function heapLimit({ heapBytes }: MemoryPlan): Pick<WorkerOptions, 'resourceLimits'> {
  if (heapBytes === undefined) return {};
  const heapMib = Math.floor(heapBytes / 2 ** 20);
  const youngMib = Math.max(LEAST_YOUNG_MIB, Math.floor(heapMib * YOUNG_SHARE));
  return { resourceLimits: { maxOldGenerationSizeMb: heapMib, maxYoungGenerationSizeMb: youngMib } };
}
