import type { Request, Response } from 'express';
import type { Accepts } from '../choice/candidates.ts';
import type { Replica } from '../replica.ts';

/**
 * The replica that a request should go to because others that belong to it have gone there; undefined: any, by load. It is
 * available, and `accepts` says yes to it.
 */
export type Affinity = (req: Request, res: Response, accepts: Accepts) => Replica | undefined;

/** By the first of them that knows one. */
export function firstOf(...affinities: readonly Affinity[]): Affinity {
  return (req, res, accepts) => {
    for (const affinity of affinities) {
      const replica = affinity(req, res, accepts);
      if (replica) return replica;
    }
    return undefined;
  };
}
