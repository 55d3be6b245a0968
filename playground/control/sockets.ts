import { once } from 'node:events';
import { lstat, mkdir, readdir } from 'node:fs/promises';
import { connect } from 'node:net';
import { tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';
import { CommandError } from './command.ts';

const SUFFIX = '.sock';
const ACCESS_OF_OTHERS = 0o077;

/** A playground that runs. */
export interface RunningPlayground {
  readonly registryPort: number;
  readonly socketPath: string;
}

/**
 * The Unix socket on which the playground with this registry port takes commands, in a directory that only this
 * user can enter. Throws `CommandError` when others can.
 */
export async function socketPathOf(registryPort: number): Promise<string> {
  return join(await ownDirectory(), `${registryPort}${SUFFIX}`);
}

/** The playgrounds of this user, the one started last first. */
export async function runningPlaygrounds(): Promise<RunningPlayground[]> {
  const directory = await ownDirectory();
  const names = (await readdir(directory)).filter((name) => name.endsWith(SUFFIX));
  const found = await Promise.all(
    names.map(async (name) => {
      const socketPath = join(directory, name);
      const startedAtMs = await startOf(socketPath);
      return { registryPort: Number.parseInt(name, 10), socketPath, startedAtMs };
    }),
  );
  return found
    .filter(({ startedAtMs }) => startedAtMs !== undefined)
    .sort((a, b) => Number(b.startedAtMs) - Number(a.startedAtMs));
}

/** `undefined` when nobody listens: a playground that was killed leaves its socket behind. */
async function startOf(socketPath: string): Promise<number | undefined> {
  const socket = connect(socketPath);
  try {
    await once(socket, 'connect');
    return (await lstat(socketPath)).mtimeMs;
  } catch {
    return undefined;
  } finally {
    socket.destroy();
  }
}

async function ownDirectory(): Promise<string> {
  const { uid } = userInfo();
  const directory = join(tmpdir(), `playground-control-${uid}`);
  await mkdir(directory, { recursive: true, mode: 0o700 });
  const found = await lstat(directory);
  if (found.isDirectory() && found.uid === uid && (found.mode & ACCESS_OF_OTHERS) === 0) return directory;
  throw new CommandError(`${directory} must be a directory of yours that nobody else may enter: remove it`);
}
