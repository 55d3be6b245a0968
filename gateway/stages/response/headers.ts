import type { RequestHandler } from 'express';
import type { PolicySettings } from '../../../config/policies/policies.ts';
import { responseHeaders } from '../../../lib/headers/middleware.ts';
import { isSecureFor } from '../../../lib/proxy/request/forwarded.ts';
import type { Parts } from '../../wiring/parts.ts';
import type { Stage } from '../stage.ts';

/** Sets, adds and removes fields of responses by the rules of `headers.response` and `security`. */
export const headers: Stage = ({ parts, service }) => headersHandler(parts, service.settings);

/** The same handler for a response that no service is asked for; undefined where no rule is set. */
export function headersHandler({ trustsPeer }: Parts, policies: PolicySettings): RequestHandler | undefined {
  const { responseRules: rules, security } = policies;
  if (rules === undefined && security === undefined) return undefined;
  return responseHeaders({ rules, security, isSecure: isSecureFor(trustsPeer) });
}
