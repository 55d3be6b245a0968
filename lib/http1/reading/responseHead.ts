import type { FieldLines } from '../../http/fields.ts';
import { BrokenResponseError } from '../errors.ts';
import { isNamed, wholeNumber } from '../grammar.ts';
import { lineEnd, readFieldLines } from './fieldLines.ts';

/** How the end of a response's content is found (RFC 9112 section 6.3). */
export type Framing = 'none' | 'length' | 'chunks' | 'close';

export interface ResponseHead {
  readonly status: number;
  readonly reason: string;
  readonly fields: FieldLines;
  readonly framing: Framing;
  /** The length of the content; 0 unless it is framed by its length. */
  readonly lengthBytes: number;
  /** Whether the connection may be used for another request. */
  readonly keepsAlive: boolean;
  /** How long the origin states that it keeps an idle connection. */
  readonly keepAliveMs: number | undefined;
}

/** What the fields say about the message and its connection. */
interface Said {
  chunked: boolean;
  lengthBytes: number | undefined;
  connection: string;
  keepAliveMs: number | undefined;
}

const DIGIT_0 = 0x30;
const SPACE = 0x20;
const CR = 0x0d;
/** The offset after `HTTP/1.1 200`. */
const REASON_AT = 12;

/**
 * Parses a head without its empty line. `method` is the request's. Throws `BrokenResponseError` for everything that does not
 * follow RFC 9112 exactly, and for any doubt about where the response ends.
 */
export function readResponseHead(text: string, method: string, maxFieldBytes: number): ResponseHead {
  const isHttp11 = text.startsWith('HTTP/1.1 ');
  if (!isHttp11 && !text.startsWith('HTTP/1.0 ')) throw badStatusLine(text);
  const status = readStatus(text);
  const reasonEnd = lineEnd(text, REASON_AT);
  const fields = readFieldLines(text, reasonEnd + 2, maxFieldBytes);
  const said = readFraming(fields);
  const framing = framingOf(said, method, status);
  return {
    status,
    reason: text.slice(REASON_AT + 1, reasonEnd),
    fields,
    framing,
    lengthBytes: framing === 'length' ? (said.lengthBytes ?? 0) : 0,
    keepsAlive: keepsAlive(said, framing, isHttp11, method),
    keepAliveMs: said.keepAliveMs,
  };
}

function readStatus(text: string): number {
  let status = 0;
  for (let at = 9; at < REASON_AT; at += 1) {
    const digit = text.charCodeAt(at) - DIGIT_0;
    if (!(digit >= 0 && digit <= 9)) throw badStatusLine(text);
    status = status * 10 + digit;
  }
  const behind = text.charCodeAt(REASON_AT);
  if (status < 100 || (behind !== SPACE && behind !== CR && text.length > REASON_AT))
    throw badStatusLine(text);
  return status;
}

function badStatusLine(text: string): BrokenResponseError {
  return new BrokenResponseError('bad_status_line', `no status line: ${JSON.stringify(text.slice(0, 40))}`);
}

function readFraming(fields: FieldLines): Said {
  const said: Said = { chunked: false, lengthBytes: undefined, connection: '', keepAliveMs: undefined };
  for (let i = 0; i < fields.length; i += 2) {
    const name = fields[i] as string;
    // Compared by length first: only a few names have one of these lengths.
    if (name.length === 10 || name.length === 14 || name.length === 17) {
      readFramingField(said, name, fields[i + 1] as string);
    }
  }
  return said;
}

function readFramingField(said: Said, name: string, value: string): void {
  if (isNamed(name, 'content-length')) {
    if (said.lengthBytes !== undefined)
      throw new BrokenResponseError('bad_framing', 'two Content-Length fields');
    said.lengthBytes = contentLength(value);
  } else if (isNamed(name, 'transfer-encoding')) {
    if (said.chunked || !isNamed(value, 'chunked')) {
      throw new BrokenResponseError('bad_framing', 'the content has a transfer coding other than chunked');
    }
    said.chunked = true;
  } else if (isNamed(name, 'connection')) {
    said.connection =
      said.connection === '' ? value.toLowerCase() : `${said.connection},${value.toLowerCase()}`;
  } else if (isNamed(name, 'keep-alive')) {
    const seconds = /(?:^|[\s,;])timeout\s*=\s*(\d{1,9})/i.exec(value)?.[1];
    if (seconds !== undefined) said.keepAliveMs = Number(seconds) * 1000;
  }
}

function contentLength(value: string): number {
  const length = wholeNumber(value);
  if (!Number.isNaN(length)) return length;
  throw new BrokenResponseError(
    'bad_framing',
    `Content-Length must be a number, got ${JSON.stringify(value)}`,
  );
}

function framingOf({ chunked, lengthBytes }: Said, method: string, status: number): Framing {
  if (chunked && lengthBytes !== undefined) {
    throw new BrokenResponseError('bad_framing', 'both Content-Length and Transfer-Encoding');
  }
  if (method === 'HEAD' || status < 200 || status === 204 || status === 304) return 'none';
  if (chunked) return 'chunks';
  return lengthBytes === undefined ? 'close' : 'length';
}

/**
 * Whether the connection can be used again. Never after a response to HEAD, nor after one that has no content but fields about
 * content: some services send the content anyway, and it would be read as the response to another request.
 */
function keepsAlive(said: Said, framing: Framing, isHttp11: boolean, method: string): boolean {
  if (framing === 'close' || method === 'HEAD') return false;
  if (framing === 'none' && (said.chunked || (said.lengthBytes ?? 0) > 0)) return false;
  // RFC 9112 section 6.1: chunked content in HTTP/1.0 is faulty framing.
  if (said.chunked && !isHttp11) return false;
  if (said.connection === '' || said.connection === 'keep-alive') return isHttp11 || said.connection !== '';
  const options = said.connection.split(',').map((option) => option.trim());
  return !options.includes('close') && (isHttp11 || options.includes('keep-alive'));
}
