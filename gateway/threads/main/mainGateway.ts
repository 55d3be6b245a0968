import { randomUUID } from 'node:crypto';
import type { Settings } from '../../../config/config.ts';
import type { Service } from '../../../config/sections/services.ts';
import { threadsClock } from '../../../lib/clock/threadsClock.ts';
import type { LogFormat, Logger, LogLevel } from '../../../lib/logging/logger.ts';
import { Metrics } from '../../../lib/metrics/metrics.ts';
import { CHANGES } from '../../../lib/store/sqlite/sqlite.ts';
import { sayListening, type TakenPorts } from '../../gateway.ts';
import { startChecks } from '../../health/startChecks.ts';
import { breakerLog } from '../../logs/breakerLog.ts';
import { keepWithin } from '../../process/memory.ts';
import { exposeCollector } from '../../process/spentBuffers.ts';
import { VERSION } from '../../process/version.ts';
import type { Registry } from '../../registries/contract.ts';
import { createRegistry } from '../../registries/registry.ts';
import { createSharedLimits, type ServiceLimits, type SharedLimits } from '../../wiring/limits.ts';
import { knownLabels } from '../../wiring/metrics/knownLabels.ts';
import { readings } from '../../wiring/metrics/readings.ts';
import { createRateLimits, type RateLimits } from '../../wiring/rateLimits.ts';
import { openingsOf, ServiceReplicas } from '../../wiring/services/replicas.ts';
import { breakerTerms, breakerTermsOf } from '../../wiring/services/serviceReplicas.ts';
import { openTransports, type Transports } from '../../wiring/tls/transports.ts';
import type { FromWorker, MainQuestion, WorkerStart } from '../messages.ts';
import { toSend } from '../sent.ts';
import { Serving } from '../serving.ts';
import { Shares } from '../shares.ts';
import { AllMetrics } from './allMetrics.ts';
import { assertFree } from './freePorts.ts';
import { StoredResponses } from './storedResponses.ts';
import { WorkerTeam } from './team.ts';
import { WorkerThread } from './workerThread.ts';

/** How long a worker may take to end after the time for its requests. */
const GRACE_MS = 5_000;
const OWN_NUMBER = 0;

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
  /** Likewise. For checks of replicas alone. */
  #transports!: Transports;
  /** Likewise. */
  #rates!: RateLimits;
  readonly #team: WorkerTeam;
  readonly #allMetrics: AllMetrics;
  readonly #responses: StoredResponses;
  readonly #gatewayId = randomUUID();
  readonly #secret = randomUUID();
  #logBreaker: ReturnType<typeof breakerLog> = () => {};
  #ports: TakenPorts;
  #spawned = 0;
  #discovered = false;
  #begun = false;
  #stopped: Promise<void> | undefined;

  private constructor({ settings, logger, logFormat }: MainGatewayOptions) {
    // Twice as many as workers: a worker that drains keeps its number while its replacement needs another.
    const threadCount = 1 + 2 * settings.workers;
    this.#settings = settings;
    this.#logger = logger;
    this.#logFormat = logFormat;
    this.#ports = settings;
    this.#shares = new Shares(OWN_NUMBER, threadCount);
    this.#shares.of('token changes', () => CHANGES);
    this.#serving = new Serving(this.#shares, settings.workers);
    this.#limits = createSharedLimits(settings, this.#shares.of, threadsClock);
    this.#services = settings.services.map((service) => this.#newService(service));
    this.metrics = new Metrics({
      readings: {
        ...readings(this.#services, this.#limits),
        unknownNames: () => this.#registry.unknownNames,
        // Only workers open the store and the certificate; their values are merged with these.
        storeUp: async () => true,
        storeMayEvict: async () => false,
        redisNodes: undefined,
        cache: undefined,
        certificateExpiresAtMs: undefined,
      },
      known: knownLabels(settings),
      version: VERSION,
    });
    // Must come before `exposeCollector`: it makes a collector of its own.
    const memory = keepWithin(settings.memory);
    this.#team = new WorkerTeam({
      size: settings.workers,
      threadNumbers: Array.from({ length: threadCount - 1 }, (_, i) => i + 1),
      spawn: (threadNumber) => this.#spawn(threadNumber),
      logger,
      clock: threadsClock,
    });
    this.#allMetrics = new AllMetrics(this.metrics, () => this.#team.workers);
    this.#responses = new StoredResponses(settings.cacheMaxBytes, this.#team, memory);
  }

  static async create(options: MainGatewayOptions): Promise<MainGateway> {
    const gateway = new MainGateway(options);
    await gateway.#connect();
    return gateway;
  }

  /** Resolves once all workers listen; rejects when one cannot begin. */
  async start(): Promise<TakenPorts> {
    const { externalHost, internalHost, externalPort, internalPort, httpPort, reusePort } = this.#settings;
    // Workers listen with reusePort, which would let them share a port with another process.
    if (!reusePort) {
      await assertFree('EXTERNAL', externalPort, externalHost);
      await assertFree('INTERNAL', internalPort, internalHost);
      await assertFree('HTTP', httpPort ?? 0, externalHost);
    }
    exposeCollector();
    this.#transports.watch();
    await startChecks(this.#services, {
      settings: this.#settings,
      logger: this.#logger,
      metrics: this.metrics,
      transports: this.#transports,
      clock: threadsClock,
      random: Math.random,
    });
    void this.#registry.start().then(() => {
      this.#discovered = true;
      this.#team.tellAll({ kind: 'discovered' });
    });
    await this.#team.start([externalPort, internalPort, httpPort].includes(0), (ports) => {
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
    await this.#transports.destroy();
    this.#logger.info('Drained');
  }

  async #connect(): Promise<void> {
    this.#transports = await openTransports({
      settings: this.#settings,
      logger: this.#logger,
      clock: threadsClock,
    });
    this.#registry = await createRegistry({
      settings: this.#settings,
      services: this.#services.map((service) => this.#listed(service)),
      metrics: this.metrics,
      logger: this.#logger,
      clock: threadsClock,
    });
    this.#rates = createRateLimits({
      settings: this.#settings,
      stores: { evaluate: undefined },
      metrics: this.metrics,
      logStoreError: () => {},
      clock: threadsClock,
    });
    this.#logBreaker = breakerLog({
      logger: this.#logger,
      metrics: this.metrics,
      clock: threadsClock,
      termsOf: breakerTermsOf(this.#settings),
      deregisters: this.#registry.takesCalls,
    });
  }

  #newService(service: Service): MainService {
    const replicas = new ServiceReplicas({
      service,
      ...breakerTerms(service, this.#settings),
      slowStartMs: this.#settings.slowStartMs,
      clock: threadsClock,
      random: Math.random,
      threads: {
        threadCount: this.#shares.threadCount,
        newShare: this.#shares.allocate,
        openings: openingsOf(service.path, this.#shares.of),
      },
      // The main thread only sees events of breakers that it takes over from workers that have ended.
      onBreakerEvent: (event, subject) => this.#logBreaker(event, subject),
      onDeparted: ({ id }) => this.#allMetrics.forgetReplica(service.path, id),
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

  #spawn(threadNumber: number): WorkerThread {
    this.#spawned += 1;
    const worker = new WorkerThread({
      start: this.#startOf(threadNumber),
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

  #startOf(threadNumber: number): WorkerStart {
    const replicas = this.#services.map(({ settings, replicas: { shared } }) => {
      return [settings.path, toSend(shared)] as const;
    });
    return {
      // The ports are in use by this process already, or were found free.
      settings: { ...this.#settings, ...portsOf(this.#ports), reusePort: true },
      logLevel: this.#logger.level as LogLevel,
      logFormat: this.#logFormat,
      worker: this.#spawned,
      threadNumber,
      threadCount: this.#shares.threadCount,
      isReplacement: this.#begun,
      buffers: this.#shares.buffers,
      replicas: new Map(replicas),
      discovered: this.#discovered,
      takesRegistryCalls: this.#registry.takesCalls,
      gatewayId: this.#gatewayId,
      secret: this.#secret,
      responses: this.#responses.changes,
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
      this.#responses.passOn(told.change, worker);
    } else if (told.kind === 'ending') {
      this.metrics.uncaughtErrors.count();
      this.#logger.warn(`Worker ${worker.number} ends after its requests and is replaced`);
      this.#team.fill();
    }
  }

  async #serve(asked: MainQuestion): Promise<unknown> {
    if (asked.kind === 'rate') return this.#rates[asked.counter].take(asked.asked);
    if (asked.kind === 'swap') return this.#responses.swap(asked.swap);
    return this.#allMetrics.scrape();
  }

  /** A worker has ended: releases what it held, keeps its metrics, and replaces it. */
  #left(worker: WorkerThread, error: Error | undefined): void {
    const { threadNumber, number } = worker;
    if (error) {
      this.metrics.uncaughtErrors.count();
      this.#logger.error(`Worker ${number} has ended by itself and is replaced`, { error });
    }
    this.#serving.leave(threadNumber);
    this.#limits.leave(threadNumber);
    for (const { replicas } of this.#services) replicas.leave(threadNumber);
    this.#allMetrics.left(worker);
    this.#team.left(worker);
  }
}

function portsOf({ externalPort, internalPort, httpPort }: TakenPorts) {
  return { externalPort, internalPort, httpPort };
}
