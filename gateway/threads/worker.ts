// A worker thread of a gateway: both servers, and everything behind them that threads do not share.
import { type MessagePort, parentPort, workerData } from 'node:worker_threads';
import { threadsClock } from '../../lib/clock/threadsClock.ts';
import { createLogger, type Logger } from '../../lib/logging/logger.ts';
import type { Verdict } from '../../lib/ratelimit/rate.ts';

import {
  type ResponseChange,
  type ResponseLink,
  type Swapped,
  sizeOf,
} from '../../lib/store/memory/threadsMemory.ts';
import { CHANGES } from '../../lib/store/sqlite/sqlite.ts';
import { asError } from '../../lib/util/asError.ts';
import { Gateway } from '../gateway.ts';
import { keepWithin } from '../process/memory.ts';
import { exposedCollector, type SpentBuffers } from '../process/spentBuffers.ts';
import { openingsOf } from '../wiring/services/replicas.ts';
import type { FromWorker, SentReplica, ToWorker, WorkerQuestion, WorkerStart } from './messages.ts';
import { registryThrough } from './registryThrough.ts';
import { RpcChannel } from './rpcChannel.ts';
import { received } from './sent.ts';
import { Serving } from './serving.ts';
import { Shares } from './shares.ts';
import type { Threads } from './threads.ts';

/** How long a drain may take beyond its time after an uncaught error, when nobody knows what still works. */
const GRACE_MS = 5_000;

/** A worker that ends while others go on keeps idle connections open until Node's keep-alive has closed them. */
const LEAVE_IDLE_MS = 6_000;

/** The gateway of this thread, and its connection to the others. */
class WorkerGateway {
  readonly #start: WorkerStart;
  readonly #logger: Logger;
  readonly #shares: Shares;
  readonly #channel: RpcChannel<ToWorker, WorkerQuestion>;
  readonly #replicas: Map<string, readonly SentReplica[]>;
  readonly #memory: SpentBuffers;
  readonly #creating: Promise<Gateway>;
  #gateway: Gateway | undefined;
  #discovered: boolean;
  #hearResponse: (change: ResponseChange) => void = () => {};
  #leaving = false;

  constructor(start: WorkerStart, port: MessagePort) {
    this.#start = start;
    this.#logger = createLogger({ level: start.logLevel, format: start.logFormat });
    this.#shares = new Shares(start.threadNumber, start.threadCount, start.buffers);
    this.#replicas = new Map(start.replicas);
    this.#discovered = start.discovered;
    this.#channel = new RpcChannel(port, {
      onTold: (told) => this.#told(told),
      onAsked: () => this.#gateway?.parts.metrics.registry.getMetricsAsJSON() ?? [],
    });
    process.on('uncaughtException', (thrown, kind) => this.#uncaught(asError(thrown), kind));
    this.#memory = keepWithin(start.settings.memory, exposedCollector());
    this.#creating = Gateway.create({
      settings: start.settings,
      logger: this.#logger,
      clock: threadsClock,
      onContent: this.#memory.passed,
      threads: this.#threads(),
    });
  }

  async run(): Promise<void> {
    try {
      this.#gateway = await this.#creating;
      for (const [path, replicas] of this.#replicas) this.#update(path, replicas);
      const ports = await this.#gateway.start();
      this.#tell({ kind: 'listening', ...ports });
    } catch (error) {
      this.#tell({ kind: 'failed', message: asError(error).message });
      process.exitCode = 1;
      await this.#leave();
    }
  }

  #tell(told: FromWorker): void {
    this.#channel.tell(told);
  }

  #told(told: ToWorker): void {
    if (told.kind === 'replicas') this.#update(told.path, told.replicas);
    else if (told.kind === 'discovered') this.#discovered = true;
    else if (told.kind === 'response') this.#heard(told.change);
    else if (told.kind === 'level') this.#logger.level = told.level;
    else void this.#leave();
  }

  #heard(change: ResponseChange): void {
    this.#memory.shared(sizeOf(change));
    this.#hearResponse(change);
  }

  #update(path: string, sent: readonly SentReplica[]): void {
    this.#replicas.set(path, sent);
    const service = this.#gateway?.parts.services.find(({ settings }) => settings.path === path);
    service?.replicas.update(received(sent, this.#shares));
  }

  #threads(): Threads {
    const serving = new Serving(this.#shares, this.#start.settings.workers);
    const { takesRegistryCalls: takesCalls, gatewayId, secret, threadCount, isReplacement } = this.#start;
    return {
      shareOf: this.#shares.of,
      replicasOf: (path) => ({
        threadCount,
        newShare: this.#shares.allocate,
        openings: openingsOf(path, this.#shares.of),
        replicas: received(this.#replicas.get(path) ?? [], this.#shares),
      }),
      registry: () =>
        registryThrough({
          takesCalls,
          tell: (told) => this.#tell(told),
          isAsked: () => this.#discovered,
          clock: threadsClock,
        }),
      countRate: (counter, asked) => this.#channel.ask<Verdict>({ kind: 'rate', counter, asked }),
      store: {
        tokenChanges: this.#shares.of('token changes', () => CHANGES),
        responses: this.#responses(),
      },
      scrape: () => this.#channel.ask<string>({ kind: 'scrape' }),
      isReplacement,
      serving: () => serving.state,
      serves: (serves) => serving.set(serves),
      gatewayId,
      secret,
    };
  }

  #responses(): ResponseLink {
    return {
      tell: (change) => {
        this.#memory.shared(sizeOf(change));
        this.#tell({ kind: 'response', change });
      },
      swap: (swap) => this.#channel.ask<Swapped>({ kind: 'swap', swap }),
      listen: (hear) => {
        this.#hearResponse = hear;
        for (const change of this.#start.responses) hear(change);
      },
    };
  }

  /** After an uncaught error the state of this thread is unknown, so another one replaces it. */
  #uncaught(error: Error, kind: string): void {
    this.#logger.error(`A worker ends because of an error that nobody caught (${kind})`, { error });
    process.exitCode = 1;
    this.#tell({ kind: 'ending' });
    setTimeout(() => process.exit(), this.#start.settings.drainTimeoutMs + GRACE_MS).unref();
    void this.#leave({ graceMs: LEAVE_IDLE_MS });
  }

  /** Ends this thread after the requests under way. */
  async #leave(how: { readonly graceMs?: number } = {}): Promise<void> {
    if (this.#leaving) return;
    this.#leaving = true;
    try {
      await this.#gateway?.stop(how);
      if (this.#gateway) {
        this.#tell({ kind: 'last', metrics: await this.#gateway.parts.metrics.registry.getMetricsAsJSON() });
      }
    } catch (error) {
      this.#logger.error('Stopping failed', { error });
      process.exitCode = 1;
    }
    // Log lines of this thread are written by the main thread, which needs a moment for the last ones.
    setImmediate(() => process.stdout.write('', () => process.exit()));
  }
}

await new WorkerGateway(workerData, parentPort as MessagePort).run();
