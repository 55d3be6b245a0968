import type { Request, Response } from 'express';
import type { Attempt } from '../../exchange/attempt.ts';
import { exchangeOf } from '../../exchange/exchange.ts';
import type { Transport } from '../transport.ts';
import { reportUpgrades, type UpgradeOptions, type UpgradingProxy } from './upgrade.ts';
import { UpgradeAgent } from './upgradeAgent.ts';

export interface UpgradingProxiesOptions extends UpgradeOptions {
  readonly transport: Transport;
  /** What goes before every path that the service is asked for; '' for nothing. */
  readonly basePath: string;
}

/**
 * The middlewares of http-proxy-middleware, one for each protocol of replicas. They are loaded at the first upgrade, which
 * delays other requests by about 50 ms once: they take 20 MiB, and may never be needed.
 */
export class UpgradingProxies {
  readonly #options: UpgradingProxiesOptions;
  readonly #byProtocol = new Map<string, Promise<UpgradingProxy>>();

  constructor(options: UpgradingProxiesOptions) {
    this.#options = options;
  }

  /** The one for a replica at this URL. */
  for({ protocol }: URL): Promise<UpgradingProxy> {
    const loading = this.#byProtocol.get(protocol) ?? this.#load(protocol === 'https:');
    this.#byProtocol.set(protocol, loading);
    return loading;
  }

  async #load(isTls: boolean): Promise<UpgradingProxy> {
    const { transport, basePath, ...upgrade } = this.#options;
    const { createProxyMiddleware } = await import('http-proxy-middleware');
    return createProxyMiddleware<Request, Response>({
      ...(isTls && { agent: new UpgradeAgent(transport) }),
      // Whoever asks for an upgrade has set the attempt.
      router: (req) => (exchangeFor(req).attempt as Attempt).target.url,
      pathRewrite: (path, req) => basePath + (exchangeFor(req).upstreamTarget || path),
      plugins: [reportUpgrades(upgrade)],
      ejectPlugins: true,
    });
  }
}

/** Callbacks of http-proxy-middleware get only the request, and Express sets `res` on it. */
function exchangeFor(req: Request) {
  return exchangeOf(req.res as Response);
}
