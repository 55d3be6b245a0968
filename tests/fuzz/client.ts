import { connect } from 'node:net';

/** After this much quiet a client that got no answer gives up, in milliseconds. */
const PATIENCE_MS = 40;
/** A gateway that has not ended a connection by then, with every deadline long over, hangs. */
const HANG_MS = 20_000;

export interface Exchanged {
  readonly received: string;
  readonly hung: boolean;
}

/**
 * Sends `bytes`, cut in two somewhere, and reads to the end of the connection. `leaves`: closes its half once it has an
 * answer or has waited in vain, as the bytes need not be a whole request.
 */
export function exchange(
  url: string,
  bytes: string,
  { leaves }: { readonly leaves: boolean },
): Promise<Exchanged> {
  return new Promise((resolve) => {
    const { hostname, port } = new URL(url);
    const socket = connect({ host: hostname, port: Number(port), allowHalfOpen: true }).setEncoding('latin1');
    let received = '';
    const end = () => socket.end();
    const giveUp = setTimeout(() => {
      if (leaves) end();
    }, PATIENCE_MS);
    const hang = setTimeout(() => settle(true), HANG_MS);

    function settle(hung: boolean): void {
      clearTimeout(giveUp);
      clearTimeout(hang);
      socket.destroy();
      resolve({ received, hung });
    }

    socket.on('data', (text) => {
      received += text;
      giveUp.refresh();
    });
    socket
      .once('end', () => settle(false))
      .once('close', () => settle(false))
      .on('error', () => {});
    const cut = bytes.length >> 1;
    socket.write(bytes.slice(0, cut), 'latin1');
    setImmediate(() => socket.writable && socket.write(bytes.slice(cut), 'latin1'));
  });
}
