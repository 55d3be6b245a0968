import { addressOf, callerOf } from '../../../lib/exchange/caller.ts';
import { exchangeOf } from '../../../lib/exchange/exchange.ts';
import { type Affinity, firstOf } from '../../../lib/loadbalancer/affinity/affinity.ts';
import { negotiated } from '../../../lib/loadbalancer/affinity/negotiated.ts';
import { hashed } from '../../../lib/loadbalancer/affinity/rendezvous.ts';
import { kept } from '../../../lib/loadbalancer/affinity/stickyCookie.ts';
import type { StageContext } from '../stage.ts';

/** Which requests of a service or route go where others have gone. */
export function affinityOf({
  port,
  parts: { trustsPeer },
  service: { settings, replicas },
}: Pick<StageContext, 'port' | 'parts' | 'service'>): Affinity {
  const { pool } = replicas;
  const { balance } = settings;
  const caller = callerOf(trustsPeer);
  if (balance.by === 'subject') return hashed(pool, caller);
  if (balance.by === 'address') return hashed(pool, addressOf(trustsPeer));
  if (balance.by === 'header') {
    const { header } = balance;
    // Who does not send the field stays together as well.
    return hashed(pool, (req, res) => req.headers[header]?.toString() ?? caller(req, res));
  }
  if (balance.by !== 'cookie' || port !== 'external') return negotiated(pool, caller);
  // Users may keep no cookies. By their address, all that come from one would have one replica.
  const ofUsers = negotiated(pool, (_req, res) => exchangeOf(res).identity?.key);
  return firstOf(kept(pool), ofUsers);
}

/** Whether all of a caller's requests go to one replica, so that another one could not respond in its place. */
export function keepsReplica({ port, service }: Pick<StageContext, 'port' | 'service'>): boolean {
  const { by } = service.settings.balance;
  return by !== 'load' && (by !== 'cookie' || port === 'external');
}
