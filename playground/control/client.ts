import { connect } from 'node:net';
import { text } from 'node:stream/consumers';
import { CommandError } from './command.ts';
import { type ProcessStatus, REPLY } from './protocol.ts';

/**
 * Has the playground behind the socket carry out a command, given as the words that are typed. Resolves with how
 * those are that it was about; throws `CommandError` when it was not carried out.
 */
export async function command(
  socketPath: string,
  words: readonly string[],
): Promise<readonly ProcessStatus[]> {
  const socket = connect(socketPath);
  socket.end(JSON.stringify(words));
  const answer = await text(socket);
  if (answer === '') throw new CommandError('the playground stopped before it replied');
  const reply = REPLY.parse(JSON.parse(answer));
  if ('error' in reply) throw new CommandError(reply.error);
  return reply.processes;
}
