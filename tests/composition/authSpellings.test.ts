import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import type { AuthRule } from '../../config/policies/auth/auth.ts';
import type { Said } from '../../config/policies/policies.ts';
import type { Environment } from '../../config/policies/policy.ts';
import { keepsOutAsMuch } from '../../config/policies/strictness.ts';
import { completeService } from '../../config/routes/complete.ts';
import type { Service } from '../../config/sections/services.ts';
import { isAmbiguous } from '../../gateway/http/target.ts';
import { AMBIGUOUS, RouteTable } from '../../lib/routing/routeTable.ts';
import { cases } from '../support/cases.ts';
import { type Caller, letsIn, ServiceModel, type Wanted } from '../support/readings/model.ts';
import { READERS, type Reader } from '../support/readings/readers.ts';

const ENVIRONMENT = { cacheTtlMs: 'off', breaker: {}, rates: [] } as unknown as Environment;
const CALLERS: readonly Caller[] = [undefined, [], ['x'], ['y'], ['x', 'y']];

function saying(asks: Wanted['asks']): Said {
  if (asks === 'none') return { auth: { need: asks, require: 'off', sources: undefined } };
  if (asks === 'optional') return { auth: { need: asks, require: 'off' } };
  return { auth: { need: 'required', require: asks.length > 0 ? { scopes: [...asks] } : 'off' } };
}

/** The service `/s` as a file with these routes makes it. The last one is what it asks itself. */
function serviceOf(routes: readonly Wanted[], rest: Wanted['asks']): Service {
  const action = { kind: 'forward', service: '/s', cut: '/s', rewrite: undefined } as const;
  return completeService(
    {
      name: 's',
      path: '/s',
      says: saying(rest),
      routes: routes.map(({ match, asks }) => ({
        match: { ...match, path: `/s${match.path === '/' ? '' : match.path}` },
        action,
        says: saying(asks),
      })),
    },
    ENVIRONMENT,
  );
}

const gatewayLetsIn = ({ need, require }: AuthRule, caller: Caller): boolean =>
  letsIn(need === 'required' ? (require?.scopes ?? []) : need, caller);

const asks = fc.constantFrom<Wanted['asks']>('none', 'optional', [], ['x'], ['y'], ['x', 'y']);
const segment = fc.constantFrom('admin', 'Admin', 'a', 'a.b', '*', ':id');
const pattern = fc
  .tuple(fc.array(segment, { maxLength: 3 }), fc.constantFrom('', '', '/', '/**'))
  .filter(([segments]) => segments.filter((each) => each === ':id').length < 2)
  .map(([segments, end]) => segments.map((each) => `/${each}`).join('') + end || '/');
const route = fc.record({
  match: fc.record(
    {
      path: pattern,
      methods: fc.constantFrom(['GET'], ['POST'], ['GET', 'POST']),
      host: fc.constantFrom('a.test', '*.test'),
    },
    { requiredKeys: ['path'] },
  ),
  asks,
});
const piece = fc.constantFrom(
  ...['admin', 'Admin', 'ADMIN', '%61dmin', '%2561dmin', 'a', 'A', 'a.b', 'a%2Eb', 'b', 'b.', 'a%20'],
  ...[
    '/',
    '/',
    '/',
    '//',
    '%2f',
    '%2F',
    '%252f',
    ';x',
    ';a=b',
    '%3b',
    '/%252e%252e/',
    '%255c',
    '%3fq',
    '.',
    ' ',
  ],
);
const target = fc
  .array(piece, { minLength: 1, maxLength: 7 })
  .map((pieces) => `/s/${pieces.join('')}`)
  .map((text) => text.replaceAll(' ', '%20'));

const compatible = (routes: readonly Wanted[]) => {
  const rules = routes.map(({ match }, index) => ({ name: String(index), match, spelling: 'any' as const }));
  const clashing = new Set(new RouteTable(rules).clashes.map(([, later]) => Number(later.name)));
  return routes.filter((_, index) => !clashing.has(index));
};

interface Asked {
  readonly method: string;
  readonly host: string;
  readonly target: string;
}

/** Whom the gateway lets in; undefined where it refuses everybody. */
function gatewayOf(routes: readonly Wanted[], rest: Wanted['asks']): (asked: Asked) => AuthRule | undefined {
  const { routes: rules, auth } = serviceOf(routes, rest);
  const table = new RouteTable(rules, (one, other) => keepsOutAsMuch(one.settings, other.settings));
  return ({ method, host, target: asked }) => {
    if (isAmbiguous(asked)) return undefined;
    const found = rules.length > 0 ? table.find({ method, headers: { host } }, asked) : undefined;
    return found === AMBIGUOUS ? undefined : (found?.rule.settings.auth ?? auth);
  };
}

function serviceModel(reader: Reader, routes: readonly Wanted[], rest: Wanted['asks']): ServiceModel {
  const isWhole = routes.some(({ match }) => match.path === '/**' && Object.keys(match).length === 1);
  return new ServiceModel(reader, isWhole ? routes : [...routes, { match: { path: '/**' }, asks: rest }]);
}

/** Callers who get past the gateway to what the service would keep from them. */
function intruders(rule: AuthRule | undefined, wanted: Wanted['asks'] | undefined): readonly Caller[] {
  if (rule === undefined || wanted === undefined) return [];
  return CALLERS.filter((caller) => gatewayLetsIn(rule, caller) && !letsIn(wanted, caller));
}

const asked = fc.record({
  target,
  method: fc.constantFrom('GET', 'HEAD', 'POST'),
  host: fc.constantFrom('a.test', 'b.test', 'other'),
});

describe('whoever a service would keep out', () => {
  it.each(READERS.map((reader) => [reader.name, reader] as const))(
    'the gateway keeps out, as it is read by %s',
    (_name, reader) => {
      fc.assert(
        fc.property(
          fc.array(route, { maxLength: 6 }).map(compatible),
          asks,
          fc.array(asked, { minLength: 20, maxLength: 20 }),
          (routes, rest, requests) => {
            const ruleFor = gatewayOf(routes, rest);
            const model = serviceModel(reader, routes, rest);
            for (const each of requests) {
              const wanted = model.asksFor(each.method, each.host, each.target.slice('/s'.length));
              expect([each, wanted, ...intruders(ruleFor(each), wanted)]).toEqual([each, wanted]);
            }
          },
        ),
        cases(200),
      );
    },
    60_000,
  );
});

describe('a route that is all of its service', () => {
  it.each<[Wanted['asks'], Wanted['asks']]>([
    [['x'], 'none'],
    [[], 'optional'],
    ['none', ['x']],
  ])('counts where it stands alone: %j in a service of %j', (own, rest) => {
    const ruleFor = gatewayOf([{ match: { path: '/**' }, asks: own }], rest);
    const rule = ruleFor({ method: 'GET', host: 'a.test', target: '/s/admin' });
    expect(CALLERS.filter((caller) => rule && gatewayLetsIn(rule, caller))).toEqual(
      CALLERS.filter((caller) => letsIn(own, caller)),
    );
  });
});

describe('a route that asks for something else than the one around it', () => {
  const routes: Wanted[] = [
    { match: { path: '/files/:owner/**' }, asks: ['x', 'y'] },
    { match: { path: '/files/shared/**' }, asks: ['x'] },
    { match: { path: '/files/public/**' }, asks: 'none' },
    { match: { path: '/other/**' }, asks: ['y'] },
    { match: { path: '/end' }, asks: ['y'] },
  ];
  const { routes: rules } = serviceOf(routes, []);
  const table = new RouteTable(rules, (one, other) => keepsOutAsMuch(one.settings, other.settings));
  const scopesFor = (path: string) => {
    const found = table.find({ method: 'GET', headers: {} }, `/s${path}`);
    return found === AMBIGUOUS
      ? found
      : (found?.rule.settings.auth.require?.scopes.join('+') ?? found?.rule.settings.auth.need);
  };

  it.each([
    ['/files/shared/1', 'x'],
    // For a service that heeds letter case, the owner SHARED.
    ['/files/SHARED/1', 'x+y'],
    ['/files/%73hared/1', 'x+y'],
    ['/files/PUBLIC/1', 'x+y'],
    ['/files/public/1', 'none'],
    // Some services cut parameters before they decode slashes.
    ['/end%2f;x%2fmore', 'y'],
    // Percent signs are parts of names to some services.
    ['/files/%2573hared/1', 'x+y'],
    ['/Files/ann/1', 'x+y'],
    ['/FILES/shared/1', 'x'],
    ['/OTHER/1', 'y'],
    ['/else', 'required'],
  ])('%s: what both ask for', (path, scopes) => {
    expect(scopesFor(path)).toBe(scopes);
  });

  it('is not found at all where neither asks for all that the other does', () => {
    const mixed = serviceOf(
      [
        { match: { path: '/files/:owner/**' }, asks: ['x'] },
        { match: { path: '/files/shared/**' }, asks: ['y'] },
      ],
      [],
    ).routes;
    const of = new RouteTable(mixed, (one, other) => keepsOutAsMuch(one.settings, other.settings));
    expect(of.find({ method: 'GET', headers: {} }, '/s/files/SHARED/1')).toBe(AMBIGUOUS);
    expect(of.find({ method: 'GET', headers: {} }, '/s/files/shared/1')).not.toBe(AMBIGUOUS);
  });
});
