import { SAID } from '../lib/logging/logger.ts';
import { externalApp, internalApp } from './apps.ts';
import { startChecks } from './health/startChecks.ts';
import { acceptQueueAdvice } from './http/acceptQueue.ts';
import { internalPeers, internalPortNotice } from './http/internalPeers.ts';
import { ListenError } from './http/listenError.ts';
import { GatewayServer } from './http/server.ts';
import { refusalLog } from './logs/accessLog.ts';
import type { ListeningPort, Port } from './port.ts';
import { redirectApp } from './redirect/app.ts';
import { createParts } from './wiring/createParts.ts';
import type { Parts, PartsOptions } from './wiring/parts.ts';
import { overTls } from './wiring/tls/externalTls.ts';

/** How long the last spans may take to be exported. */
const SPANS_FLUSH_MS = 2_000;

/** The gateway: both ports and everything behind them. */
export class Gateway {
  readonly parts: Parts;
  readonly #external: GatewayServer;
  readonly #internal: GatewayServer;
  /** The port for plain HTTP; undefined: there is none. */
  readonly #http: GatewayServer | undefined;
  /** Where clients find the external port, for redirects. */
  #httpsPort = 0;
  #stopped: Promise<void> | undefined;

  private constructor(parts: Parts) {
    this.parts = parts;
    const { headersTimeoutMs, maxRequestHeadBytes, sendTimeoutMs, maxConnections } = parts.settings;
    const { keepAliveTimeoutMs, connectionMaxAgeMs } = parts.settings;
    const serverOptions = (port: Port, label: ListeningPort = port) => {
      return {
        headersTimeoutMs,
        maxHeadBytes: maxRequestHeadBytes,
        keepAliveTimeoutMs,
        connectionMaxAgeMs,
        sendTimeoutMs,
        maxConnections,
        clock: parts.clock,
        connections: parts.limits.connections[port],
        trustsPeer: parts.trustsPeer,
        onRefused: refusalLog({ port: label, ...parts }),
      };
    };
    const external = serverOptions('external');
    const create = overTls(parts, external.onRefused);
    this.#external = new GatewayServer(externalApp(parts), { ...external, create });
    this.#internal = new GatewayServer(internalApp(parts), {
      ...serverOptions('internal'),
      mayConnect: internalPeers(parts),
    });
    if (parts.settings.httpPort === undefined) return;
    // Its connections are users' as well, and count as such.
    const app = redirectApp(parts, () => this.#httpsPort);
    this.#http = new GatewayServer(app, serverOptions('external', 'http'));
  }

  /** Rejects when the store cannot be opened. */
  static async create(options: Readonly<PartsOptions>): Promise<Gateway> {
    return new Gateway(await createParts(options));
  }

  /**
   * Listens on both ports. Resolves to the ports taken, which matters for port 0; rejects when one is in use, or after
   * `stop`.
   */
  async start(): Promise<TakenPorts> {
    const { settings, readiness, registry, breakerNews, certificate, services } = this.parts;
    if (settings.breakerShared) await breakerNews.listen();
    void registry.start();
    // Of several threads the main thread asks the replicas, and all see what it finds.
    if (!this.parts.threads) await startChecks(services, this.parts);
    const { externalHost, internalHost, reusePort } = settings;
    const [wantedExternal, wantedInternal] = [settings.externalPort, settings.internalPort];
    const externalPort = await listen(this.#external, 'EXTERNAL', wantedExternal, externalHost, reusePort);
    const internalPort = await listen(this.#internal, 'INTERNAL', wantedInternal, internalHost, reusePort);
    this.#httpsPort = settings.httpsPublicPort ?? externalPort;
    const httpPort =
      this.#http && (await listen(this.#http, 'HTTP', settings.httpPort ?? 0, externalHost, reusePort));
    const ports = { externalPort, internalPort, httpPort };
    certificate?.watch();
    this.parts.transports.watch();
    readiness.listening();
    // With several threads the main thread logs this, once for all.
    if (!this.parts.threads) sayListening(this.parts, ports);
    return ports;
  }

  /**
   * Drains and closes: readiness turns negative, no new connections are accepted, requests under way may finish within
   * `DRAIN_TIMEOUT`. Idle connections stay open for `graceMs`, by default `DRAIN_GRACE`, so that load balancers can notice.
   */
  stop({ graceMs = this.parts.settings.drainGraceMs } = {}): Promise<void> {
    this.#stopped ??= this.#drain(graceMs);
    return this.#stopped;
  }

  /** The log level of what the main thread logs for all threads. */
  get #newsLevel(): 'info' | 'debug' {
    return this.parts.threads ? 'debug' : 'info';
  }

  async #drain(graceMs: number): Promise<void> {
    const { settings, logger, readiness, registry, services, clock, transports, stores, stopKeys, spans } =
      this.parts;
    readiness.drain();
    logger.log(this.#newsLevel, `Draining for at most ${settings.drainTimeoutMs} ms`);
    const outOfTime = new AbortController();
    const graceOver = new AbortController();
    if (graceMs === 0) graceOver.abort();
    const cancelGrace = clock.after(graceMs, () => graceOver.abort());
    const cancel = clock.after(settings.drainTimeoutMs, () => {
      logger.warn('Drain timeout: cutting the requests that are left');
      outOfTime.abort();
    });
    const signals = { graceOver: graceOver.signal, outOfTime: outOfTime.signal };
    const servers = [this.#external, this.#internal, this.#http];
    await Promise.all(servers.map((server) => server?.drain(signals)));
    cancelGrace();
    cancel();
    await spans?.close(SPANS_FLUSH_MS);
    await registry.stop();
    for (const { replicas, hedgings } of services) {
      replicas.dispose();
      hedgings.dispose();
    }
    stopKeys();
    this.parts.certificate?.stop();
    await Promise.all([transports.destroy(), stores.close()]);
    logger.log(this.#newsLevel, 'Drained');
  }
}

export interface TakenPorts {
  readonly externalPort: number;
  readonly internalPort: number;
  /** Undefined: there is no port for plain HTTP. */
  readonly httpPort?: number | undefined;
}

/** Logs where the gateway listens, and what operators should know about that. */
export function sayListening(
  { settings, logger }: Pick<Parts, 'settings' | 'logger'>,
  { externalPort, internalPort, httpPort }: TakenPorts,
): void {
  const advice = settings.reusePort && acceptQueueAdvice();
  if (advice) logger.warn(advice);
  logger.info(internalPortNotice(settings, internalPort));
  const redirects = httpPort === undefined ? '' : `, port ${httpPort} redirects to https`;
  logger.info(`Gateway listening: external port ${externalPort}, internal port ${internalPort}${redirects}`, {
    externalPort,
    internalPort,
    httpPort,
    [SAID]: new Set(['externalPort', 'internalPort', 'httpPort']),
  });
}

async function listen(
  server: GatewayServer,
  setting: string,
  port: number,
  host: string,
  reusePort: boolean,
): Promise<number> {
  try {
    return await server.listen(port, host, { reusePort });
  } catch (error) {
    throw new ListenError(setting, port, host, error as Error);
  }
}
