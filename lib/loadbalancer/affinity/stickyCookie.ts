import type { IncomingMessage, ServerResponse } from 'node:http';
import type { RequestHandler } from 'express';
import { type Exchange, exchangeOf } from '../../exchange/exchange.ts';
import { removeCookie, takeCookies } from '../../http/cookies.ts';
import { isNamed } from '../../http1/grammar.ts';
import type { HeadEdit } from '../../response/hooks.ts';
import { writerOf } from '../../response/responseWriter.ts';
import { TARGETED_FIELDS } from '../../response/targetedFields.ts';
import type { ReplicaPool } from '../pool.ts';
import type { Affinity } from './affinity.ts';
import type { StickyReplicas } from './stickyReplicas.ts';

export interface StickyCookieOptions {
  /** A token (RFC 9110 section 5.6.2). Its letter case counts. */
  readonly name: string;
  /** Which requests bring it again: the path that all of them begin with. */
  readonly path: string;
  readonly replicas: StickyReplicas;
  /** Whether the client came over https. Default: never. */
  readonly isSecure?: (req: IncomingMessage) => boolean;
  /** Other cookies that are taken away from requests: those of other services and routes. */
  readonly others?: readonly string[];
}

/** Fields that say which caches may keep a response, in lower case. */
const CACHE_FIELDS: ReadonlySet<string> = new Set(
  ['Cache-Control', 'Expires', ...TARGETED_FIELDS].map((name) => name.toLowerCase()),
);

/**
 * Takes the cookie that names a replica out of requests and puts that replica into `exchange.keptReplica` for the load balancer.
 * It must come before everything that reads fields: neither services nor cache keys have the cookie. What is forged, of another
 * service or of a replica that is gone counts as none.
 *
 * Where another replica has responded than the cookie says, the client is given a new one. Responses from the cache and refusals
 * of the gateway set none, and since the cookie is added on the way to the client, none is stored with it. No other cache may keep
 * a response to GET or HEAD that has it.
 */
export function stickyCookie(options: Readonly<StickyCookieOptions>): RequestHandler {
  const { name, replicas, others = [] } = options;
  const edit = cookieEdit(options);
  return function stickyCookieMiddleware(req, res, next) {
    const taken = takeFrom(req, name);
    for (const other of others) takeFrom(req, other);
    if (taken.length > 0) exchangeOf(res).keptReplica = keptBy(taken, replicas);
    writerOf(res).edit(edit);
    next();
  };
}

/** Only takes such cookies away, for services that do not go by them. */
export function dropCookies(names: readonly string[]): RequestHandler {
  return function dropCookiesMiddleware(req, _res, next) {
    if (req.headers.cookie !== undefined) for (const name of names) takeFrom(req, name);
    next();
  };
}

/** The replica that the client's cookie names. */
export function kept(pool: ReplicaPool): Affinity {
  return (_req, res, accepts) => {
    const { keptReplica } = exchangeOf(res);
    const replica = keptReplica === undefined ? undefined : pool.get(keptReplica);
    return replica?.available && accepts(replica) ? replica : undefined;
  };
}

const NONE: readonly string[] = [];

/** The values of the cookie, which the request has no longer. */
function takeFrom(req: IncomingMessage, name: string): readonly string[] {
  const { cookie } = req.headers;
  const taken = cookie?.toLowerCase().includes(name.toLowerCase()) ? takeCookies(cookie, name) : undefined;
  if (!taken) return NONE;
  removeCookie(req, name, taken.rest);
  return taken.values;
}

/** A client may have several, of different paths: the first that is good counts. */
function keptBy(values: readonly string[], replicas: StickyReplicas): string | undefined {
  for (const value of values) {
    const replica = replicas.replicaWith(value);
    if (replica) return replica.key;
  }
  return undefined;
}

function cookieEdit({ name, path, replicas, isSecure = () => false }: StickyCookieOptions): HeadEdit {
  return {
    edit(lines, status, res) {
      const moved = movedTo(exchangeOf(res));
      if (moved === undefined) return lines;
      const head = mayBeKept(res, status) ? withoutCaches(lines) : lines;
      const secure = isSecure(res.req) ? '; Secure' : '';
      head.push(
        'Set-Cookie',
        `${name}=${replicas.markOf(moved)}; Path=${path}; HttpOnly; SameSite=Lax${secure}`,
      );
      return head;
    },
    drops: () => false,
  };
}

/** Key of the replica that has responded, where that is another than the client has a cookie for. */
function movedTo({ attempt, keptReplica, errorCode }: Exchange): string | undefined {
  if (!attempt || attempt.failed || errorCode !== undefined) return undefined;
  const { key } = attempt.target;
  return key === keptReplica ? undefined : key;
}

function mayBeKept({ req: { method } }: ServerResponse, status: number): boolean {
  return status !== 101 && (method === 'GET' || method === 'HEAD');
}

function withoutCaches(lines: readonly string[]): string[] {
  const head: string[] = [];
  let isPrivate = false;
  let forbidsTransform = false;
  for (let i = 0; i < lines.length; i += 2) {
    const name = lines[i] as string;
    const value = lines[i + 1] as string;
    if (!CACHE_FIELDS.has(name.toLowerCase())) head.push(name, value);
    // What nobody may keep anyway is said in the service's own words.
    else if (isNamed(name, 'cache-control')) {
      forbidsTransform ||= /\bno-transform\b/i.test(value);
      if (!/\bno-store\b/i.test(value)) continue;
      isPrivate = true;
      head.push(name, value);
    }
  }
  if (!isPrivate) head.push('Cache-Control', `private, no-store${forbidsTransform ? ', no-transform' : ''}`);
  return head;
}
