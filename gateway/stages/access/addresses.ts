import type { RequestHandler } from 'express';
import type { PolicySettings } from '../../../config/policies/policies.ts';
import { addresses as addressesMiddleware } from '../../../lib/addresses/middleware.ts';
import { clientIp } from '../../../lib/http/clientAddress.ts';
import type { Parts } from '../../wiring/parts.ts';
import type { Stage } from '../stage.ts';

/** Refuses clients by their address. */
export const addresses: Stage = ({ parts, service }) => addressHandlers(parts, service.settings)[0];

/** The handler that refuses clients by their address; none where all may come. */
export function addressHandlers(
  { trustsPeer }: Pick<Parts, 'trustsPeer'>,
  { allow, deny }: PolicySettings,
): RequestHandler[] {
  if (allow === undefined && deny.length === 0) return [];
  return [addressesMiddleware({ allow, deny, addressOf: clientIp(trustsPeer) })];
}
