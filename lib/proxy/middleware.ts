import type { Request, RequestHandler, Response } from 'express';
import { type Clock, systemClock } from '../clock/clock.ts';
import type { Permits } from '../concurrency/permits.ts';
import { Attempt, type Target } from '../exchange/attempt.ts';
import { callerOf } from '../exchange/caller.ts';
import { type Exchange, exchangeOf, nextWhileDue } from '../exchange/exchange.ts';
import type { FieldEdit } from '../headers/fieldEdit.ts';
import { isRepeatable } from '../http/content.ts';
import { listener } from '../util/listener.ts';
import { GatewayExhaustedError } from './errors.ts';
import type { TrustsPeer } from './request/forwarded.ts';
import { type HostRule, requestFieldsFor } from './request/requestFields.ts';
import { RequestSender } from './requestSender.ts';
import { responseFieldsFor } from './response/responseFields.ts';
import type { Transport } from './transport.ts';
import { upgrade } from './upgrade/upgrade.ts';
import { UpgradingProxies } from './upgrade/upgradingProxies.ts';
import type { CallTerms } from './upstreamCall.ts';

const DEFAULT_VIA = 'gateway';

export interface ProxyOptions {
  readonly transport: Transport;
  /** The replica for requests for which no load balancer has chosen one. */
  readonly target?: Target;
  /** What goes before every path that the service is asked for: `/shop`. Default ''. */
  readonly basePath?: string;
  /** Whether clients get their own paths in `Location` and cookies: see `toPublicPaths`. Default false. */
  readonly publicPaths?: boolean;
  /** Longest time without content of a response that has begun, in milliseconds. Event streams are exempt. */
  readonly idleTimeoutMs: number;
  /** Longest time for which a client may not read on, in milliseconds. 0, the default: no limit. */
  readonly sendTimeoutMs?: number;
  /** Largest content of a request, in bytes. 0, the default: no limit. */
  readonly maxBodyBytes?: number;
  /** Whether the `X-Forwarded-*` fields of the peer at an address are trusted. Default: no peer's are. */
  readonly trustsPeer?: TrustsPeer;
  /** The gateway's name in `Via`, a token. Default `gateway`. */
  readonly via?: string;
  /** Whether responses to clients get `Via` too. Default false. */
  readonly viaOnResponses?: boolean;
  /** Whether `Authorization` and `X-Auth-*` are replaced by the verified identity. Default true. */
  readonly ownsIdentity?: boolean;
  /** Whether `Authorization` passes on all the same. Default false. */
  readonly passesAuthorization?: boolean;
  /** What `Host` says to the service. Default `client`: what the client sent. */
  readonly host?: HostRule;
  /** Changes what is passed on of the client's fields. Default: nothing is changed. */
  readonly requestEdit?: FieldEdit | undefined;
  /** Limits how many connections are upgraded (WebSockets) at a time. Default: no limit. */
  readonly upgrades?: Permits;
  /** Called when the process or machine has no descriptors, ports or buffers for a connection. */
  readonly onExhausted?: (error: GatewayExhaustedError) => void;
  /** Called when the response turns out to be an event stream, and has begun. */
  readonly onStream?: (exchange: Exchange) => void;
  /** Called with the size of each piece of content, in either direction. */
  readonly onContent?: (bytes: number) => void;
  readonly clock?: Clock;
}

/**
 * Forwards the request to the replica that the load balancer chose and streams the response back.
 *
 * Ordinary requests go straight to the transport; those that upgrade their connection go through http-proxy-middleware,
 * whose preparation of each request would cost more than everything else here. A failure before the head of the response
 * goes to `next`. A later one cuts the client's connection, because nothing else tells the client that the response is not
 * complete.
 */
export function proxy(options: Readonly<ProxyOptions>): RequestHandler {
  const { transport, basePath = '', idleTimeoutMs, sendTimeoutMs = 0, maxBodyBytes = 0, upgrades } = options;
  const { trustsPeer = () => false, ownsIdentity = true, via = DEFAULT_VIA, clock = systemClock } = options;
  const requestFields = requestFieldsFor({
    ...{ trustsPeer, ownsIdentity, passesAuthorization: options.passesAuthorization, via },
    host: options.host ?? 'client',
    edit: options.requestEdit,
  });
  const responseFields = responseFieldsFor({
    via: options.viaOnResponses ? `1.1 ${via}` : undefined,
    publicPathsFrom: options.publicPaths ? basePath : undefined,
  });
  const callerFor = callerOf(trustsPeer);
  const onContent = listener(options.onContent);
  const onExhausted = listener(options.onExhausted);
  const onStream = listener(options.onStream);
  const terms: CallTerms = { responseFields, idleTimeoutMs, sendTimeoutMs, clock, onContent, onStream };
  const sender = new RequestSender({ transport, basePath, maxBodyBytes, requestFields, terms });
  const ofUpgrades = { transport, basePath, idleTimeoutMs, ownsIdentity, clock, responseFields };
  const upgrading = new UpgradingProxies(ofUpgrades);

  return function proxyMiddleware(req, res, next) {
    const { abortReason, upgradeHead } = exchangeOf(res);
    const nextIfDue = nextWhileDue(res, next);
    if (abortReason) return nextIfDue(abortReason);
    const attempt = attemptOf(req, res, options);
    attempt.onNoResponse((error) => {
      if (error instanceof GatewayExhaustedError) onExhausted(error);
      nextIfDue(error);
    });
    if (!upgradeHead) return sender.send(req, res, attempt);
    const fields = (exchange: Exchange) => requestFields(req, exchange, clock.now());
    upgrade(upgrading.for(attempt.target.url), req, fields, callerFor(req, res), upgrades);
  };
}

function attemptOf(req: Request, res: Response, { target }: Readonly<ProxyOptions>): Attempt {
  const exchange = exchangeOf(res);
  if (exchange.attempt) return exchange.attempt;
  if (!target) throw new TypeError('proxy: no load balancer chose a replica and no target option was given');
  exchange.attempt = new Attempt(target, { repeatable: isRepeatable(req) });
  return exchange.attempt;
}
