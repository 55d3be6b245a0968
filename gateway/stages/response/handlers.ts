import type { RequestHandler } from 'express';
import type { PolicySettings } from '../../../config/policies/policies.ts';
import type { Parts } from '../../wiring/parts.ts';
import { compressionHandler } from './compression.ts';
import { corsHandler } from './cors.ts';
import { headersHandler } from './headers.ts';

/** What sees to the fields of responses, in this order: for those that no service is asked for. */
export function responseHandlers(parts: Parts, policies: PolicySettings): RequestHandler[] {
  return [
    headersHandler(parts, policies),
    compressionHandler(parts, policies),
    corsHandler(parts, policies),
  ].filter((handler) => handler !== undefined);
}
