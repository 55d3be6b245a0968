import { SERVICE_NAMES, type ServiceName } from '../catalogue.ts';
import { CommandError, type ReplicaCommand } from '../control/command.ts';
import type { ProcessStatus } from '../control/protocol.ts';
import type { Child } from './child.ts';
import type { PlannedReplica } from './plan.ts';
import { nameOf, ReplicaProcess } from './replicaProcess.ts';

/** The id that a replica makes of it has room for two digits. */
const MAX_NUMBER = 99;

export interface ReplicaSetOptions {
  readonly launch: (replica: PlannedReplica) => Child;
  /** Finds a port for one replica more, none of those that are `taken`. */
  readonly plan: (
    service: ServiceName,
    number: number,
    taken: ReadonlySet<number>,
  ) => Promise<PlannedReplica>;
}

/** All replicas of one playground, those that have ended included: their names and ports are kept for them. */
export class ReplicaSet {
  readonly #launch: ReplicaSetOptions['launch'];
  readonly #plan: ReplicaSetOptions['plan'];
  readonly #byName = new Map<string, ReplicaProcess>();

  constructor({ launch, plan }: ReplicaSetOptions) {
    this.#launch = launch;
    this.#plan = plan;
  }

  get statuses(): ProcessStatus[] {
    const place = ({ planned }: ReplicaProcess) => SERVICE_NAMES.indexOf(planned.service);
    const inOrder = this.#all.sort((a, b) => place(a) - place(b) || a.planned.number - b.planned.number);
    return inOrder.map(({ status }) => status);
  }

  /** Resolves when it takes requests. Rejects with `ChildDiedError` if it ends first. */
  async start(planned: PlannedReplica): Promise<ReplicaProcess> {
    const replica = new ReplicaProcess(planned, this.#launch);
    this.#byName.set(replica.name, replica);
    await replica.listening();
    return replica;
  }

  /** Resolves with the replica that it was about. Throws `CommandError`, or `ChildDiedError` if that one ends. */
  async obey(command: ReplicaCommand): Promise<ReplicaProcess> {
    const replica = this.#byName.get(command.name);
    if (replica) {
      await replica.obey(command);
      return replica;
    }
    if (command.action === 'join') return this.#add(command.name);
    throw new CommandError(
      `there is no ${command.name}: there are ${this.statuses.map(({ name }) => name).join(', ')}`,
    );
  }

  async #add(name: string): Promise<ReplicaProcess> {
    const [, wanted, digits] = /^([^.]*)(?:\.([1-9]\d?))?$/.exec(name) ?? [];
    const service = this.#services().find((known) => known === wanted);
    if (!service) {
      const services = this.#services();
      throw new CommandError(
        `${JSON.stringify(name)} cannot join: give a service, or a replica from .1 to .${MAX_NUMBER}, of ${services.join(', ')}`,
      );
    }
    const number = digits ? Number(digits) : this.#freeNumber(service);
    const taken = new Set(this.#all.map(({ port }) => port));
    return this.start(await this.#plan(service, number, taken));
  }

  get #all(): ReplicaProcess[] {
    return [...this.#byName.values()];
  }

  #services(): ServiceName[] {
    return [...new Set(this.#all.map(({ planned }) => planned.service))];
  }

  /** The lowest that no replica of the service has or has had. */
  #freeNumber(service: ServiceName): number {
    for (let number = 1; number <= MAX_NUMBER; number++) {
      if (!this.#byName.has(nameOf({ service, number }))) return number;
    }
    throw new CommandError(`${service} has ${MAX_NUMBER} replicas already, which is as many as there may be`);
  }
}
