import type { Request, Response } from 'express';
import type { Settings } from '../../config/config.ts';
import { allRoutes } from '../../config/routes/complete.ts';
import { type Route, upstreamTexts } from '../../config/sections/services.ts';
import { withoutKeys } from '../../lib/apikeys/keyText.ts';
import { apiKeyReader } from '../../lib/apikeys/reading.ts';
import { type Asking, askingFor } from '../../lib/auth/asking.ts';
import { hideTokens } from '../../lib/auth/sources/hideTokens.ts';
import { ACCESS_TOKEN } from '../../lib/auth/sources/queryToken.ts';
import { tokenReading } from '../../lib/auth/sources/readToken.ts';
import { handlingOf } from '../../lib/cache/rules/requestTerms.ts';
import { serviceTarget } from '../../lib/cache/serviceTarget.ts';
import { Audiences } from '../../lib/cache/stored/audiences.ts';
import { type Audience, audienceText } from '../../lib/cache/stored/key.ts';
import type { Exchange, Identity } from '../../lib/exchange/exchange.ts';
import { isNegotiated } from '../../lib/loadbalancer/affinity/negotiated.ts';
import { acceptsAll } from '../../lib/loadbalancer/choice/candidates.ts';
import { requestFieldsFor } from '../../lib/proxy/request/requestFields.ts';
import type { Port } from '../port.ts';
import { tokenTerms } from '../stages/access/auth.ts';
import { affinityOf } from '../stages/forwarding/affinity.ts';
import { requestFieldTerms } from '../stages/forwarding/proxy.ts';
import type { Parts, ServiceParts } from '../wiring/parts.ts';
import type { CacheExplained, ChoiceExplained, UpstreamExplained } from './explanation.ts';
import { type Explained, explainedVariable } from './values.ts';

/** A request that has come to the chain of a service. */
export interface Arrival {
  readonly req: Request;
  readonly exchange: Exchange;
  readonly service: ServiceParts;
  readonly route: Route | undefined;
  readonly port: Port;
  readonly parts: Parts;
  /** The fields of the request as the client has sent them: stages have taken some out of `req`. */
  readonly given: readonly string[];
  readonly token: TokenFound;
}

/** Stands for whoever the token of the request is of: it is not looked at. */
const SOMEBODY: Identity = { subject: 'somebody', key: 'somebody', claims: '' };

/** What auth makes of a request, as far as its token is not looked at. */
export interface TokenFound {
  readonly asking: Asking;
  /** Whether auth goes by a token that the request brings. */
  readonly isThere: boolean;
  /** The token itself, which must not be shown. */
  readonly text?: string | undefined;
  /** Why the request is refused, whoever it is of. */
  readonly refusal: Error | undefined;
}

/** A request that came to a chain, and what the stages before the service would write to its exchange. */
export function arrivalOf(arrived: Omit<Arrival, 'token'>): Arrival {
  const { exchange, service, parts } = arrived;
  const token = tokenOf(arrived);
  exchange.deadlineAtMs = parts.clock.now() + service.settings.requestTimeoutMs;
  exchange.identity = token.isThere ? SOMEBODY : undefined;
  return { ...arrived, token };
}

const NOBODY_IS_ASKED: TokenFound = { asking: 'none', isThere: false, refusal: undefined };

/** By the predicates of auth itself. */
function tokenOf({ req, exchange, service, port, parts }: Omit<Arrival, 'token'>): TokenFound {
  if (port === 'internal') return NOBODY_IS_ASKED;
  const terms = tokenTerms(parts, service.settings);
  const asking = askingFor(terms)(req, req.res as Response);
  if (asking === 'none' || asking === 'login') return { ...NOBODY_IS_ASKED, asking };
  const { read, missing } = tokenReading(terms);
  const found =
    apiKeyReader(read)(req, exchange) ?? read(req, exchange) ?? (asking === 'optional' ? undefined : missing);
  const isThere = typeof found === 'string';
  return isThere ? { asking, isThere, text: found, refusal: undefined } : { asking, isThere, refusal: found };
}

/** What the cache makes of the request once it is let in. */
export function explainedCache({ req, exchange, service, parts, token }: Arrival): CacheExplained {
  const { cacheShared, cacheTtlMs, stripPrefix, path } = service.settings;
  const identity = token.isThere ? SOMEBODY : undefined;
  const audiences = new Audiences(cacheShared).of(req, identity);
  const handling = handlingOf(req, audiences.length === 0);
  if (handling !== 'lookup') return { handling };
  if (cacheTtlMs === 'off') return { handling: 'bypass' };
  const scheme = 'encrypted' in req.socket && req.socket.encrypted ? 'https' : 'http';
  const key = {
    service: exchange.service,
    authority: `${scheme}://${req.headers.host ?? ''}`,
    target: withoutTokens(serviceTarget(req, exchange, stripPrefix ? path : ''), parts.settings),
    ...(exchange.route !== '' && { route: exchange.route }),
    audiences: audiences.map(audienceName),
  };
  return { handling, key };
}

/** A target as it may be shown: without the tokens of any source, whichever route it is for, and without API keys. */
export function withoutTokens(target: string, { defaults, services, routes }: Settings): string {
  const all = [defaults, ...services, ...allRoutes({ services, routes }).map(({ settings }) => settings)];
  const sources = all.flatMap(({ auth }) => auth.sources ?? []);
  const names = sources.flatMap((source) => (source.from === 'query' ? source.name : []));
  return withoutKeys(hideTokens(target, [...new Set([ACCESS_TOKEN, ...names])]));
}

function audienceName(audience: Audience): string {
  if (audience.kind === 'identity') return 'identity';
  return audienceText(audience);
}

/** What the service is sent, and where. */
export function explainedUpstream(arrival: Arrival, explained: Explained): UpstreamExplained {
  const { req, exchange, service, route } = arrival;
  const { path, basePath } = service.settings;
  const registry = explained.settings.serviceDiscovery && explainedVariable('serviceDiscovery', explained);
  const rewrite = route?.action.kind === 'forward' ? route.action.rewrite : undefined;
  return {
    service: path,
    target: withoutTokens(basePath + (exchange.upstreamTarget || req.url), explained.settings),
    cut: exchange.prefix,
    ...(rewrite !== undefined && { rewrite }),
    replicas: upstreamTexts(service.settings),
    choice: explainedChoice(arrival, registry !== undefined),
    ...(registry && { registry: `${registry.name} ${registry.value}` }),
    ...changedFields(arrival),
  };
}

/** Which replica gets it while all are there, by what chooses it in the gateway that runs. */
function explainedChoice(arrival: Arrival, isRegistered: boolean): ChoiceExplained {
  const { reason, isKnown } = reasonOf(arrival);
  const { req } = arrival;
  const replica =
    isKnown && !isRegistered ? affinityOf(arrival)(req, req.res as Response, acceptsAll) : undefined;
  return { ...(replica && { replica: replica.url.origin }), reason };
}

/** Why a replica gets it, and whether all is known that says which. */
function reasonOf(arrival: Arrival): { readonly reason: string; readonly isKnown: boolean } {
  const { req, exchange, service, port, token } = arrival;
  const { balance, weights } = service.settings;
  const isAddressKnown = req.socket.remoteAddress !== undefined;
  const ofCaller = {
    name: token.isThere ? 'the user' : 'the address',
    isKnown: !token.isThere && isAddressKnown,
  };
  const hash = ({ name, isKnown }: typeof ofCaller) => ({ reason: `by the hash of ${name}`, isKnown });
  if (balance.by === 'subject') return hash(ofCaller);
  if (balance.by === 'address') return hash({ name: 'the address', isKnown: isAddressKnown });
  if (balance.by === 'header') {
    const isThere = req.headers[balance.header] !== undefined;
    return hash(isThere ? { name: balance.header, isKnown: true } : ofCaller);
  }
  const byLoad = Object.keys(weights).length > 0 ? 'by load and weight' : 'by load';
  if (balance.by === 'cookie' && port === 'external') {
    if (exchange.keptReplica !== undefined) return { reason: 'its cookie names it', isKnown: true };
    return { reason: `${byLoad}, and the response has a cookie for it`, isKnown: false };
  }
  if (isNegotiated(req, exchange.upgradeHead !== undefined)) return hash(ofCaller);
  return { reason: byLoad, isKnown: false };
}

/** Names alone: values may be secrets. */
function changedFields(arrival: Arrival): Pick<UpstreamExplained, 'fieldsAdded' | 'fieldsRemoved'> {
  const given = namesIn(arrival.given);
  const sent = namesIn(sentFields(arrival));
  return { fieldsAdded: without(sent, given), fieldsRemoved: without(given, [...sent, 'Host']) };
}

/** The fields that the service gets, as the proxy stage makes them. */
function sentFields(arrival: Arrival): string[] {
  const { req, exchange, parts } = arrival;
  return requestFieldsFor(requestFieldTerms(arrival))(req, exchange, parts.clock.now());
}

function namesIn(fields: readonly string[]): string[] {
  return fields.filter((_, index) => index % 2 === 0);
}

function without(names: readonly string[], others: readonly string[]): string[] {
  const gone = new Set(others.map((name) => name.toLowerCase()));
  return [...new Set(names)].filter((name) => !gone.has(name.toLowerCase()));
}
