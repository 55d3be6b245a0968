import { createHash } from 'node:crypto';
import type { IncomingHttpHeaders } from 'node:http';
import type { Identity } from '../exchange/exchange.ts';
import { connectionOptions } from '../proxy/hopByHop.ts';

/** What a request is told apart by, beside its URI. */
export interface Selecting {
  readonly headers: IncomingHttpHeaders;
  readonly identity: Identity | undefined;
}

/** Fields that a gateway sets anew for each request: an answer that depends on them is like no other. */
const SET_ANEW = /^(?:x-forwarded-.*|forwarded|x-real-ip|x-request-id|x-request-timeout-ms)$/;

/** The names that `Vary` lists, in lower case and in order, each once (RFC 9110 section 12.5.5). */
export function varyNames(vary: string | undefined): readonly string[] {
  const names = new Set<string>();
  for (const item of vary?.split(',') ?? []) {
    const name = item.trim().toLowerCase();
    if (name) names.add(name);
  }
  return [...names].sort();
}

/** Whether no other request can be said to ask for the same: `*`, or a field that the gateway sets. */
export function variesOnEverything(vary: string | undefined): boolean {
  return (
    vary !== undefined && varyNames(vary).some((name) => name === '*' || SET_ANEW.test(oneSpelling(name)))
  );
}

/**
 * What the request says under `names`, as one word that gives nothing of it away. For fields that carry who is
 * calling, what the service got counts: the verified identity.
 */
export function selectingKey(names: readonly string[], request: Selecting): string {
  if (names.length === 0) return '';
  const values = names.map((name) => [name, saidUnder(name, request)]);
  return createHash('sha256').update(JSON.stringify(values)).digest('base64url');
}

function saidUnder(name: string, { headers, identity }: Selecting): readonly (string | undefined)[] {
  // What a client calls its connection's own never reaches the service.
  const given = connectionOptions(headers.connection).has(name) ? undefined : headers[name];
  const value = Array.isArray(given) ? given.join(',') : given;
  const spaced = value?.replace(/\s*,\s*/g, ',').trim();
  const spelling = oneSpelling(name);
  if (spelling === 'x-auth-subject') return [spaced, identity?.subject];
  if (spelling === 'authorization' || spelling.startsWith('x-auth-')) return [spaced, identity?.claims];
  return [spaced];
}

/** Many servers read X_Auth_Subject and X-Auth-Subject as one name. */
function oneSpelling(name: string): string {
  return name.replaceAll('_', '-');
}
