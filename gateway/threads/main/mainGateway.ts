import { randomUUID } from 'node:crypto';
import type { Settings } from '../../config/config.ts';
import type { Service } from '../../config/sections/services.ts';
import { threadsClock } from '../../lib/clock/threadsClock.ts';
import type { LogFormat, Logger, LogLevel } from '../../lib/logging/logger.ts';
import { Metrics } from '../../lib/metrics/metrics.ts';
import { rendered } from '../../lib/metrics/rendered.ts';
import { mergedCounts, mergedText, type Snapshot, withoutSeries } from '../../lib/metrics/snapshots.ts';
import { Channels } from '../../lib/store/channels.ts';

import { MemoryStore } from '../../lib/store/memory/memory.ts';

import {
  type ResponseChange,
  type Swap,
  SwapPlace,
  type Swapped,
  sizeOf,
} from '../../lib/store/memory/threadsMemory.ts';

import { CHANGES } from '../../lib/store/sqlite/sqlite.ts';
import { sayListening, type TakenPorts } from '../gateway.ts';
import { METRICS_EVERY_MS } from '../health/wellKnown.ts';
import { breakerLog } from '../logs/breakerLog.ts';
import { keepWithin } from '../process/memory.ts';
import { exposeCollector, type SpentBuffers } from '../process/spentBuffers.ts';
import { VERSION } from '../process/version.ts';
import type { Registry } from '../registries/contract.ts';
import { createRegistry } from '../registries/registry.ts';
import { readings } from '../wiring/createParts.ts';
import { knownLabels } from '../wiring/knownLabels.ts';
import { createSharedLimits, type ServiceLimits, type SharedLimits } from '../wiring/limits.ts';
import { createRateLimits, type RateLimits } from '../wiring/rateLimits.ts';
import { openingsOf, ServiceReplicas } from '../wiring/replicas.ts';
import { breakerRules } from '../wiring/serviceReplicas.ts';

import { assertFree } from './freePorts.ts';
import type { FromWorker, MainQuestion, WorkerStart } from './messages.ts';
import { toSend } from './sent.ts';
import { Serving } from './serving.ts';
import { Shares } from './shares.ts';
import { WorkerTeam } from './team.ts';
import { WorkerThread } from './workerThread.ts';

/** How long a worker may take to end after the time for its requests. */
const GRACE_MS = 5_000;
/** A worker that takes longer to send its metrics is shown with its last ones. */
const METRICS_WITHIN_MS = 1_000;
const OWN_SEAT = 0;

export interface MainGatewayOptions {
  readonly settings: Settings;
  readonly logger: Logger;
  readonly logFormat: LogFormat;
}

interface MainService {
  readonly settings: Service;
  readonly replicas: ServiceReplicas;
  readonly limits: ServiceLimits;
}

/**
 * The main thread's part of a gateway of several worker threads. It serves no requests itself: it replaces workers that end,
 * asks the registry, and combines everything that is not in shared memory, such as metrics.
 */
export class MainGateway {
  readonly metrics: Metrics;
  readonly #settings: Settings;
  readonly #logger: Logger;
  readonly #logFormat: LogFormat;
  readonly #shares: Shares;
  readonly #serving: Serving;
  readonly #limits: SharedLimits;
  readonly #services: readonly MainService[];
  /** Set before anybody else can use this object. */
  #registry!: Registry;
  /** Likewise. */
  #rates!: RateLimits;
  readonly #swaps: SwapPlace;
  readonly #memory: SpentBuffers;
  readonly #team: WorkerTeam;
  readonly #gatewayId = randomUUID();
  #logBreaker: ReturnType<typeof breakerLog> = () => {};
  #ports: TakenPorts;
  #spawned = 0;
  #discovered = false;
  #begun = false;
  /** The metrics of workers that have ended. */
  #earlier: Snapshot = [];
  /** One rendering serves all scrapes at the same time, whichever worker they reach. */
  readonly #scrape = rendered({
    render: () => this.#render(),
    everyMs: METRICS_EVERY_MS,
    clock: threadsClock,
  });
  #stopped: Promise<void> | undefined;

  private constructor({ settings, logger, logFormat }: MainGatewayOptions) {
    const clock = threadsClock;
    // Twice as many seats as workers: a worker that drains keeps its seat while its replacement needs another.
    const seats = 1 + 2 * settings.workers;
    this.#settings = settings;
    this.#logger = logger;
    this.#logFormat = logFormat;
    this.#ports = settings;
    this.#shares = new Shares(OWN_SEAT, seats);
    this.#shares.of('token changes', () => CHANGES);
    this.#serving = new Serving(this.#shares, settings.workers);
    this.#limits = createSharedLimits(settings, this.#shares.of, threadsClock);
    this.#services = settings.services.map((service) => this.#newService(service));
    this.metrics = new Metrics({
      readings: {
        ...readings(this.#services),
        globalLimit: () => this.#limits.gateway.limit,
        globalStreamLimit: () => this.#limits.streams.limit,
        unknownNames: () => this.#registry.unknownNames,
        // Only workers open the store; their values are merged with this one.
        storeUp: async () => true,
      },
      known: knownLabels(settings.services),
      version: VERSION,
    });
    this.#swaps = new SwapPlace(
      new MemoryStore({ maxBytes: settings.cacheMaxBytes, channels: new Channels(() => {}), clock }),
    );
    // Must come before `exposeCollector`: it makes a collector of its own.
    this.#memory = keepWithin(settings.memory);
    this.#team = new WorkerTeam({
      size: settings.workers,
      seats: Array.from({ length: seats - 1 }, (_, i) => i + 1),
      spawn: (seat) => this.#spawn(seat),
      logger,
      clock,
    });
  }

  static async create(options: MainGatewayOptions): Promise<MainGateway> {
    const gateway = new MainGateway(options);
    await gateway.#connect();
    return gateway;
  }

  /** Resolves once all workers listen; rejects when one cannot begin. */
  async start(): Promise<TakenPorts> {
    const { externalHost, internalHost, externalPort, internalPort, reusePort } = this.#settings;
    // Workers listen with reusePort, which would let them share a port with another process.
    if (!reusePort) {
      await assertFree('EXTERNAL', externalPort, externalHost);
      await assertFree('INTERNAL', internalPort, internalHost);
    }
    exposeCollector();
    void this.#registry.start().then(() => {
      this.#discovered = true;
      this.#team.tellAll({ kind: 'discovered' });
    });
    await this.#team.start(externalPort === 0 || internalPort === 0, (ports) => {
      this.#ports = ports;
    });
    this.#begun = true;
    sayListening({ settings: this.#settings, logger: this.#logger }, this.#ports);
    return this.#ports;
  }

  /** Ends every worker after its requests, then sends the registry the calls that are left. */
  stop(): Promise<void> {
    this.#stopped ??= this.#drain();
    return this.#stopped;
  }

  setLogLevel(level: LogLevel): void {
    this.#team.tellAll({ kind: 'level', level });
  }

  async #drain(): Promise<void> {
    const { drainTimeoutMs } = this.#settings;
    this.#logger.info(`Draining for at most ${drainTimeoutMs} ms`);
    this.#serving.stop();
    await this.#team.stop(drainTimeoutMs + GRACE_MS);
    await this.#registry.stop();
    for (const { replicas } of this.#services) replicas.dispose();
    this.#logger.info('Drained');
  }

  async #connect(): Promise<void> {
    this.#registry = await createRegistry({
      settings: this.#settings,
      services: this.#services.map((service) => this.#listed(service)),
      metrics: this.metrics,
      logger: this.#logger,
      clock: threadsClock,
    });
    this.#rates = await createRateLimits({
      settings: this.#settings,
      stores: { evaluate: undefined },
      metrics: this.metrics,
      logStoreError: () => {},
    });
    this.#logBreaker = breakerLog({
      logger: this.#logger,
      metrics: this.metrics,
      clock: threadsClock,
      ...breakerRules(this.#settings),
      deregisters: this.#registry.takesCalls,
    });
  }

  #newService(service: Service): MainService {
    const replicas = new ServiceReplicas({
      service,
      ...breakerRules(this.#settings),
      slowStartMs: this.#settings.slowStartMs,
      clock: threadsClock,
      random: Math.random,
      threads: {
        seats: this.#shares.seats,
        newShare: this.#shares.allocate,
        openings: openingsOf(service.path, this.#shares.of),
      },
      // The main thread only sees events of breakers that it takes over from workers that have ended.
      onBreakerEvent: (event, subject) => this.#logBreaker(event, subject),
      onDeparted: ({ id }) => this.#forgetReplica(service.path, id),
      onIdle: () => {},
    });
    return { settings: service, replicas, limits: this.#limits.services.get(service.path) as ServiceLimits };
  }

  /** The service for the registry client. Its listings are passed on to the workers as well. */
  #listed({ settings, replicas }: MainService) {
    return {
      settings,
      replicas: {
        pool: replicas.pool,
        update: (listed: Parameters<ServiceReplicas['update']>[0]) => {
          replicas.update(listed);
          this.#team.tellAll({ kind: 'replicas', path: settings.path, replicas: toSend(replicas.shared) });
        },
      },
    };
  }

  #forgetReplica(service: string, instance: string): void {
    this.metrics.forgetReplica(service, instance);
    this.#earlier = withoutSeries(this.#earlier, { service, instance });
  }

  #spawn(seat: number): WorkerThread {
    this.#spawned += 1;
    const worker = new WorkerThread({
      start: this.#startOf(seat),
      onTold: (told, from) => this.#told(told, from),
      onAsked: (asked) => this.#serve(asked),
      onEnded: (ended, error) => this.#left(ended, error),
    });
    worker.listening.then(
      () => this.#logger.debug(`Worker ${worker.number} listens`),
      ({ message }: Error) => {
        // During the start the error goes to whoever started the gateway.
        if (this.#begun) this.#logger.error(`Worker ${worker.number} does not begin: ${message}`);
      },
    );
    return worker;
  }

  #startOf(seat: number): WorkerStart {
    const replicas = this.#services.map(({ settings, replicas: { shared } }) => {
      return [settings.path, toSend(shared)] as const;
    });
    return {
      // The ports are in use by this process already, or were found free.
      settings: { ...this.#settings, ...portsOf(this.#ports), reusePort: true },
      logLevel: this.#logger.level as LogLevel,
      logFormat: this.#logFormat,
      worker: this.#spawned,
      seat,
      seats: this.#shares.seats,
      isReplacement: this.#begun,
      buffers: this.#shares.buffers,
      replicas: new Map(replicas),
      discovered: this.#discovered,
      takesRegistryCalls: this.#registry.takesCalls,
      gatewayId: this.#gatewayId,
      responses: this.#swaps.changes,
    };
  }

  #told(told: FromWorker, worker: WorkerThread): void {
    if (told.kind === 'increments') {
      for (const { replica, count } of told.counts) {
        for (let i = 0; i < count; i += 1) this.#registry.increment(replica);
      }
    } else if (told.kind === 'deregister') {
      this.#registry.deregister(told.replica);
    } else if (told.kind === 'response') {
      this.#passOn(told.change, worker);
    } else if (told.kind === 'ending') {
      this.metrics.uncaughtErrors.count();
      this.#logger.warn(`Worker ${worker.number} ends after its requests and is replaced`);
      this.#team.fill();
    }
  }

  /**
   * Passes a change on to the workers, in the order in which changes arrive here. A `delete` also goes back to its sender, which
   * may meanwhile have applied an older change.
   */
  #passOn(change: ResponseChange, from: WorkerThread): void {
    this.#memory.shared(sizeOf(change));
    if (change.kind === 'delete') void this.#swaps.delete(change.key);
    for (const worker of this.#team.workers) {
      if (worker !== from || change.kind === 'delete') worker.tell({ kind: 'response', change });
    }
  }

  async #swap(swap: Swap): Promise<Swapped> {
    const { value, ttlMs, owner, isNew } = await this.#swaps.swap(swap);
    if (isNew) {
      this.#team.tellAll({ kind: 'response', change: { kind: 'set', key: swap.key, value, ttlMs, owner } });
    }
    return { value, ttlMs, owner };
  }

  async #serve(asked: MainQuestion): Promise<unknown> {
    if (asked.kind === 'rate') return this.#rates[asked.policy]?.take(asked.key);
    if (asked.kind === 'swap') return this.#swap(asked.swap);
    return this.#scrape();
  }

  async #render(): Promise<string> {
    // Both are read at once, so that a worker that ends meanwhile is counted once: among the workers, not among the
    // ended.
    const earlier = this.#earlier;
    const workers = this.#team.workers.map((worker) => worker.metrics(METRICS_WITHIN_MS));
    const own = this.metrics.registry.getMetricsAsJSON();
    return mergedText([...(await Promise.all([own, ...workers])), earlier]);
  }

  /** A worker has ended: releases what it held, keeps its metrics, and replaces it. */
  #left(worker: WorkerThread, error: Error | undefined): void {
    const { seat, number, snapshot } = worker;
    if (error) {
      this.metrics.uncaughtErrors.count();
      this.#logger.error(`Worker ${number} has ended by itself and is replaced`, { error });
    }
    this.#serving.leave(seat);
    this.#limits.leave(seat);
    for (const { replicas } of this.#services) replicas.leave(seat);
    this.#earlier = mergedCounts([this.#earlier, snapshot]);
    this.#team.left(worker);
  }
}

function portsOf({ externalPort, internalPort }: TakenPorts): TakenPorts {
  return { externalPort, internalPort };
}
