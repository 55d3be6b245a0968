import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { eventually } from '../eventually.ts';

/** An answer as its bytes say it, trusting nothing. */
export interface RawResponse {
  readonly status: number;
  readonly reason: string;
  /** Field lines in order: [name, value]. */
  readonly fields: readonly (readonly [string, string])[];
  /** The first value of this field, whatever its case. */
  field(name: string): string | undefined;
  /** Content, chunks put together; latin1. */
  readonly body: string;
  readonly trailers: readonly (readonly [string, string])[];
  /** Whether the answer ended as its framing says, or was cut short. */
  readonly whole: boolean;
  /** Bytes behind it: the next answer, or what must not be there. */
  readonly rest: string;
}

/** A connection whose bytes are ours. */
export class RawClient implements Disposable {
  readonly socket: Socket;
  #received = '';
  #ending: 'ended' | 'reset' | undefined;

  private constructor(socket: Socket) {
    this.socket = socket;
    socket.setEncoding('latin1');
    socket.on('data', (text) => {
      this.#received += text;
    });
    socket.once('end', () => {
      this.#ending ??= 'ended';
    });
    socket.once('error', () => {
      this.#ending ??= 'reset';
    });
    socket.once('close', () => {
      this.#ending ??= 'reset';
    });
  }

  /** `url` is the origin of a gateway's port. */
  static async to(url: string): Promise<RawClient> {
    const { hostname, port } = new URL(url);
    const client = new RawClient(connect({ host: hostname, port: Number(port), allowHalfOpen: true }));
    await once(client.socket, 'connect');
    return client;
  }

  /** Everything received so far. */
  get received(): string {
    return this.#received;
  }

  /** How the other side closed: cleanly, or by a reset; undefined while it has not. */
  get ending(): 'ended' | 'reset' | undefined {
    return this.#ending;
  }

  /** Latin1, so that every byte can be sent. */
  send(text: string): void {
    this.socket.write(text, 'latin1');
  }

  /** The first answer, once it is whole or the connection has ended. */
  async answer(method = 'GET'): Promise<RawResponse> {
    return eventually('an answer', () => {
      const answer = parseResponse(this.#received, method, this.#ending);
      return answer && (answer.whole || this.#ending) ? answer : undefined;
    });
  }

  /** The first answer's head, as soon as that is complete; its body so far. */
  async head(method = 'GET'): Promise<RawResponse> {
    return eventually('the head of an answer', () => parseResponse(this.#received, method, this.#ending));
  }

  /** Resolves when the other side has closed, to how. */
  async closed(): Promise<'ended' | 'reset'> {
    return eventually('the end of the connection', () => this.#ending);
  }

  /** Drops the connection as a crashed client does. */
  reset(): void {
    this.socket.resetAndDestroy();
  }

  [Symbol.dispose](): void {
    this.socket.destroy();
  }
}

/** Sends `text` over a connection of its own and gives the first answer. */
export async function sendRaw(url: string, text: string): Promise<RawResponse> {
  using client = await RawClient.to(url);
  client.send(text);
  return await client.answer(text.slice(0, text.indexOf(' ')));
}

/** A request without content, its connection closed afterwards unless `fields` say otherwise. */
export function request(line: string, ...fields: readonly string[]): string {
  const own = fields.some((field) => /^connection:/i.test(field)) ? [] : ['Connection: close'];
  return `${[`${line} HTTP/1.1`, 'Host: gateway.test', ...own, ...fields].join('\r\n')}\r\n\r\n`;
}

function parseResponse(
  received: string,
  method: string,
  ending: 'ended' | 'reset' | undefined,
): RawResponse | undefined {
  const headEnd = received.indexOf('\r\n\r\n');
  if (headEnd === -1) return undefined;
  const [statusLine = '', ...lines] = received.slice(0, headEnd).split('\r\n');
  const [, code = '', ...reason] = statusLine.split(' ');
  const status = Number(code);
  const fields = fieldsOf(lines);
  const field = (name: string) => firstValue(fields, name);
  const behind = received.slice(headEnd + 4);
  // An interim answer stands in front of the one that is meant.
  if (status < 200 && status !== 101) return parseResponse(behind, method, ending);
  const bodyless = method === 'HEAD' || status === 204 || status === 304;
  const content = bodyless ? { body: '', whole: true, rest: behind } : contentOf(behind, field, ending);
  return { status, reason: reason.join(' '), fields, field, trailers: [], ...content };
}

type Content = Pick<RawResponse, 'body' | 'whole' | 'rest'> & Partial<Pick<RawResponse, 'trailers'>>;

/** RFC 9112 section 6.3. */
function contentOf(
  behind: string,
  field: (name: string) => string | undefined,
  ending: 'ended' | 'reset' | undefined,
): Content {
  if (field('Transfer-Encoding')?.toLowerCase() === 'chunked') return chunkedContent(behind);
  const length = field('Content-Length');
  if (length === undefined) return { body: behind, whole: ending === 'ended', rest: '' };
  const bytes = Number(length);
  return { body: behind.slice(0, bytes), whole: behind.length >= bytes, rest: behind.slice(bytes) };
}

function chunkedContent(bytes: string): Content {
  let body = '';
  let at = 0;
  for (;;) {
    const lineEnd = bytes.indexOf('\r\n', at);
    const size = Number.parseInt(bytes.slice(at, lineEnd), 16);
    if (lineEnd === -1 || Number.isNaN(size)) return { body, whole: false, rest: '' };
    const start = lineEnd + 2;
    if (size === 0) return lastChunk(bytes, body, lineEnd);
    body += bytes.slice(start, start + size);
    at = start + size + 2;
  }
}

function lastChunk(bytes: string, body: string, lineEnd: number): Content {
  const end = bytes.indexOf('\r\n\r\n', lineEnd);
  if (end === -1) return { body, whole: false, rest: '' };
  const lines = bytes
    .slice(lineEnd + 2, end)
    .split('\r\n')
    .filter(Boolean);
  return { body, whole: true, rest: bytes.slice(end + 4), trailers: fieldsOf(lines) };
}

function fieldsOf(lines: readonly string[]): [string, string][] {
  return lines.map((line) => {
    const colon = line.indexOf(':');
    return [line.slice(0, colon), line.slice(colon + 1).trim()];
  });
}

function firstValue(fields: readonly (readonly [string, string])[], name: string): string | undefined {
  return fields.find(([given]) => given.toLowerCase() === name.toLowerCase())?.[1];
}
