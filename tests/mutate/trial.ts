import { type Mutant, mutated } from './mutants.ts';
import type { Verdict, Workplace } from './workplace.ts';

/** However quick its tests are. */
const LEAST_RUN_MS = 15_000;
const TIMES_AS_LONG = 5;
const PROGRESS_EVERY = 25;

/** A fault in a file of the project. */
export interface Fault extends Mutant {
  readonly file: string;
  /** The file without the fault, as it was when faults were looked for. */
  readonly source: string;
  /** The test files that import the file. */
  readonly tests: readonly string[];
}

/** Where it is, and what it changes. */
export function described({ file, line, change }: Fault): string {
  return `${file}:${line}  ${change}`;
}

export interface TrialOptions {
  readonly faults: readonly Fault[];
  /** How long each test file takes without a fault. */
  readonly tookMs: Readonly<Record<string, number>>;
  /** When no further fault is tried, as `performance.now()` tells it. */
  readonly until: number;
  /** Called with each line of progress. */
  readonly say: (line: string) => void;
}

/** Faults on their way through several workplaces. */
export class Trial {
  readonly unnoticed: Fault[] = [];
  readonly #options: TrialOptions;
  #next = 0;
  #tried = 0;
  #timeouts = 0;

  constructor(options: Readonly<TrialOptions>) {
    this.#options = options;
  }

  /** Tries one fault after the other until there are no more or the time is over. */
  async work(place: Workplace): Promise<void> {
    while (performance.now() < this.#options.until) {
      const fault = this.#options.faults[this.#next];
      this.#next += 1;
      if (fault === undefined) return;
      place.write(fault.file, mutated(fault.source, fault));
      this.#count(fault, await place.run(this.#quickestFirst(fault), this.#timeoutMs(fault)));
      place.write(fault.file, fault.source);
    }
  }

  summary(): string {
    const lines = [
      `${this.#tried} of ${this.#options.faults.length} faults tried: ${this.#tried - this.unnoticed.length} noticed, ` +
        `${this.#timeouts} of them by a timeout; ${this.unnoticed.length} not noticed`,
      ...this.unnoticed.map(described).sort(),
    ];
    return lines.join('\n');
  }

  #count(fault: Fault, verdict: Verdict): void {
    this.#tried += 1;
    if (verdict === 'timeout') this.#timeouts += 1;
    if (typeof verdict !== 'string' && verdict.passed) {
      this.unnoticed.push(fault);
      this.#options.say(`not noticed: ${described(fault)}`);
    }
    if (this.#tried % PROGRESS_EVERY === 0) {
      this.#options.say(
        `${this.#tried} of ${this.#options.faults.length} tried, ${this.unnoticed.length} not noticed`,
      );
    }
  }

  #quickestFirst({ tests }: Fault): string[] {
    const { tookMs } = this.#options;
    return tests.toSorted((a, b) => (tookMs[a] ?? 0) - (tookMs[b] ?? 0));
  }

  #timeoutMs({ tests }: Fault): number {
    const tookMs = tests.reduce((sum, test) => sum + (this.#options.tookMs[test] ?? 0), 0);
    return LEAST_RUN_MS + TIMES_AS_LONG * tookMs;
  }
}
