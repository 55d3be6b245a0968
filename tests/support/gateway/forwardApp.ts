import type { RequestHandler } from 'express';
import { Attempt, type Outcome } from '../../../lib/exchange/attempt.ts';
import { exchangeOf } from '../../../lib/exchange/exchange.ts';
import { isRepeatable } from '../../../lib/http/content.ts';
import { type ProxyOptions, proxy } from '../../../lib/proxy/middleware.ts';
import { Transport } from '../../../lib/proxy/transport.ts';
import { type BareApp, bareApp } from './bareApp.ts';

export interface ForwardAppOptions extends Partial<ProxyOptions> {
  /** What runs in front of it. */
  readonly before?: RequestHandler | readonly RequestHandler[];
  /** Whether requests to upgrade reach it. */
  readonly takesUpgrades?: boolean;
}

export interface ForwardApp extends BareApp {
  /** How each try ended, in order. */
  readonly outcomes: readonly Outcome[];
}

/** `forward` alone in an Express app, sending everything to `url`. */
export async function forwardApp(url: URL, options: ForwardAppOptions = {}): Promise<ForwardApp> {
  const { before = [], takesUpgrades = false, ...rest } = options;
  const transport = new Transport({ connectTimeoutMs: 5_000 });
  const outcomes: Outcome[] = [];
  const watches: RequestHandler = (req, res, next) => {
    const attempt = new Attempt({ key: 'replica', id: 'replica', url }, { repeatable: isRepeatable(req) });
    attempt.watch({ responded() {}, ended: (outcome) => void outcomes.push(outcome) });
    exchangeOf(res).attempt = attempt;
    next();
  };
  const handlers = [watches, ...[before].flat(), proxy({ transport, idleTimeoutMs: 10_000, ...rest })];
  const app = await bareApp(handlers, { upgrades: takesUpgrades });
  const close = app[Symbol.asyncDispose];
  return Object.assign(app, {
    outcomes,
    async [Symbol.asyncDispose]() {
      await transport.destroy();
      await close();
    },
  });
}
