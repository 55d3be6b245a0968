import type { Server } from 'node:http';
import type { Router } from 'express';
import type { ServiceName } from '../catalogue.ts';

/** One running copy of a service. */
export interface Replica {
  readonly service: ServiceName;
  /** As Docker Swarm would call it: `padstack_budgeting-service.1.k7oqrdzi84fqlnd59vy81zums`. */
  readonly id: string;
  /** How many requests it has had, which its health check tells. Default: 0. */
  readonly requestsCount?: () => number;
}

/** What tells one service from another; everything else they share. */
export interface Service {
  readonly routes: Router;
  /** Takes what is more than a request, such as WebSockets, until `stopping` is aborted. */
  readonly attach?: (server: Server, replica: Replica, stopping: AbortSignal) => void;
}

/** Makes a service; throws when the environment lacks something it needs. */
export type ServiceFactory = (env: NodeJS.ProcessEnv) => Service | Promise<Service>;
