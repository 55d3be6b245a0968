/** Status codes from one to another, both included. */
export interface StatusRange {
  readonly from: number;
  readonly to: number;
}

/** How the replicas of a service are checked. */
export interface HealthTerms {
  /** The request target, without the path that all targets of the service begin with: `/actuator/health/readiness`. */
  readonly path: string;
  /** From the end of a probe to the next one of the same replica, in milliseconds, 1 or more. */
  readonly intervalMs: number;
  /** From the beginning of a probe to the head of its response, connection included, in milliseconds, 1 or more. */
  readonly timeoutMs: number;
  /** Probes in a row that must pass before a replica that was unhealthy gets requests again, 1 or more. */
  readonly healthyAfter: number;
  /** Probes in a row that must fail before a replica gets no new requests, 1 or more. */
  readonly unhealthyAfter: number;
  /** The status codes with which a probe passes. */
  readonly statuses: readonly StatusRange[];
  /** The port that is asked; undefined: the one of the replica. */
  readonly port: number | undefined;
}

/** Why a probe did not pass. */
export type ProbeFailure =
  /** The response has a status code that is not accepted. */
  | 'status'
  /** There was no response in time. */
  | 'timeout'
  /** No connection came about. */
  | 'unreachable'
  /** The connection broke, or what came is no response. */
  | 'broken';

/** How a probe went. `unknown`: this gateway could not ask, which says nothing of the replica. */
export type ProbeOutcome =
  | { readonly kind: 'passed'; readonly status: number }
  | { readonly kind: 'failed'; readonly why: 'status'; readonly status: number; readonly text: string }
  | { readonly kind: 'failed'; readonly why: Exclude<ProbeFailure, 'status'>; readonly text: string }
  | { readonly kind: 'unknown'; readonly text: string };

/**
 * What checks make of a replica. `waiting`: it is new and gets no requests before it has passed once. `passing`: it gets
 * requests. `failing`: it gets no new ones.
 */
export type CheckState = 'waiting' | 'passing' | 'failing';

/** Who is checked. */
export interface CheckedReplica {
  /** What tells it from the others of its service. */
  readonly key: string;
  readonly id: string;
  readonly url: URL;
}

export type CheckEvent =
  /** A replica gets requests from now on, or none. */
  | {
      readonly kind: 'changed';
      readonly replica: CheckedReplica;
      readonly from: CheckState;
      readonly to: 'passing' | 'failing';
      /** Probes in a row that led to it. */
      readonly count: number;
      /** The latest of them: `status 503`. */
      readonly text: string;
    }
  /** A new replica has not passed yet: its first probe failed. */
  | { readonly kind: 'waits'; readonly replica: CheckedReplica; readonly text: string }
  /**
   * A replica refuses the check with 4xx, and none of the service has ever passed it: the check is probably wrong, so it is
   * not heeded. Told once.
   */
  | { readonly kind: 'doubted'; readonly replica: CheckedReplica; readonly text: string }
  /** No replica of the service passes any more. */
  | { readonly kind: 'none' };
