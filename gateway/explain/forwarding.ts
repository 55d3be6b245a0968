import type { Request, Response } from 'express';
import { revokePaths } from '../../config/sections/revokePaths.ts';
import type { Route } from '../../config/sections/services.ts';
import { issuingRequests } from '../../lib/auth/issuePaths.ts';
import { logouts } from '../../lib/auth/revocation/logouts.ts';
import { takeTokens } from '../../lib/auth/sources/queryToken.ts';
import { tokenReading } from '../../lib/auth/sources/readToken.ts';
import { handlingOf } from '../../lib/cache/rules/requestTerms.ts';
import { serviceTarget } from '../../lib/cache/serviceTarget.ts';
import { Audiences } from '../../lib/cache/stored/audiences.ts';
import { type Audience, audienceText } from '../../lib/cache/stored/key.ts';
import type { Exchange, Identity } from '../../lib/exchange/exchange.ts';
import { FieldEdit } from '../../lib/headers/fieldEdit.ts';
import { requestFieldsFor } from '../../lib/proxy/request/requestFields.ts';
import type { Port } from '../port.ts';
import type { Parts, ServiceParts } from '../wiring/parts.ts';
import type { CacheExplained, UpstreamExplained } from './explanation.ts';
import { type Explained, explainedVariable } from './values.ts';

/** A request that has come to the chain of a service. */
export interface Arrival {
  readonly req: Request;
  readonly exchange: Exchange;
  readonly service: ServiceParts;
  readonly route: Route | undefined;
  readonly port: Port;
  readonly parts: Parts;
}

/** Stands for whoever the token of the request is of: it is not looked at. */
const SOMEBODY: Identity = { subject: 'somebody', key: 'somebody', claims: '' };

/** Whether the request must bring a token, and whether it brings something in its place. */
export function tokenOf({ req, exchange, service, port, parts }: Arrival): {
  readonly isNeeded: boolean;
  readonly isThere: boolean;
  readonly why: 'login' | 'logout' | 'auth';
} {
  if (port === 'internal') return { isNeeded: false, isThere: false, why: 'auth' };
  const { auth, token } = service.settings;
  const isBrought = tokenReading({ sources: auth.sources }).read(req, exchange) !== undefined;
  const isLogout = logouts({ paths: revokePaths(parts.settings), always: token === 'revoke' });
  if (isLogout(req, req.res as Response)) return { isNeeded: true, isThere: isBrought, why: 'logout' };
  if (issuingRequests(parts.settings.authIssuePaths, token === 'issue')(req))
    return { isNeeded: false, isThere: false, why: 'login' };
  const isAsked = auth.need === 'required' || (auth.need === 'optional' && isBrought);
  return { isNeeded: isAsked, isThere: isAsked && isBrought, why: 'auth' };
}

/** What the cache makes of the request once it is let in. */
export function explainedCache(arrival: Arrival): CacheExplained {
  const { req, exchange, service } = arrival;
  const { cacheShared, cacheTtlMs, stripPrefix, path } = service.settings;
  const identity = tokenOf(arrival).isThere ? SOMEBODY : undefined;
  const audiences = new Audiences(cacheShared).of(req, identity);
  const handling = handlingOf(req, audiences.length === 0);
  if (handling !== 'lookup') return { handling };
  if (cacheTtlMs === 'off') return { handling: 'bypass' };
  const scheme = 'encrypted' in req.socket && req.socket.encrypted ? 'https' : 'http';
  const key = {
    service: exchange.service,
    authority: `${scheme}://${req.headers.host ?? ''}`,
    target: withoutTokens(serviceTarget(req, exchange, stripPrefix ? path : '')),
    ...(exchange.route !== '' && { route: exchange.route }),
    audiences: audiences.map(audienceName),
  };
  return { handling, key };
}

/** A target as it may be shown: `access_token` is left out of its query. */
export function withoutTokens(target: string): string {
  const queryAt = target.indexOf('?');
  const taken = queryAt === -1 ? undefined : takeTokens(target, queryAt);
  return taken ? target.slice(0, queryAt) + taken.rest : target;
}

function audienceName(audience: Audience): string {
  if (audience.kind === 'identity') return 'identity';
  return audienceText(audience);
}

/** What the service is sent, and where. */
export function explainedUpstream(arrival: Arrival, explained: Explained): UpstreamExplained {
  const { req, exchange, service, route } = arrival;
  const { path, upstreams, basePath } = service.settings;
  const registry = explained.settings.serviceDiscovery && explainedVariable('serviceDiscovery', explained);
  const rewrite = route?.action.kind === 'forward' ? route.action.rewrite : undefined;
  return {
    service: path,
    target: withoutTokens(basePath + (exchange.upstreamTarget || req.url)),
    cut: exchange.prefix,
    ...(rewrite !== undefined && { rewrite }),
    replicas: upstreams,
    ...(registry && { registry: `${registry.name} ${registry.value}` }),
    ...changedFields(arrival),
  };
}

/** Names alone: values may be secrets. */
function changedFields(arrival: Arrival): Pick<UpstreamExplained, 'fieldsAdded' | 'fieldsRemoved'> {
  const { req, exchange, service, port, parts } = arrival;
  const { clock, settings, trustsPeer } = parts;
  const { requestRules: rules } = service.settings;
  const fieldsFor = requestFieldsFor({
    trustsPeer,
    ownsIdentity: port === 'external',
    via: settings.viaName,
    passesAuthorization: service.settings.passAuthorization,
    host: service.settings.host,
    edit: port === 'external' && rules ? new FieldEdit(rules) : undefined,
  });
  const nowMs = clock.now();
  exchange.deadlineAtMs = nowMs + service.settings.requestTimeoutMs;
  exchange.identity = port === 'external' && tokenOf(arrival).isThere ? SOMEBODY : undefined;
  const sent = namesIn(fieldsFor(req, exchange, nowMs));
  const given = namesIn(req.rawHeaders);
  return { fieldsAdded: without(sent, given), fieldsRemoved: without(given, [...sent, 'Host']) };
}

function namesIn(fields: readonly string[]): string[] {
  return fields.filter((_, index) => index % 2 === 0);
}

function without(names: readonly string[], others: readonly string[]): string[] {
  const gone = new Set(others.map((name) => name.toLowerCase()));
  return [...new Set(names)].filter((name) => !gone.has(name.toLowerCase()));
}
