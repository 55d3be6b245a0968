import { readFileSync } from 'node:fs';
import { cpuTicks, processTree, ticksOfEnded } from './accounting.ts';

/** How much of the machine somebody else took while something was measured, as parts of all its cores. */
export interface Disturbance {
  /** Processes that are not the bench's. */
  readonly others: number;
  /** What the host took away for its other guests. */
  readonly stolen: number;
}

/** More than this disturbs a measurement. */
export const BOUNDS: Disturbance = { others: 0.05, stolen: 0.02 };

interface Reading {
  /** All times are sums over all cores, in ticks. */
  readonly all: number;
  readonly busy: number;
  readonly stolen: number;
  readonly own: number;
}

/** Looks at the machine from now on. The function returned says what has happened since then. */
export function watchMachine(): () => Disturbance {
  const before = read();
  return () => disturbanceBetween(before, read());
}

export function isDisturbed({ others, stolen }: Disturbance): boolean {
  return others > BOUNDS.others || stolen > BOUNDS.stolen;
}

/** For people: `others took 12.0 % of the machine (at most 5.0 %), ...`. */
export function described({ others, stolen }: Disturbance): string {
  const part = (value: number) => `${(value * 100).toFixed(1)} %`;
  return `other processes took ${part(others)} of the machine (at most ${part(BOUNDS.others)}), its host ${part(stolen)} (at most ${part(BOUNDS.stolen)})`;
}

export function disturbanceBetween(before: Reading, after: Reading): Disturbance {
  const all = Math.max(1, after.all - before.all);
  const others = after.busy - before.busy - (after.own - before.own);
  return { others: Math.max(0, others / all), stolen: (after.stolen - before.stolen) / all };
}

function read(): Reading {
  return { ...machineTicks(readFileSync('/proc/stat', 'utf8')), own: ownTicks() };
}

/**
 * The first line of `/proc/stat` (proc(5)). Time in interrupts is left out of what is busy: it is the kernel's own work on
 * our packets as often as not, and belongs to no process.
 */
export function machineTicks(stat: string): Omit<Reading, 'own'> {
  const line = /^cpu +(.*)$/m.exec(stat)?.[1] ?? '';
  const [user = 0, nice = 0, system = 0, idle = 0, waiting = 0, irq = 0, softIrq = 0, stolen = 0] = line
    .split(' ')
    .map(Number);
  const busy = user + nice + system;
  return { all: busy + idle + waiting + irq + softIrq + stolen, busy, stolen };
}

/** Of this process and what it has started, also of what has ended. */
function ownTicks(): number {
  return processTree(process.pid)
    .map((pid) => readFileSync(`/proc/${pid}/stat`, 'utf8'))
    .reduce((sum, stat) => sum + cpuTicks(stat) + ticksOfEnded(stat), 0);
}
