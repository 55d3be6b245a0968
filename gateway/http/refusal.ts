import { randomUUID } from 'node:crypto';
import type { Duplex } from 'node:stream';
import { http } from '../../lib/http/nodeHttp.ts';
import { problem } from '../errors/problem.ts';
import { REPLIES, type ReplyCode } from '../errors/replies/replies.ts';
import { ALLOWED_METHODS } from '../errors/requestErrors.ts';

/** How long a refused client may go on sending. If the connection were closed at once, the reply could get lost. */
const LINGER_MS = 1_000;

/** Called once for bytes that never became a request, with the id that the client was given. */
export type OnRefused = (code: ReplyCode, requestId: string) => void;

/** Writes a reply to a connection that has no response object, and closes it. */
export function refuse(socket: Duplex, code: ReplyCode, onRefused: OnRefused): void {
  const { status, proxyError } = REPLIES[code];
  const requestId = randomUUID();
  const body = problem(code, requestId);
  socket.on('error', () => socket.destroy());
  socket.end(
    [
      `HTTP/1.1 ${status} ${http.STATUS_CODES[status]}`,
      `X-Request-Id: ${requestId}`,
      'Content-Type: application/problem+json',
      `Proxy-Status: gateway; error=${proxyError}; details="${code}"`,
      'Cache-Control: no-store',
      ...(status === 405 ? [`Allow: ${ALLOWED_METHODS}`] : []),
      `Content-Length: ${Buffer.byteLength(body)}`,
      'Connection: close',
      '',
      body,
    ].join('\r\n'),
  );
  // Whatever else the client sends is read and dropped.
  socket.resume();
  const linger = setTimeout(() => socket.destroy(), LINGER_MS).unref();
  socket.once('close', () => clearTimeout(linger));
  onRefused(code, requestId);
}
