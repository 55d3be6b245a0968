import { spawn } from 'node:child_process';
import { once } from 'node:events';

/**
 * Process `$1` stands still until the standard input ends. A signal only asks it to: Linux tells when it has
 * come to a halt, elsewhere that takes a moment longer.
 */
const HOLD = `
kill -STOP "$1" || exit
while [ -e "/proc/$1/status" ] && ! grep -qs '^State:[[:space:]]*T' "/proc/$1/status"; do :; done
echo held
read -r _
kill -CONT "$1"
`;

/** Lets the process go on; safe to call twice. */
export type Thaw = () => Promise<void>;

/**
 * Halts a process until it is thawed or this process ends, in whatever way: a halted process cannot notice by
 * itself that nobody is left to wake it, so a shell that outlives us holds it.
 */
export async function freeze(pid: number): Promise<Thaw> {
  const holder = spawn('sh', ['-c', HOLD, 'sh', String(pid)], {
    stdio: ['pipe', 'pipe', 'ignore'],
    // Out of reach of a Ctrl-C, which is for the playground alone.
    detached: true,
  });
  const ended = once(holder, 'close');
  await Promise.race([once(holder.stdout, 'data'), ended]);
  return async () => {
    holder.stdin.end();
    await ended;
  };
}
