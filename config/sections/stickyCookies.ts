import { parsePattern } from '../../lib/routing/pattern.ts';
import type { PolicySettings } from '../policies/policies.ts';
import type { Route, Service } from './services.ts';
import { leadsTo } from './services.ts';

/** A cookie that names a replica. */
export interface StickyCookie {
  readonly name: string;
  /** Path of the service that it is for. */
  readonly service: string;
  /** Requests whose path begins with it bring the cookie. */
  readonly path: string;
}

/** All of them, each once. */
export function stickyCookies({
  services,
  routes,
}: {
  readonly services: readonly Service[];
  readonly routes: readonly Route[];
}): StickyCookie[] {
  const found = new Map<string, StickyCookie>();
  const add = (path: string, settings: Pick<PolicySettings, 'balance'>, pattern: string) => {
    const service = settings.balance.by === 'cookie' && services.find((each) => each.path === path);
    const cookie = service && stickyCookieOf(service, settings, publicPathOf(service, pattern));
    if (cookie) found.set(JSON.stringify(cookie), cookie);
  };
  for (const service of services) add(service.path, service, service.path);
  for (const { action, settings, match, sides } of [...services.flatMap((each) => each.routes), ...routes]) {
    if (action.kind === 'forward') add(action.service, settings, match.path);
    for (const side of sides ?? []) add(side.service, side.settings, match.path);
  }
  return [...found.values()];
}

/** The cookie of a service or one of its routes; undefined where there is none. */
export function stickyCookieOf(
  { name, path: service }: Pick<Service, 'name' | 'path'>,
  { balance }: Pick<PolicySettings, 'balance'>,
  path: string,
): StickyCookie | undefined {
  if (balance.by !== 'cookie') return undefined;
  return { name: balance.cookie ?? `replica-${name}`, service, path };
}

/** What the public path of each request of a route begins with: that of its service or, elsewhere, what its pattern has for all. */
export function publicPathOf({ path }: Pick<Service, 'path'>, pattern: string): string {
  if (leadsTo({ path }, pattern)) return path;
  const { segments } = parsePattern(pattern);
  const firstOpen = segments.findIndex(({ kind }) => kind !== 'literal');
  const literal = firstOpen === -1 ? segments : segments.slice(0, firstOpen);
  return `/${literal.map((segment) => (segment.kind === 'literal' ? segment.text : '')).join('/')}`;
}
