import type { IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';

/**
 * Whether the request asks for a WebSocket. One with content does not count: Node would pass something other than the socket.
 * HTTP/1.0 has no upgrades (RFC 9110 section 7.8).
 */
export function asksForWebSocket({ method, headers, httpVersion }: IncomingMessage): boolean {
  const { upgrade, 'transfer-encoding': coding, 'content-length': length = '0' } = headers;
  if (method !== 'GET' || httpVersion !== '1.1' || coding || Number(length) !== 0) return false;
  return upgrade?.toLowerCase() === 'websocket';
}

/**
 * Closes the connection of a client that leaves while nobody reads from it, as is the case until the service accepts the
 * upgrade. Returns a function that stops watching.
 */
export function watchForEnd(socket: Socket): () => void {
  // Reads no byte: it only makes the stream notice the end.
  const look = () => void socket.read(0);
  const drop = () => socket.destroy();
  socket.on('readable', look).once('end', drop);
  return () => socket.off('readable', look).off('end', drop);
}
