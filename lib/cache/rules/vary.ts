import { hash } from 'node:crypto';
import type { Identity } from '../../exchange/exchange.ts';
import { type FieldLines, fieldValues } from '../../http/fields.ts';
import { withoutSpace } from '../../http/whiteSpace.ts';
import { connectionOptions } from '../../proxy/hopByHop.ts';

/** What selects among the responses of one URI. */
export interface Selecting {
  /** Field lines as they came. */
  readonly rawHeaders: FieldLines;
  readonly identity: Identity | undefined;
}

/** Fields that the gateway sets anew for each request: a response that varies on them matches no other request. */
const SET_ANEW =
  /^(?:x-forwarded-.*|forwarded|x-real-ip|x-request-id|x-request-timeout-ms|via|traceparent|tracestate)$/;

/** The names that `Vary` lists, in lower case and in order, each once (RFC 9110 section 12.5.5). */
export function varyNames(vary: string | undefined): readonly string[] {
  const names = new Set<string>();
  for (const item of vary?.split(',') ?? []) {
    const name = withoutSpace(item).toLowerCase();
    if (name) names.add(name);
  }
  return [...names].sort();
}

/** Each name is looked up among all fields of a request. No real service lists so many. */
const MOST_NAMES = 64;

/** Whether no other request can match: for `*`, a field that the gateway sets, or more than 64 fields. */
export function variesOnEverything(vary: string | undefined): boolean {
  if (vary === undefined) return false;
  const names = varyNames(vary);
  return names.length > MOST_NAMES || names.some((name) => name === '*' || SET_ANEW.test(oneSpelling(name)));
}

/**
 * A digest of the request's fields called `names`. For fields that say who is calling the verified identity counts, which
 * is what the service gets.
 */
export function selectingKey(names: readonly string[], request: Selecting): string {
  if (names.length === 0) return '';
  const dropped = connectionOptions(fieldValues(request.rawHeaders, 'connection').join(','));
  const values = names.map((name) => [name, dropped.has(name) ? [] : saidUnder(name, request)]);
  return hash('sha256', JSON.stringify(values), 'base64url');
}

/**
 * Every line of the field, in order, as the service gets it. CGI servers read `Accept_Language` and `Accept-Language` as
 * one field: a line with an alias of the name counts too, as a different one.
 */
function saidUnder(name: string, { rawHeaders, identity }: Selecting): readonly unknown[] {
  const spelling = oneSpelling(name);
  const said: unknown[] = linesUnder(name, spelling, rawHeaders);
  if (spelling === 'x-auth-subject') said.push(identity?.subject ?? null);
  else if (spelling === 'authorization' || spelling.startsWith('x-auth-'))
    said.push(identity?.claims ?? null);
  return said;
}

function linesUnder(name: string, spelling: string, rawHeaders: FieldLines): unknown[] {
  const lines: unknown[] = [];
  for (let i = 0; i < rawHeaders.length; i += 2) {
    const given = rawHeaders[i] as string;
    if (given.length !== name.length) continue;
    const lower = given.toLowerCase();
    if (oneSpelling(lower) !== spelling) continue;
    const value = normalValue(spelling, rawHeaders[i + 1] as string);
    lines.push(lower === name ? value : [lower, value]);
  }
  return lines;
}

/** White space around commas makes no difference in fields that are known to be lists (RFC 9111 section 4.1). */
function normalValue(spelling: string, value: string): string {
  const isPlainList = spelling.startsWith('accept') && value.includes(',') && !value.includes('"');
  return isPlainList ? value.split(',').map(withoutSpace).join(',') : value;
}

/** The name with a hyphen in place of every character that is no letter or digit. */
function oneSpelling(name: string): string {
  return /[^a-z0-9-]/.test(name) ? name.replace(/[^a-z0-9]/g, '-') : name;
}
