import { describe, expect, it } from '@jest/globals';
import { reportSettings } from '../../../../config/check.ts';
import { healthText } from '../../../../config/policies/upstream/health.ts';
import type { Service } from '../../../../config/sections/services.ts';
import { JWT_SECRET, load, problemsOf } from '../../../support/gateway/settings.ts';

interface Levels {
  readonly defaults?: string;
  readonly service?: string;
  readonly route?: string;
}

/** A file with one service `a` and one route `/x` of it, each with more of its own. */
function file({ defaults = '', service = '', route = '' }: Levels): Readonly<Record<string, string>> {
  const own = service && `${service}, `;
  const routes = `routes: [{ match: { path: /x }${route && `, ${route}`} }]`;
  return {
    'gateway.yaml': `defaults: { ${defaults} }\nservices: [{ name: a, path: /a, upstreams: [http://a], ${own}${routes} }]\n`,
  };
}

function serviceOf(levels: Levels): Service {
  return load({}, file(levels)).services[0] as Service;
}

const DEFAULT = {
  path: '/health',
  intervalMs: 10_000,
  timeoutMs: 3_000,
  healthyAfter: 2,
  unhealthyAfter: 3,
  statuses: [{ from: 200, to: 299 }],
};

describe('health', () => {
  it.each<[Levels, object | undefined]>([
    [{}, undefined],
    [{ service: 'health: off' }, undefined],
    [{ service: 'health: { path: /health }' }, DEFAULT],
    [{ defaults: 'health: { path: /health }' }, DEFAULT],
    [{ defaults: 'health: { path: /health }', service: 'health: off' }, undefined],
    [{ defaults: 'health: { path: /health }', service: 'health: false' }, undefined],
    [{ defaults: 'health: off', service: 'health: { path: /health }' }, DEFAULT],
    // Where no service names a path, defaults only say how one would be asked.
    [{ defaults: 'health: { interval: 5s }' }, undefined],
    [
      { defaults: 'health: { path: /up, interval: 5s }', service: 'health: { path: /health, timeout: 1s }' },
      { ...DEFAULT, intervalMs: 5_000, timeoutMs: 1_000 },
    ],
    [
      { service: 'health: { path: "/health?x=1", healthyAfter: 1, unhealthyAfter: 7, port: 8081 }' },
      { ...DEFAULT, path: '/health?x=1', healthyAfter: 1, unhealthyAfter: 7, port: 8081 },
    ],
  ])('%j', (levels, expected) => {
    const { health, routes } = serviceOf(levels);
    expect(health).toEqual(expected);
    expect(routes[0]?.settings.health).toEqual(expected);
    // No route is for every spelling because of it.
    expect(routes[0]?.spelling).toBe('exact');
  });

  it.each([
    ['204', [{ from: 204, to: 204 }]],
    ['"204"', [{ from: 204, to: 204 }]],
    ['200-399', [{ from: 200, to: 399 }]],
    [
      '[200-299, 401]',
      [
        { from: 200, to: 299 },
        { from: 401, to: 401 },
      ],
    ],
  ])('accepts status %s', (status, statuses) => {
    expect(serviceOf({ service: `health: { path: /health, status: ${status} }` }).health).toEqual({
      ...DEFAULT,
      statuses,
    });
  });

  it.each([
    ['{ path: health }', 'health.path is "health": expected a path such as /actuator/health/readiness'],
    ['{ path: "/a b" }', 'health.path is "/a b": expected a path'],
    ['{ path: "/a#b" }', 'health.path is "/a#b": expected a path'],
    ['{ path: /health, interval: 0s }', 'health.interval is "0s": expected a duration'],
    ['{ path: /health, interval: 10 }', 'health.interval is 10: expected a duration'],
    ['{ path: /health, healthyAfter: 0 }', 'health.healthyAfter is 0: expected a whole number from 1 to 100'],
    ['{ path: /health, unhealthyAfter: 1.5 }', 'health.unhealthyAfter is 1.5: expected a whole number'],
    ['{ path: /health, port: 70000 }', 'health.port is 70000: expected a port from 1 to 65535'],
    ['{ path: /health, status: 100 }', 'health.status is 100: expected a status from 200 to 599'],
    ['{ path: /health, status: 299-200 }', 'health.status is "299-200": expected a status from 200 to 599'],
    ['{ path: /health, status: [] }', 'health.status is []: expected a status from 200 to 599'],
    ['{ path: /health, intervall: 1s }', 'health.intervall is not known: did you mean interval?'],
    ['{ interval: 5s }', 'health has no path: expected one such as /actuator/health/readiness'],
    ['true', 'health is true: expected off or an object with a path'],
  ])('%s of a service is refused', (health, problem) => {
    const problems = problemsOf({}, file({ service: `health: ${health}` }));
    expect(problems).toEqual([expect.stringContaining(`services[0].${problem}`)]);
  });

  it('of a route is refused, with the way out', () => {
    const problems = problemsOf({}, file({ route: 'health: off' }));
    expect(problems).toEqual([
      expect.stringMatching(
        /services\[0\]\.routes\[0\]\.health is not known here: expected it in defaults or at a service$/,
      ),
    ]);
  });

  it('stands in the table of services', () => {
    const [with_, without] = [
      serviceOf({ service: 'health: { path: /health, interval: 90s }' }),
      serviceOf({}),
    ];
    expect([with_, without].map(healthText)).toEqual(['/health each 1m30s', 'off']);
    const files = file({ service: 'health: { path: /health }' });
    const report = reportSettings({
      env: { JWT_SECRET },
      dotenv: {},
      readFile: (path) => {
        const text = files[path];
        if (text === undefined) throw Object.assign(new Error(`no ${path}`), { code: 'ENOENT' });
        return text;
      },
    });
    expect(report).toMatch(/BREAKER +HEALTH +AUTH/);
    expect(report).toMatch(/on +\/health each 10s +required/);
  });
});
