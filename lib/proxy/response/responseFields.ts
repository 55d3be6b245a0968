import type { Exchange } from '../../exchange/exchange.ts';
import type { FieldLines } from '../../http/fields.ts';
import { UpstreamBadResponseError } from '../errors.ts';
import { type FieldName, fieldNames } from '../fieldNames.ts';
import { connectionOptions, isHopByHop } from '../hopByHop.ts';
import { toPublicPaths } from './publicPaths.ts';

/** Fields of the response that the gateway sets itself. */
const OWNED: ReadonlySet<string> = new Set(['x-request-id']);

/** Fields that belong into the head only, or that would change where the message ends (RFC 9110 section 6.5.1). */
const OF_THE_HEAD: ReadonlySet<string> = new Set(['content-length', 'set-cookie', 'content-type']);

/** What is done with a replica's field: most are `passed` or `dropped`, the others need a look at their value. */
type Role = 'passed' | 'dropped' | 'connection' | 'transfer-encoding' | 'content-length';

/** `exchange` says where the service is, and what was cut off its path. */
export type ResponseFields = (raw: FieldLines, status: number, exchange: Exchange) => string[];

/**
 * Makes the fields of the client's response from those of the replica's, as name, value, name, value. Order, case and
 * duplicates (`Set-Cookie`) are kept. Throws `UpstreamBadResponseError` when the client could not decode the content.
 */
export function responseFieldsFor({ via, publicPathsFrom }: ResponseFieldsOptions = {}): ResponseFields {
  const nameOf = fieldNames(roleOf);

  return (raw, status, exchange) => {
    const fields = passedOn(raw, status, nameOf);
    if (via !== undefined) fields.push('Via', via);
    if (publicPathsFrom !== undefined) {
      const origin = exchange.attempt?.target.url.origin ?? '';
      toPublicPaths(fields, { prefix: exchange.prefix, basePath: publicPathsFrom, origin });
    }
    return fields;
  };
}

export interface ResponseFieldsOptions {
  /** Added as a `Via` field. Undefined: none is. */
  readonly via?: string | undefined;
  /** The service's base path, if clients get their own paths in place of the service's: see `toPublicPaths`. */
  readonly publicPathsFrom?: string | undefined;
}

function passedOn(raw: FieldLines, status: number, nameOf: (name: string) => FieldName<Role>): string[] {
  const fields: string[] = [];
  const connection: string[] = [];
  for (let i = 0; i < raw.length; i += 2) {
    const name = raw[i] as string;
    const { role } = nameOf(name);
    if (role === 'dropped') continue;
    const value = raw[i + 1] as string;
    if (role === 'connection') connection.push(value);
    else if (role === 'transfer-encoding') assertPlain(value);
    // A 204 has no content, so it must not state a length (RFC 9110 section 8.6).
    else if (role !== 'content-length' || status !== 204) fields.push(name, value);
  }
  const dropped = connectionOptions(connection.length === 0 ? undefined : connection.join(','));
  return dropped.size === 0 ? fields : without(fields, dropped);
}

function roleOf(lower: string): Role {
  if (lower === 'connection' || lower === 'transfer-encoding' || lower === 'content-length') return lower;
  return isHopByHop(lower) || OWNED.has(lower) ? 'dropped' : 'passed';
}

function without(fields: readonly string[], dropped: ReadonlySet<string>): string[] {
  return fields.filter((_, i) => !dropped.has((fields[i & ~1] as string).toLowerCase()));
}

/**
 * Other codings are refused: the field that names them is not passed on, so the client could not decode the content.
 */
function assertPlain(coding: string): void {
  if (/^\s*(chunked|identity)\s*$/i.test(coding)) return;
  throw new UpstreamBadResponseError('the content has a transfer coding other than chunked');
}

/** The trailer section, line by line. */
export function trailerFields(raw: FieldLines): [string, string][] {
  return besideHead(raw);
}

/** The fields of an interim response (RFC 9110 section 15.2), as name, value, name, value. */
export function interimFields(raw: FieldLines): string[] {
  return besideHead(raw).flat();
}

/** The field lines that are allowed outside the head of the final response. */
function besideHead(raw: FieldLines): [string, string][] {
  const lines: [string, string][] = [];
  for (let i = 0; i < raw.length; i += 2) {
    const name = raw[i] as string;
    const lower = name.toLowerCase();
    if (isHopByHop(lower) || OF_THE_HEAD.has(lower) || OWNED.has(lower)) continue;
    lines.push([name, raw[i + 1] as string]);
  }
  return lines;
}
