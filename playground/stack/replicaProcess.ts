import { type Action, CommandError, type ReplicaCommand } from '../control/command.ts';
import type { ProcessStatus } from '../control/protocol.ts';
import { LOOPBACK } from '../ports.ts';
import { type Faults, NO_FAULTS } from '../replica/faults.ts';
import type { Child, Exit } from './child.ts';
import type { PlannedReplica } from './plan.ts';

/** `died` is an end that nobody asked for. */
type State = 'starting' | 'running' | 'frozen' | 'leaving' | 'left' | 'killed' | 'died';

/** What a replica takes, by its state. */
const ACTIONS: Readonly<Record<State, readonly Action[]>> = {
  starting: [],
  running: ['kill', 'freeze', 'slow', 'fail', 'heal', 'leave'],
  frozen: ['kill', 'thaw'],
  leaving: ['kill'],
  left: ['join'],
  killed: ['join'],
  died: ['join'],
};

/** A replica keeps its name and port while the processes behind it come and go. The first starts at once. */
export class ReplicaProcess {
  readonly planned: PlannedReplica;
  readonly #launch: (replica: PlannedReplica) => Child;
  #child: Child;
  #port: number;
  #state: State = 'starting';
  #faults = NO_FAULTS;

  constructor(planned: PlannedReplica, launch: (replica: PlannedReplica) => Child) {
    this.planned = planned;
    this.#port = planned.port;
    this.#launch = launch;
    this.#child = this.#start();
  }

  get name(): string {
    return nameOf(this.planned);
  }

  /** Where it listens, or has listened; 0 before the first time, if any port will do. */
  get port(): number {
    return this.#port;
  }

  get url(): string {
    return `http://${LOOPBACK}:${this.#port}`;
  }

  get status(): ProcessStatus {
    const pid = ACTIONS[this.#state].includes('join') ? null : this.#child.pid;
    const state = [this.#state, ...describeFaults(this.#faults)].join(', ');
    return { name: this.name, url: this.url, pid, state };
  }

  /** Resolves when it takes requests. Rejects with `ChildDiedError` if it ends first. */
  async listening(): Promise<void> {
    this.#port = await this.#child.listening();
    this.#state = 'running';
  }

  /** Carries it out. Throws `CommandError` where the state forbids it, `ChildDiedError` if it ends meanwhile. */
  async obey({ action, value }: ReplicaCommand): Promise<void> {
    const possible = ACTIONS[this.#state];
    if (!possible.includes(action)) {
      throw new CommandError(
        `${this.name} is ${this.#state}: it takes ${possible.join(' or ')}, not ${action}`,
      );
    }
    switch (action) {
      case 'kill':
        return this.#kill();
      case 'freeze':
        this.#state = 'frozen';
        return this.#child.freeze();
      case 'thaw':
        this.#state = 'running';
        return this.#child.thaw();
      case 'slow':
        return this.#misbehave({ ...this.#faults, delayMs: value });
      case 'fail':
        return this.#misbehave({ ...this.#faults, status: value });
      case 'heal':
        return this.#misbehave(NO_FAULTS);
      case 'leave':
        return this.#leave();
      case 'join':
        this.#child = this.#start();
        return this.listening();
    }
  }

  #start(): Child {
    this.#state = 'starting';
    this.#faults = NO_FAULTS;
    const child = this.#launch({ ...this.planned, port: this.#port });
    void child.exited.then((exit) => this.#ended(exit));
    return child;
  }

  async #kill(): Promise<void> {
    this.#state = 'killed';
    this.#child.kill();
    await this.#child.exited;
  }

  async #misbehave(faults: Faults): Promise<void> {
    await this.#child.tell({ type: 'faults', faults });
    this.#faults = faults;
  }

  async #leave(): Promise<void> {
    this.#state = 'leaving';
    this.#child.dismiss();
    await this.#child.tell({ type: 'leave' });
  }

  #ended({ code }: Exit): void {
    this.#faults = NO_FAULTS;
    if (this.#state === 'killed') return;
    this.#state = this.#state === 'leaving' && code === 0 ? 'left' : 'died';
  }
}

/** What people call a replica: `budgeting.2`. */
export function nameOf({ service, number }: Pick<PlannedReplica, 'service' | 'number'>): string {
  return `${service}.${number}`;
}

function describeFaults({ delayMs, status }: Faults): string[] {
  return [
    ...(delayMs > 0 ? [`slow by ${delayMs} ms`] : []),
    ...(status > 0 ? [`failing with ${status}`] : []),
  ];
}
