import { once } from 'node:events';
import { rm } from 'node:fs/promises';
import { createServer, type Server, type Socket } from 'node:net';
import { text } from 'node:stream/consumers';
import { type Command, parseCommand } from './command.ts';
import { type ProcessStatus, REQUEST, type Reply } from './protocol.ts';
import { socketPathOf } from './sockets.ts';

/** Carries out one command; what it throws is the reply. */
export type Obey = (command: Command) => Promise<readonly ProcessStatus[]>;

/** Takes commands for the playground with this registry port until the server is closed. */
export async function listenForCommands(registryPort: number, obey: Obey): Promise<Server> {
  const socketPath = await socketPathOf(registryPort);
  // The registry has the port, so whoever had the socket is gone.
  await rm(socketPath, { force: true });
  const server = createServer({ allowHalfOpen: true }, (socket) => void converse(socket, obey));
  server.listen(socketPath);
  await once(server, 'listening');
  // It is the playground's children that keep it running.
  return server.unref();
}

async function converse(socket: Socket, obey: Obey): Promise<void> {
  // Who leaves before the reply does not want it.
  socket.on('error', () => {}).unref();
  // Read to its end, a socket would be destroyed, were it not for the option.
  const request = await text(socket.iterator({ destroyOnReturn: false })).catch(() => '');
  // Somebody only looked whether we are here.
  if (request === '') return void socket.end();
  socket.end(JSON.stringify(await replyTo(request, obey)));
}

async function replyTo(request: string, obey: Obey): Promise<Reply> {
  try {
    return { processes: [...(await obey(parseCommand(REQUEST.parse(JSON.parse(request)))))] };
  } catch (error) {
    return { error: error instanceof Error ? error.message : String(error) };
  }
}
