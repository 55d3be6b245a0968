import { DEFAULT_REGISTRY_PORT } from '../flags.ts';
import { CommandError } from './command.ts';
import type { RunningPlayground } from './sockets.ts';

/**
 * The playground with this registry port; without one, that with the default port, if it runs, else the first of
 * `running`. Throws `CommandError` when there is none.
 */
export function choose(
  running: readonly RunningPlayground[],
  registryPort: number | undefined,
): RunningPlayground {
  const [first] = running;
  if (!first) throw new CommandError('no playground runs: start one with npm run playground');
  const wanted = running.find((one) => one.registryPort === (registryPort ?? DEFAULT_REGISTRY_PORT));
  if (wanted) return wanted;
  if (registryPort === undefined) return first;
  throw new CommandError(
    `no playground runs with --registry-port ${registryPort}, but with ${portsOf(running)}`,
  );
}

/** For people: `9100, 9000`. */
export function portsOf(running: readonly RunningPlayground[]): string {
  return running.map(({ registryPort }) => registryPort).join(', ');
}
