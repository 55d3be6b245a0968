import type { FieldLines } from '../../http/fields.ts';
import { UpstreamBadResponseError } from '../errors.ts';
import { type FieldName, fieldNames } from '../fieldNames.ts';
import { connectionOptions, isHopByHop } from '../hopByHop.ts';

/** Fields of the answer that the gateway sets itself. */
const OWNED: ReadonlySet<string> = new Set(['x-request-id']);

/** Fields that speak of the message's own head, or would change where it ends (RFC 9110 section 6.5.1). */
const OF_THE_HEAD: ReadonlySet<string> = new Set(['content-length', 'set-cookie', 'content-type']);

/** What is done with a replica's field: it passes, or it speaks of its connection, or the gateway sets it itself. */
type Role = 'passed' | 'dropped' | 'connection' | 'transfer-encoding' | 'content-length';

export type ResponseFields = (raw: FieldLines, status?: number) => string[];

/**
 * Makes the fields of the answer to the client of a replica's, as name, value, name, value; order, case and
 * duplicates (`Set-Cookie`) survive. It throws `UpstreamBadResponseError` when the content could not be understood.
 * `via` is added when given.
 */
export function responseFieldsFor(via?: string): ResponseFields {
  const nameOf = fieldNames(roleOf);

  return (raw, status = 200) => {
    const fields = passedOn(raw, status, nameOf);
    if (via !== undefined) fields.push('Via', via);
    return fields;
  };
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
    // A 204 has no content, whatever the service says (RFC 9110 section 8.6).
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

/** Any other coding stays on the content, while the field that names it speaks of one connection only. */
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

/** The lines that may stand elsewhere than in the head of the final response. */
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
