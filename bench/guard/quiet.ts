import { setTimeout as sleep } from 'node:timers/promises';
import { type Disturbance, described, isDisturbed, watchMachine } from '../machine/disturbance.ts';

/** The machine is looked at for so long at a time. */
const LOOK_MS = 2_000;
const TOLD_EVERY_MS = 30_000;

/**
 * Resolves to true once nobody else keeps the machine busy, and to false when somebody still does after `waitMs`. This
 * process and what it has started should be idle meanwhile.
 */
export async function untilQuiet(
  waitMs: number,
  onProgress: (line: string) => void,
  look: () => Promise<Disturbance> = lookAtMachine,
): Promise<boolean> {
  const untilMs = performance.now() + waitMs;
  let tellAtMs = performance.now();
  for (;;) {
    const disturbance = await look();
    if (!isDisturbed(disturbance)) return true;
    if (performance.now() >= untilMs) return false;
    if (performance.now() >= tellAtMs) {
      onProgress(`Waiting for a quiet machine: ${described(disturbance)}`);
      tellAtMs += TOLD_EVERY_MS;
    }
  }
}

async function lookAtMachine(): Promise<Disturbance> {
  const disturbance = watchMachine();
  await sleep(LOOK_MS);
  return disturbance();
}
