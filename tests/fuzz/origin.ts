import { once } from 'node:events';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { fieldValues } from '../../lib/http/fields.ts';
import { fuzzedAnswer } from './messages.ts';
import { Random } from './random.ts';

/** One request as a strict reader of RFC 9112 sees it. */
interface Seen {
  readonly target: string;
  readonly ids: readonly string[];
}

type Read = { readonly request: Seen; readonly rest: string } | 'more' | 'broken';

const REQUEST_LINE = /^[A-Z]+ [!-~]+ HTTP\/1\.1$/;
const FIELD_LINE = /^[\w!#$%&'*+.^`|~-]+:[\t -~\x80-\xff]*$/;
const UUID = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

/** A service that reads strictly: bytes that are no request, or one that the gateway did not name, are findings. */
export async function startStrictOrigin(find: (what: string) => void) {
  const ids = new Set<string>();
  const sockets = new Set<Socket>();

  function take({ target, ids: named }: Seen): void {
    const [id = ''] = named;
    if (named.length !== 1 || !UUID.test(id))
      find(`a request to ${target} at the origin with the ids ${named}`);
    else if (ids.has(id)) find(`the request ${id} to ${target} came twice`);
    ids.add(id);
  }

  const server = createServer((socket) => {
    let unread = '';
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket)).on('error', () => {});
    socket.on('data', (chunk) => {
      unread += chunk.toString('latin1');
      for (let read = readRequest(unread); read !== 'more'; read = readRequest(unread)) {
        if (read === 'broken') {
          find(`no request at the origin: ${JSON.stringify(unread.slice(0, 300))}`);
          socket.destroy();
          return;
        }
        unread = read.rest;
        take(read.request);
        answer(socket, read.request.target);
      }
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    url: new URL(`http://127.0.0.1:${(server.address() as AddressInfo).port}`),
    get requests() {
      return ids.size;
    },
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy();
      server.close();
      await once(server, 'close');
    },
  };
}

/** `/answer/7` is answered with the bytes of that seed, anything else with its own target. */
function answer(socket: Socket, target: string): void {
  const seed = /^\/answer\/(\d+)$/.exec(target)?.[1];
  if (seed === undefined) {
    socket.write(
      `HTTP/1.1 200 OK\r\nCache-Control: no-store\r\nContent-Length: ${target.length}\r\n\r\n${target}`,
      'latin1',
    );
    return;
  }
  socket.write(fuzzedAnswer(Number(seed)), 'latin1');
  const way = new Random(Number(seed)).below(6);
  if (way === 0) socket.end();
  if (way === 1) setTimeout(() => socket.resetAndDestroy(), 5);
}

function readRequest(bytes: string): Read {
  const end = bytes.indexOf('\r\n\r\n');
  if (end === -1) return 'more';
  const [line = '', ...lines] = bytes.slice(0, end).split('\r\n');
  if (!REQUEST_LINE.test(line) || !lines.every((field) => FIELD_LINE.test(field))) return 'broken';
  const fields = lines.flatMap((field) => [
    field.slice(0, field.indexOf(':')),
    field.slice(field.indexOf(':') + 1).trim(),
  ]);
  const rest = contentEnd(bytes.slice(end + 4), fields);
  if (typeof rest !== 'number') return rest;
  const request = { target: line.split(' ')[1] ?? '', ids: fieldValues(fields, 'x-request-id') };
  return { request, rest: bytes.slice(end + 4 + rest) };
}

/** Where the content ends, by the one framing that may be there (RFC 9112 section 6.3). */
function contentEnd(bytes: string, fields: readonly string[]): number | 'more' | 'broken' {
  const lengths = fieldValues(fields, 'content-length');
  const codings = fieldValues(fields, 'transfer-encoding');
  if (lengths.length + codings.length > 1 || fieldValues(fields, 'host').length !== 1) return 'broken';
  if (codings.length === 1) return codings[0] === 'chunked' ? chunksEnd(bytes) : 'broken';
  const [length = '0'] = lengths;
  if (!/^\d{1,15}$/.test(length)) return 'broken';
  return bytes.length < Number(length) ? 'more' : Number(length);
}

function chunksEnd(bytes: string): number | 'more' | 'broken' {
  for (let at = 0; ; ) {
    const lineEnd = bytes.indexOf('\r\n', at);
    if (lineEnd === -1) return 'more';
    const line = bytes.slice(at, lineEnd);
    if (!/^[0-9a-f]{1,8}$/i.test(line)) return 'broken';
    const size = Number.parseInt(line, 16);
    at = lineEnd + 2 + size;
    if (bytes.length < at + 2) return 'more';
    if (bytes.slice(at, at + 2) !== '\r\n') return 'broken';
    at += 2;
    if (size === 0) return at;
  }
}
