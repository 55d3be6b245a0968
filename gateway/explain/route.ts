import { percentText } from '../../config/report/routeTable.ts';
import { allRoutes } from '../../config/routes/complete.ts';
import { placeOfRoute } from '../../config/routes/levels.ts';
import type { Route } from '../../config/sections/services.ts';
import { readClaims } from '../../lib/auth/tokens/claims.ts';
import { whoIs } from '../../lib/auth/tokens/who.ts';
import { clientAddress } from '../../lib/http/clientAddress.ts';
import { ranked, whyFirst, whyNot } from '../../lib/routing/ranking.ts';
import type { RouteRequest } from '../../lib/routing/route.ts';
import type { Side } from '../../lib/split/middleware.ts';
import { Sides } from '../../lib/split/sides.ts';
import { guardOf, keepsOut } from '../routing/byRoute.ts';
import type { ServiceParts } from '../wiring/parts.ts';
import type { RouteExplained, RouteReason } from './explanation.ts';
import type { Arrival } from './forwarding.ts';
import type { Explained } from './values.ts';

/** How many routes are shown that came after the first, and that do not match. */
const MOST_SHOWN = 5;

export interface RoutesExplained {
  readonly winner: Route | undefined;
  readonly beaten: readonly RouteReason[];
  readonly unmatched: readonly RouteReason[];
}

/**
 * Which route a request matches, and why that one.
 *
 * @param name of the route that the gateway has found; '' for none
 */
export function explainedRoutes(
  { settings }: Explained,
  request: RouteRequest,
  target: string,
  name: string,
): RoutesExplained {
  const all = allRoutes(settings);
  const winner = all.find((route) => route.name === name);
  const { rules, isAmbiguous } = ranked(all, request, target, {
    most: MOST_SHOWN + 1,
    keepsOutAsMuch: (one, other) => keepsOut(guardOf(one), guardOf(other)),
  });
  const others = rules.filter((route) => route !== winner && (winner !== undefined || isAmbiguous));
  const reason = (route: Route) => (winner ? whyFirst(winner, route) : 'the path can be read as its own');
  return {
    winner,
    beaten: others.map((route) => ({ name: route.name, reason: reason(route) })),
    unmatched: unmatched(all, request, target),
  };
}

function unmatched(all: readonly Route[], request: RouteRequest, target: string): RouteReason[] {
  const reasons: RouteReason[] = [];
  for (const route of all) {
    if (reasons.length === MOST_SHOWN) break;
    const reason = whyNot(route, request, target);
    if (reason !== undefined) reasons.push({ name: route.name, reason });
  }
  return reasons;
}

export function explainedRoute({ written, settings }: Explained, route: Route): RouteExplained {
  const { path, host, methods, headers, priority } = route.match;
  const place = written && placeOfRoute(written, settings, route);
  return {
    name: route.name,
    path,
    ...(host !== undefined && { host }),
    ...(methods !== undefined && { methods }),
    ...(headers !== undefined && { headers }),
    ...(priority !== undefined && { priority }),
    spelling: route.spelling,
    ...(place !== undefined && { place }),
  };
}

/** Which side of a route that is split a request goes to. Undefined where it does not show whom it is from. */
export function sideFor(arrival: Arrival): Side | undefined {
  const { sides = [] } = arrival.service;
  const key = keyOf(arrival);
  const divided = dividedBy(arrival.service);
  return key === undefined ? undefined : sides[divided.sideAt(divided.pointOf(key))];
}

/**
 * The sides of a route that is split, and which of them the request goes to, as far as it shows whom it is from.
 *
 * @param splits where its requests come before a side is chosen; undefined: it is not split
 */
export function splitNote(arrival: Arrival, splits: ServiceParts | undefined): string | undefined {
  const { sides } = splits ?? {};
  if (!splits || !sides) return undefined;
  const divided = dividedBy(splits);
  const all = sides.map(({ service }, side) => `${service} ${percentText(divided.shareOf(side))}`).join(', ');
  const key = keyOf(arrival);
  if (key === undefined) return `${all}; give a token or --from to see which one it is`;
  const point = divided.pointOf(key);
  const { service } = sides[divided.sideAt(point)] as Side;
  return `${all}; for this caller ${service} (point ${point.toFixed(4)})`;
}

function dividedBy({ sides = [], settings }: ServiceParts): Sides {
  return new Sides(
    settings.path,
    sides.map(({ weight }) => weight),
  );
}

/** By whom a token says that it is, which is not checked here, or else by the address; undefined where neither is known. */
function keyOf({ req, token, parts }: Arrival): string | undefined {
  if (token.isThere) return token.text === undefined ? undefined : keyIn(token.text, parts.settings);
  if (req.socket.remoteAddress === undefined) return undefined;
  return clientAddress(parts.trustsPeer)(req);
}

function keyIn(token: string, { jwtSubjectClaims }: Arrival['parts']['settings']): string | undefined {
  try {
    return whoIs(readClaims(token), jwtSubjectClaims).key;
  } catch {
    return undefined;
  }
}
