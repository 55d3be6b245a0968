import { SAID } from '../lib/logging/logger.ts';
import { refusalLog } from './accessLog.ts';
import { externalApp, internalApp } from './apps.ts';
import { ListenError } from './listenError.ts';
import { createParts, type Parts, type PartsOptions } from './parts.ts';
import { GatewayServer } from './server.ts';

/** How long the last spans may take to leave. */
const SPANS_FLUSH_MS = 2_000;

/** Both ports and everything behind them. */
export class Gateway {
  readonly parts: Parts;
  readonly #external: GatewayServer;
  readonly #internal: GatewayServer;
  #stopped: Promise<void> | undefined;

  private constructor(parts: Parts) {
    this.parts = parts;
    this.#external = new GatewayServer(externalApp(parts), refusalLog({ port: 'external', ...parts }));
    this.#internal = new GatewayServer(internalApp(parts), refusalLog({ port: 'internal', ...parts }));
  }

  /** Rejects when the store cannot be opened. */
  static async create(options: Readonly<PartsOptions>): Promise<Gateway> {
    return new Gateway(await createParts(options));
  }

  /** Listens on both ports and resolves to those really taken; rejects when one is not free, or after `stop`. */
  async start(): Promise<{ externalPort: number; internalPort: number }> {
    const { settings, logger, readiness, registry, breakerNews } = this.parts;
    if (settings.breakerShared) await breakerNews.listen();
    registry.start();
    const { externalHost, internalHost } = settings;
    const externalPort = await listen(this.#external, 'EXTERNAL', settings.externalPort, externalHost);
    const internalPort = await listen(this.#internal, 'INTERNAL', settings.internalPort, internalHost);
    readiness.listening();
    logger.info(`Gateway listening: external port ${externalPort}, internal port ${internalPort}`, {
      externalPort,
      internalPort,
      [SAID]: new Set(['externalPort', 'internalPort']),
    });
    return { externalPort, internalPort };
  }

  /** Not ready, no new connections, requests under way finish within `DRAIN_TIMEOUT`, then everything closes. */
  stop(): Promise<void> {
    this.#stopped ??= this.#drain();
    return this.#stopped;
  }

  async #drain(): Promise<void> {
    const { settings, logger, readiness, registry, services, clock, transport, stores, stopKeys, spans } =
      this.parts;
    readiness.drain();
    logger.info(`Draining for at most ${settings.drainTimeoutMs} ms`);
    const outOfTime = new AbortController();
    const cancel = clock.after(settings.drainTimeoutMs, () => {
      logger.warn('Drain timeout: cutting the requests that are left');
      outOfTime.abort();
    });
    await Promise.all([this.#external.drain(outOfTime.signal), this.#internal.drain(outOfTime.signal)]);
    cancel();
    await spans?.close(SPANS_FLUSH_MS);
    await registry.stop();
    for (const { replicas, watchdog } of services) {
      replicas.dispose();
      watchdog.dispose();
    }
    stopKeys();
    await Promise.all([transport.destroy(), stores.close()]);
    logger.info('Drained');
  }
}

async function listen(server: GatewayServer, setting: string, port: number, host: string): Promise<number> {
  try {
    return await server.listen(port, host);
  } catch (error) {
    throw new ListenError(setting, port, host, error as Error);
  }
}
