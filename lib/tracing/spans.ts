import type { Request, Response } from 'express';
import type { Attempt } from '../exchange/attempt.ts';
import type { TraceContext } from './traceContext.ts';

/** What records requests and their tries at replicas, and sends that to where traces are read. */
export interface Spans {
  /** Begins the span of a request, under the trace it came with if any, and ends it with the response. */
  begin(req: Request, res: Response, given: TraceContext | undefined): void;
  /** Begins the span of a try at a replica and ends it with the try; the replica is told that it is called from it. */
  attempt(attempt: Attempt, res: Response): void;
  /** Sends what is left, for as long as it may take. Never rejects. */
  close(deadlineMs: number): Promise<void>;
}
