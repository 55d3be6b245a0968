import type { Request, RequestHandler, Response } from 'express';
import { type Clock, systemClock } from '../clock/clock.ts';
import type { Permits } from '../concurrency/permits.ts';
import { Attempt, type Target } from '../exchange/attempt.ts';
import { callerOf } from '../exchange/caller.ts';
import { type Exchange, exchangeOf, nextWhileDue } from '../exchange/exchange.ts';
import { hasContent, isRepeatable } from '../http/content.ts';
import { fieldValue } from '../http/fields.ts';
import { listener } from '../util/listener.ts';
import { BodyTooLargeError, GatewayExhaustedError } from './errors.ts';
import type { TrustsPeer } from './request/forwarded.ts';
import { RequestBody } from './request/requestBody.ts';
import { requestFieldsFor } from './request/requestFields.ts';
import { responseFieldsFor } from './response/responseFields.ts';
import type { Transport } from './transport.ts';
import { reportUpgrades, type UpgradingProxy, upgrade } from './upgrade/upgrade.ts';
import { type CallTerms, UpstreamCall } from './upstreamCall.ts';

const DEFAULT_VIA = 'gateway';

export interface ProxyOptions {
  readonly transport: Transport;
  /** Where requests go when no balancer has chosen a replica before. */
  readonly target?: Target;
  /** Longest pause in an answer's body. Event streams are exempt. */
  readonly idleTimeoutMs: number;
  /** Longest time a client may leave its answer unread; 0 (the default) means for ever. */
  readonly sendTimeoutMs?: number;
  /** Largest request content; 0 (the default) means no limit. */
  readonly maxBodyBytes?: number;
  /** Peers whose `X-Forwarded-*` are believed. Default: nobody. */
  readonly trustsPeer?: TrustsPeer;
  /** What the gateway calls itself in `Via`, a token. Default `gateway`. */
  readonly via?: string;
  /** Whether answers to the client carry `Via` too. Default false. */
  readonly viaOnAnswers?: boolean;
  /** Replaces `Authorization` and `X-Auth-*` by the verified identity. Default true. */
  readonly ownsIdentity?: boolean;
  /** How many connections may be upgraded (WebSockets) at a time. Default: no limit. */
  readonly upgrades?: Permits;
  /** Called when this machine or process lacks what a connection needs. */
  readonly onExhausted?: (error: GatewayExhaustedError) => void;
  /** Called with the size of each piece of content that passes, either way. */
  readonly onContent?: (bytes: number) => void;
  readonly clock?: Clock;
}

/**
 * Forwards the request to the replica that the balancer chose and streams the answer back.
 *
 * Requests go straight to the transport. http-proxy-middleware, which would prepare each by three promises and a
 * dozen passes of which none is wanted here, carries those that upgrade their connection. A failure before the
 * answer's head goes to `next`; one after it cuts the client's connection, because nothing else tells a client that
 * what it got is not whole.
 */
export function proxy(options: Readonly<ProxyOptions>): RequestHandler {
  const { trustsPeer = () => false, ownsIdentity = true, via = DEFAULT_VIA, clock = systemClock } = options;
  const {
    viaOnAnswers = false,
    idleTimeoutMs,
    sendTimeoutMs = 0,
    maxBodyBytes = 0,
    transport,
    upgrades,
  } = options;
  const requestFields = requestFieldsFor({ trustsPeer, ownsIdentity, via });
  const responseFields = responseFieldsFor(viaOnAnswers ? `1.1 ${via}` : undefined);
  const callerFor = callerOf(trustsPeer);
  const onContent = listener(options.onContent);
  const onExhausted = listener(options.onExhausted);
  const terms: CallTerms = { responseFields, idleTimeoutMs, sendTimeoutMs, clock, onContent };
  let loadingProxy: Promise<UpgradingProxy> | undefined;

  /** At the first upgrade, which holds others up for some 50 ms, once: it takes 20 MiB, and many gateways never see one. */
  async function loadProxy(): Promise<UpgradingProxy> {
    const { createProxyMiddleware } = await import('http-proxy-middleware');
    return createProxyMiddleware<Request, Response>({
      router: (req) => attemptOf(req, responseTo(req), options).target.url,
      pathRewrite: (path, req) => exchangeOf(responseTo(req)).upstreamTarget || path,
      plugins: [reportUpgrades({ idleTimeoutMs, ownsIdentity, clock, responseFields })],
      ejectPlugins: true,
    });
  }

  function send(req: Request, res: Response, attempt: Attempt): void {
    const exchange = exchangeOf(res);
    const { content } = exchange;
    const body = hasContent(req) ? new RequestBody(req, maxBodyBytes, onContent, content) : null;
    const { url } = attempt.target;
    const request = () => ({
      method: req.method,
      path: exchange.upstreamTarget || req.url,
      headers: withLength(requestFields(req, exchange, clock.now()), content),
      body,
    });
    const sendAfresh = () => transport.sendAfresh(url, request(), call);
    const call = new UpstreamCall({ res, exchange, attempt, body, sendAfresh }, terms);
    try {
      if (maxBodyBytes > 0 && Number(req.headers['content-length']) > maxBodyBytes) {
        throw new BodyTooLargeError(maxBodyBytes);
      }
      transport.send(url, request(), call);
    } catch (error) {
      call.onResponseError(undefined, error as Error);
    }
  }

  return function proxyMiddleware(req, res, next) {
    const { abortReason, upgradeHead } = exchangeOf(res);
    const nextIfDue = nextWhileDue(res, next);
    if (abortReason) return nextIfDue(abortReason);
    const attempt = attemptOf(req, res, options);
    attempt.onNoResponse((error) => {
      if (error instanceof GatewayExhaustedError) onExhausted(error);
      nextIfDue(error);
    });
    if (!upgradeHead) return send(req, res, attempt);
    loadingProxy ??= loadProxy();
    const fields = (exchange: Exchange) => requestFields(req, exchange, clock.now());
    upgrade(loadingProxy, req, fields, callerFor(req, res), upgrades);
  };
}

/** What was collected has a length, even if it came in chunks. */
function withLength(fields: string[], content: Buffer | undefined): string[] {
  if (content && fieldValue(fields, 'content-length') === undefined) {
    fields.push('Content-Length', String(content.length));
  }
  return fields;
}

function attemptOf(req: Request, res: Response, { target }: Readonly<ProxyOptions>): Attempt {
  const exchange = exchangeOf(res);
  if (exchange.attempt) return exchange.attempt;
  if (!target) throw new TypeError('proxy: no load balancer chose a replica and no target option was given');
  exchange.attempt = new Attempt(target, { repeatable: isRepeatable(req) });
  return exchange.attempt;
}

/** Express sets it on every request; http-proxy-middleware hands callbacks the request alone. */
function responseTo(req: Request): Response {
  return req.res as Response;
}
