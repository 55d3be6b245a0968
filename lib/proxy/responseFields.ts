import { fieldValues } from '../exchange/fields.ts';
import { UpstreamBadResponseError } from './errors.ts';
import { connectionOptions, isHopByHop } from './hopByHop.ts';

/** Field lines as undici hands them over: name, value, name, value. */
export type RawFields = readonly (Buffer | string)[];

/** Fields of the answer that the gateway sets itself. */
const OWNED: ReadonlySet<string> = new Set(['x-request-id']);

/** Fields that would change where the message ends if they came after it (RFC 9110 section 6.5.1). */
const NEVER_IN_TRAILERS: ReadonlySet<string> = new Set(['content-length', 'set-cookie', 'content-type']);

/**
 * The fields of a replica's answer that belong to the client, as name, value, name, value; order, case and
 * duplicates (`Set-Cookie`) survive. Throws `UpstreamBadResponseError` when its content could not be understood.
 * `via` is added when given.
 */
export function responseFields(raw: RawFields, status = 200, via?: string): string[] {
  const all = raw.map(text);
  const dropped = connectionOptions(fieldValues(all, 'connection').join(',') || undefined);
  const fields: string[] = [];
  for (let i = 0; i < all.length; i += 2) {
    const name = all[i] as string;
    const lower = name.toLowerCase();
    if (lower === 'transfer-encoding') assertPlain(all[i + 1] as string);
    // A 204 has no content, whatever the service says (RFC 9110 section 8.6).
    if (status === 204 && lower === 'content-length') continue;
    if (!isHopByHop(lower) && !dropped.has(lower) && !OWNED.has(lower))
      fields.push(name, all[i + 1] as string);
  }
  if (via !== undefined) fields.push('Via', via);
  return fields;
}

/** Any other coding stays on the content, while the field that names it speaks of one connection only. */
function assertPlain(coding: string): void {
  if (/^\s*(chunked|identity)\s*$/i.test(coding)) return;
  throw new UpstreamBadResponseError('the content has a transfer coding other than chunked');
}

/** The trailer section as Node takes it. */
export function trailerFields(raw: RawFields): [string, string][] {
  const trailers: [string, string][] = [];
  for (let i = 0; i < raw.length; i += 2) {
    const name = text(raw[i] as Buffer);
    const lower = name.toLowerCase();
    if (!isHopByHop(lower) && !NEVER_IN_TRAILERS.has(lower) && !OWNED.has(lower))
      trailers.push([name, text(raw[i + 1] as Buffer)]);
  }
  return trailers;
}

/** Field bytes are latin1: so they leave as they came. */
function text(part: Buffer | string): string {
  return typeof part === 'string' ? part : part.toString('latin1');
}
