import { stickyCookieOf } from '../../../config/sections/stickyCookies.ts';
import {
  dropCookies,
  stickyCookie as stickyCookieMiddleware,
} from '../../../lib/loadbalancer/affinity/stickyCookie.ts';
import { StickyReplicas } from '../../../lib/loadbalancer/affinity/stickyReplicas.ts';
import { isSecureFor } from '../../../lib/proxy/request/forwarded.ts';
import type { Stage } from '../stage.ts';

/**
 * Takes the cookies away that name replicas, and goes by the service's own. Where it has one on some routes, its others lose it
 * as well: browsers send it there, too. Cookies of routes outside of their service's path may come to any service.
 */
export const stickyCookie: Stage = ({ parts: { sticky, trustsPeer }, service }) => {
  if (!sticky) return undefined;
  const { settings, replicas, publicPath } = service;
  const own = stickyCookieOf(settings, settings, publicPath);
  const reaching = sticky.cookies.filter(
    (cookie) => cookie.service === settings.path || cookie.service !== cookie.path,
  );
  const others = [...new Set(reaching.map(({ name }) => name))].filter((name) => name !== own?.name);
  if (!own) return others.length > 0 ? dropCookies(others) : undefined;
  return stickyCookieMiddleware({
    name: own.name,
    path: own.path,
    replicas: new StickyReplicas(replicas.pool, sticky.key),
    isSecure: isSecureFor(trustsPeer),
    others,
  });
};
