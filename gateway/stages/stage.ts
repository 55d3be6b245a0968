import type { RequestHandler } from 'express';
import type { Port } from '../port.ts';
import type { Parts, ServiceParts } from '../wiring/parts.ts';

/**
 * What a stage is made from. A stage runs once for each service, at start; the handler it returns runs for each
 * request.
 */
export interface StageContext {
  readonly port: Port;
  readonly parts: Parts;
  readonly service: ServiceParts;
  /** All stages after this one, as one handler. It can be run again, and for another response. */
  readonly rest: RequestHandler;
}

/** Makes a stage's handler; undefined where the settings do not want the stage, which then costs nothing. */
export type Stage = (context: StageContext) => RequestHandler | undefined;
