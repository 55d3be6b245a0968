import type { FieldLines } from '../http/fields.ts';
import { InvalidRequestError } from './errors.ts';
import { isNamed, isTarget, isToken, wholeNumber } from './grammar.ts';
import type { Request } from './handler.ts';
import type { LineCheck } from './lineCheck.ts';

/** A head without its empty line, and without the field that frames content of unknown length. */
export interface RequestHead {
  /** Each character is one byte (latin1). */
  readonly text: string;
  /** The length of the content by the fields; undefined when they do not state it. */
  readonly lengthBytes: number | undefined;
}

/** Methods whose content has a meaning: without content they state a length of 0 (RFC 9110 section 8.6). */
const WITH_CONTENT: ReadonlySet<string> = new Set(['POST', 'PUT', 'PATCH']);

/** Fields that this client sets itself, or cannot support. */
const OF_THE_CONNECTION: readonly string[] = ['upgrade', 'connection', 'keep-alive', 'transfer-encoding'];

const NO_FIELDS: FieldLines = [];

/** What this client must know of the fields. */
interface Said {
  host: boolean;
  lengthBytes: number | undefined;
}

/**
 * Writes the head of `request`, with the given fields, which `check` validates. `host` is used for `Host` when the fields have
 * none. Throws `InvalidRequestError` for anything that would change the request (CR, LF and the like), for connection fields,
 * and when length and content contradict each other. `Expect` is left out, because this client does not wait for a 100.
 */
export function requestHead(
  { method, path, headers = NO_FIELDS, body }: Request,
  host: string,
  check: LineCheck,
): RequestHead {
  if (!isToken(method)) throw invalid('method', method, 'a token');
  if (!isTarget(path)) throw invalid('path', path, 'a path without blanks and control characters, or *');
  const bad = check.firstBad(headers);
  if (bad !== -1) throw invalidLine(headers, bad);
  const said: Said = { host: false, lengthBytes: undefined };
  let lines = '';
  for (let i = 0; i < headers.length; i += 2) {
    const name = headers[i] as string;
    const value = headers[i + 1] as string;
    if (isPassed(said, name, value)) lines += `${name}: ${value}\r\n`;
  }
  const hostLine = said.host ? '' : `Host: ${host}\r\n`;
  // HTTP/1.0 closes unless it is asked not to.
  const connection = keepsAlive(method) ? 'keep-alive' : 'close';
  return {
    text: `${method} ${path} HTTP/1.1\r\n${hostLine}${lines}Connection: ${connection}\r\n${lengthLine(said, method, body)}`,
    lengthBytes: said.lengthBytes,
  };
}

/** Whether the connection can be used again. After HEAD it cannot: some servers send content anyway. */
export function keepsAlive(method: string): boolean {
  return method !== 'HEAD';
}

function isPassed(said: Said, name: string, value: string): boolean {
  switch (name.length) {
    case 4:
      if (!isNamed(name, 'host')) return true;
      assertFirst(!said.host, name);
      said.host = true;
      return true;
    case 6:
      return !isNamed(name, 'expect');
    case 7:
    case 10:
    case 17:
      if (!OF_THE_CONNECTION.some((own) => isNamed(name, own))) return true;
      throw new InvalidRequestError(`field ${name} speaks of the connection, which is the client's own`);
    case 14:
      if (!isNamed(name, 'content-length')) return true;
      assertFirst(said.lengthBytes === undefined, name);
      said.lengthBytes = contentLength(value);
      return true;
    default:
      return true;
  }
}

function assertFirst(isFirst: boolean, name: string): void {
  if (!isFirst) throw new InvalidRequestError(`field ${name} must come once`);
}

function contentLength(value: string): number {
  const length = wholeNumber(value);
  if (!Number.isNaN(length)) return length;
  throw invalid('Content-Length', value, 'a number');
}

function lengthLine({ lengthBytes }: Said, method: string, body: Request['body']): string {
  if (body) return '';
  if (lengthBytes === undefined) return WITH_CONTENT.has(method) ? 'Content-Length: 0\r\n' : '';
  if (lengthBytes > 0)
    throw new InvalidRequestError(`Content-Length is ${lengthBytes}, and there is no content`);
  return '';
}

function invalidLine(lines: FieldLines, at: number): InvalidRequestError {
  const name = lines[at & ~1] as string;
  if (!isToken(name)) return invalid('field name', name, 'a token');
  return invalid(name, lines[at | 1], 'text without control characters');
}

function invalid(what: string, value: string | undefined, accepted: string): InvalidRequestError {
  return new InvalidRequestError(`${what} must be ${accepted}, got ${JSON.stringify(value)}`);
}
