import type { ServiceName } from './catalogue.ts';
import type { Faults } from './replica/faults.ts';

/** Sent by a service or the registry to the playground, once, when it takes requests. */
export interface ListeningMessage {
  readonly type: 'listening';
  /** The port really taken, which matters when 0 was asked for. */
  readonly port: number;
}

/** Sent by the playground to a replica, which answers `done` and misbehaves so from then on. */
export interface FaultsMessage {
  readonly type: 'faults';
  readonly faults: Faults;
}

/** Sent by the playground to a replica, which answers `done` as soon as the registry has let it go. */
export interface LeaveMessage {
  readonly type: 'leave';
}

/** Sent by a replica to the playground: what it was told to do last is done. */
export interface DoneMessage {
  readonly type: 'done';
}

/** Sent by the playground to whoever started it with an IPC channel, once, when everything runs. */
export interface ReadyMessage {
  readonly type: 'ready';
  readonly urls: PlaygroundUrls;
  /** Process ids by child name: `gateway`, `registry`, `budgeting.1`, ... */
  readonly pids: Readonly<Record<string, number>>;
}

export interface PlaygroundUrls {
  /** Missing with `--no-gateway`, as are `internal` and `page`. */
  readonly external?: string;
  readonly internal?: string;
  /** The page that tries the gateway in a browser. */
  readonly page?: string;
  readonly registry: string;
  /** One URL for each replica, in the order of their numbers; none where `--only` leaves the service out. */
  readonly services: Readonly<Record<ServiceName, readonly string[]>>;
}

/** What a replica can be told. */
export type Instruction = FaultsMessage | LeaveMessage;

export type PlaygroundMessage = ListeningMessage | ReadyMessage | Instruction | DoneMessage;

/** Tells the parent process, if it listens. */
export function tellParent(message: PlaygroundMessage): void {
  process.send?.(message);
}

export function isMessage<T extends PlaygroundMessage['type']>(
  type: T,
  message: unknown,
): message is Extract<PlaygroundMessage, { type: T }> {
  return typeof message === 'object' && message !== null && 'type' in message && message.type === type;
}
