import type { Request, RequestHandler, Response } from 'express';
import { createProxyMiddleware, type Plugin } from 'http-proxy-middleware';
import { type Clock, systemClock } from '../clock/clock.ts';
import type { Limiter } from '../concurrency/limiter.ts';
import { Attempt, type Target } from '../exchange/attempt.ts';
import { hasContent, isRepeatable } from '../exchange/content.ts';
import { exchangeOf, nextWhileDue } from '../exchange/exchange.ts';
import { listener } from '../exchange/listener.ts';
import { BodyTooLargeError } from './errors.ts';
import type { TrustsPeer } from './forwarded.ts';
import { RequestBody } from './requestBody.ts';
import { type RequestFieldsOptions, requestFields } from './requestFields.ts';
import type { Transport } from './transport.ts';
import { reportUpgrades, type UpgradeOptions, upgrade } from './upgrade.ts';
import { UpstreamCall } from './upstreamCall.ts';

const DEFAULT_VIA = 'gateway';

export interface ForwardOptions {
  readonly transport: Transport;
  /** Where requests go when no balancer has chosen a replica before. */
  readonly target?: Target;
  /** Longest pause in an answer's body. Event streams are exempt. */
  readonly silenceMs: number;
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
  readonly upgrades?: Limiter;
  /** Called with the size of each piece of content that passes, either way. */
  readonly onContent?: (bytes: number) => void;
  readonly clock?: Clock;
}

/**
 * Forwards the request to the replica that the balancer chose and streams the answer back.
 *
 * http-proxy-middleware carries the request; its Node transport is replaced, through its public plugin
 * interface, by `Transport`. A failure before the answer's head goes to `next`; one after it cuts the client's
 * connection, because nothing else tells a client that what it got is not whole.
 */
export function forward(options: Readonly<ForwardOptions>): RequestHandler {
  const proxy = createProxyMiddleware<Request, Response>({
    router: (req) => attemptOf(req, options).target.url,
    pathRewrite: (path, req) => exchangeOf(responseTo(req)).upstreamTarget || path,
    plugins: [
      ownTransport({ ...options, onContent: listener(options.onContent) }),
      reportUpgrades(upgradeOptions(options)),
    ],
    ejectPlugins: true,
  });

  return function forwardMiddleware(req, res, next) {
    const { signal, upgradeHead } = exchangeOf(res);
    const nextIfDue = nextWhileDue(res, next);
    if (signal.aborted) return nextIfDue(signal.reason);
    attemptOf(req, options).whenUnanswered(nextIfDue);
    if (upgradeHead) upgrade(proxy, req, fieldsOptions(options), options.upgrades);
    else proxy(req, res, nextIfDue).catch(nextIfDue);
  };
}

/** Takes the place of the pass that would send the request through node:http. */
function ownTransport(options: Readonly<ForwardOptions>): Plugin<Request, Response> {
  return (proxyServer) => {
    // The sending pass is anonymous and the last of its name.
    proxyServer.before('web', '', (req, res) => {
      send(req as Request, res as Response, options);
      return true;
    });
  };
}

function send(req: Request, res: Response, options: Readonly<ForwardOptions>): void {
  const {
    transport,
    silenceMs,
    sendTimeoutMs = 0,
    maxBodyBytes = 0,
    onContent = () => {},
    clock = systemClock,
  } = options;
  const exchange = exchangeOf(res);
  const attempt = attemptOf(req, options);
  const fail = (error: Error) => attempt.unanswered(error);
  const body = hasContent(req) ? new RequestBody(req, maxBodyBytes, onContent) : null;
  const { url } = attempt.target;
  const sendAfresh = () => transport.sendAfresh(url, request(), call);
  const call = new UpstreamCall({
    res,
    exchange,
    attempt,
    body,
    via: answersVia(options),
    silenceMs,
    sendTimeoutMs,
    clock,
    onContent,
    sendAfresh,
    fail,
  });
  // http-proxy-middleware prepares asynchronously: the client may have left, or the deadline passed, meanwhile.
  if (exchange.signal.aborted) {
    call.onResponseError(undefined, exchange.signal.reason);
    return;
  }
  if (maxBodyBytes > 0 && Number(req.headers['content-length']) > maxBodyBytes) {
    call.onResponseError(undefined, new BodyTooLargeError(maxBodyBytes));
    return;
  }
  try {
    transport.send(url, request(), call);
  } catch (error) {
    call.onResponseError(undefined, error as Error);
  }

  function request() {
    const headers = requestFields(req, exchange, fieldsOptions(options));
    return { method: req.method, path: req.url, headers, body };
  }
}

function fieldsOptions(options: Readonly<ForwardOptions>): RequestFieldsOptions {
  const { trustsPeer = () => false, ownsIdentity = true, via = DEFAULT_VIA, clock = systemClock } = options;
  return { trustsPeer, ownsIdentity, via, nowMs: clock.now() };
}

function upgradeOptions(options: Readonly<ForwardOptions>): UpgradeOptions {
  const { silenceMs, ownsIdentity = true, clock = systemClock } = options;
  return { silenceMs, ownsIdentity, clock, via: answersVia(options) };
}

function answersVia({ via = DEFAULT_VIA, viaOnAnswers = false }: Readonly<ForwardOptions>) {
  return viaOnAnswers ? `1.1 ${via}` : undefined;
}

function attemptOf(req: Request, { target }: Readonly<ForwardOptions>): Attempt {
  const exchange = exchangeOf(responseTo(req));
  if (exchange.attempt) return exchange.attempt;
  if (!target) throw new TypeError('forward: no balancer chose a replica and no target option was given');
  exchange.attempt = new Attempt(target, { repeatable: isRepeatable(req) });
  return exchange.attempt;
}

/** Express sets it on every request; http-proxy-middleware hands callbacks the request alone. */
function responseTo(req: Request): Response {
  return req.res as Response;
}
