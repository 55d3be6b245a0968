import type { Request, Response } from 'express';
import type { Attempt } from '../exchange/attempt.ts';
import type { TraceContext } from './traceContext.ts';

/** Records requests and their tries at replicas, and sends the spans to a collector. */
export interface Spans {
  /** Begins the span of a request, as part of its trace if it has one, and ends it with the response. */
  begin(req: Request, res: Response, given: TraceContext | undefined): void;
  /** Begins the span of a try and ends it with the try. The replica gets it as its parent. */
  attempt(attempt: Attempt, res: Response): void;
  /** Sends the spans that are left, for at most this time. Never rejects. */
  close(deadlineMs: number): Promise<void>;
}
