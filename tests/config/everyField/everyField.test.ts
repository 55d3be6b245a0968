import { basename } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import { loadSettings, SettingsError } from '../../../config/config.ts';
import type { PolicySettings } from '../../../config/policies/policies.ts';
import type { Route, Service } from '../../../config/sections/services.ts';
import { makeAuthority } from '../../support/certificates.ts';
import { everyField, LEVELS, type Level } from './leaves.ts';
import { POLICY_FIELDS } from './policyFields.ts';
import { SHAPE_FIELDS } from './shapeFields.ts';

const FIELDS = everyField();
/** Where problems with each level stand. */
const PLACES: Readonly<Record<Level, string>> = {
  defaults: 'defaults',
  service: 'services[0]',
  route: 'services[0].routes[0]',
  free: 'routes[0]',
};
/** What inherits from each level. */
const WITHIN: Readonly<Record<Level, readonly Level[]>> = {
  defaults: ['service', 'route', 'free'],
  service: ['route', 'free'],
  route: [],
  free: [],
};

const authority = makeAuthority('CA of every field');
const own = authority.issue('gateway');
const pems: Readonly<Record<string, string>> = {
  'ca.pem': authority.cert,
  'cert.pem': own.cert,
  'key.pem': own.key,
};

type Levels = Readonly<Partial<Record<Level, object>>>;

/** A file of three services, of which the first has a route and there is a route to it elsewhere, with more at its levels. */
function settingsOf(levels: Levels) {
  const route = { match: { path: '/m' }, ...levels.route };
  const free = { match: { path: '/m' }, service: 'a', ...levels.free };
  const others = ['b', 'c'].map((name) => ({
    name: `${name}`,
    path: `/${name}`,
    upstreams: [`https://${name}`],
  }));
  const first = { name: 'a', path: '/a', upstreams: ['https://a'], ...levels.service, routes: [route] };
  const services = [first, ...others.filter(({ name }) => first.name !== name && first.path !== `/${name}`)];
  const text = JSON.stringify({ defaults: levels.defaults, services, routes: [free] });
  const env = { JWT_SECRET: 'x'.repeat(40), GATEWAY_FILE: 'gateway.json' };
  return loadSettings(env, (path) => pems[basename(path)] ?? text);
}

/** What holds at the levels that hold something. */
function heldBy(levels: Levels): Readonly<Record<Level, PolicySettings | undefined>> {
  const { services, routes } = settingsOf(levels);
  const [service] = services;
  return {
    defaults: undefined,
    service,
    route: service?.routes[0]?.settings,
    free: routes[0]?.settings,
  };
}

function problemsOf(levels: Levels): readonly string[] {
  try {
    settingsOf(levels);
  } catch (error) {
    if (error instanceof SettingsError) return error.problems;
    throw error;
  }
  return [];
}

/** The problem as it should stand in the file, whatever its line. */
const problemAt = (level: Level, problem: string) => expect.stringContaining(` ${PLACES[level]}.${problem}`);

function levelsOf({
  field,
  levels,
}: {
  readonly field: string;
  readonly levels?: readonly Level[];
}): Level[] {
  return LEVELS.filter((level) => (levels ?? LEVELS).includes(level) && FIELDS.get(field)?.has(level));
}

it('each field of the shape has its row here, on each level where it may stand', () => {
  const rows = [...POLICY_FIELDS, ...SHAPE_FIELDS];
  const tried = rows.flatMap((row) => levelsOf(row).map((level) => `${row.field} of ${level}`));
  const known = [...FIELDS].flatMap(([field, levels]) => [...levels].map((level) => `${field} of ${level}`));
  expect(tried.sort()).toEqual(known.sort());
});

describe.each(POLICY_FIELDS)('$field', (row) => {
  const { field, says, read, holds, refused, both = holds[1] } = row;
  const levels = levelsOf(row);

  it.each(levels.filter((level) => level !== 'defaults'))('holds as the %s says', (level) => {
    for (const index of [0, 1] as const) {
      const held = heldBy({ [level]: says[index] })[level];
      expect(held && read(held)).toEqual(holds[index]);
    }
  });

  it('holds for everything within the level that says it, and for nothing around it', () => {
    const nothing = heldBy({});
    for (const level of levels) {
      const held = heldBy({ [level]: says[0] });
      for (const each of ['service', 'route', 'free'] as const) {
        const inner = held[each];
        const isWithin = each === level || WITHIN[level].includes(each);
        const expected = isWithin ? holds[0] : nothing[each] && read(nothing[each]);
        expect([level, each, inner && read(inner)]).toEqual([level, each, expected]);
      }
    }
  });

  it('is changed by each level within, for that level alone', () => {
    for (const outer of levels) {
      for (const inner of WITHIN[outer].filter((each) => levels.includes(each))) {
        const held = heldBy({ [outer]: says[0], [inner]: says[1] });
        const changed = held[inner];
        expect([outer, inner, changed && read(changed)]).toEqual([outer, inner, both]);
        const around = outer === 'defaults' ? undefined : held[outer];
        if (around) expect(read(around)).toEqual(holds[0]);
      }
    }
  });

  it('is refused where it is wrong, with its place and what is accepted', () => {
    for (const level of levels) {
      expect(problemsOf({ [level]: refused[0] })).toContainEqual(problemAt(level, refused[1]));
    }
  });

  it('is not known on any other level', () => {
    const [policy = ''] = field.split('.');
    const known = new Set(
      [...FIELDS].flatMap(([each, at]) => (each.split('.')[0] === policy ? [...at] : [])),
    );
    for (const level of LEVELS.filter((each) => !known.has(each))) {
      expect(problemsOf({ [level]: says[0] })).toContainEqual(problemAt(level, `${policy} is not known`));
    }
  });
});

describe.each(SHAPE_FIELDS)('$field', (row) => {
  const { says, read, holds, refused } = row;

  it.each(levelsOf(row))('holds as the %s says, and is refused where it is wrong', (level) => {
    const { services, routes } = settingsOf({
      [level]: says,
      ...(level === 'service' && { free: { service: 'b' } }),
    });
    const held = level === 'service' ? services[0] : level === 'route' ? services[0]?.routes[0] : routes[0];
    expect(held && read(held as Service & Route)).toEqual(holds);
    expect(problemsOf({ [level]: refused[0] })).toContainEqual(problemAt(level, refused[1]));
  });
});

it.each(POLICY_FIELDS.filter(({ says }) => Object.values(says[1]).includes('off')))(
  '$field: false is the same as off, since templates write one for the other',
  ({ says, levels = LEVELS }) => {
    const inFalse = JSON.parse(JSON.stringify(says[1]).replaceAll('"off"', 'false'));
    for (const level of LEVELS.filter((each) => each !== 'defaults' && levels.includes(each))) {
      if (problemsOf({ [level]: says[1] }).length > 0) continue;
      expect(heldBy({ [level]: inFalse })).toEqual(heldBy({ [level]: says[1] }));
    }
  },
);
