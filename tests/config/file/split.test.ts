import { describe, expect, it } from '@jest/globals';
import { problemsOf } from '../../support/gateway/settings.ts';

/** What is wrong with a file of two services, without the place in it. */
function wrongWith({ two = '', routes = [] as string[], own = [] as string[] }): string[] {
  const text = [
    'services:',
    `  - { name: checkin, path: /checkin, upstreams: [http://checkin], routes: [${own.join(', ')}] }`,
    `  - { name: checkin-v2, path: /checkin-v2, upstreams: [http://checkin-v2]${two} }`,
    ...(routes.length > 0 ? ['routes:', ...routes.map((route) => `  - ${route}`)] : []),
  ].join('\n');
  return problemsOf({}, { 'gateway.yaml': text }).map((each) => each.replace(/^\S+ /, ''));
}

const SIDES = '[{ service: checkin, weight: 90 }, { service: checkin-v2, weight: 10 }]';
const free = (split: string, more = '') => ({
  routes: [`{ match: { path: /a/** }, split: ${split}${more} }`],
});
const own = (split: string, more = '') => ({ own: [`{ match: { path: /a/** }, split: ${split}${more} }`] });

describe('a split', () => {
  it.each([
    free(SIDES),
    own(SIDES),
    free(SIDES, ', rewrite: /b/**'),
    own(SIDES, ', rewrite: /b/**'),
    own('[{ service: checkin, weight: 0.5 }, { service: checkin-v2, weight: 0 }]'),
  ])('is right: %j', (file) => {
    expect(wrongWith(file)).toEqual([]);
  });

  it.each([
    [
      free('[{ service: chekin, weight: 1 }, { service: checkin-v2, weight: 1 }]'),
      'routes[0].split[0].service is "chekin", which is no service: did you mean checkin?',
    ],
    [
      own('[{ service: checkin, weight: 1 }, { service: other, weight: 1 }]'),
      'services[0].routes[0].split[1].service is "other", which is no service: expected one of checkin, checkin-v2',
    ],
    [
      own('[{ service: checkin, weight: 1 }, { service: checkin, weight: 1 }]'),
      'services[0].routes[0].split[1].service is "checkin" once more: expected each service once',
    ],
    [
      free('[{ service: checkin, weight: 0 }, { service: checkin-v2, weight: 0 }]'),
      'routes[0].split has no weight above 0: expected one, or nobody gets a response',
    ],
    [
      free('[{ service: checkin, weight: 1 }]'),
      'routes[0].split is [{"service":"checkin","weight":1}]: expected a list of two services or more, such as [{ service: checkin, weight: 90 }, ...]',
    ],
    [
      free('[{ service: checkin, weight: -1 }, { service: checkin-v2, weight: 1 }]'),
      'routes[0].split[0].weight is -1: expected a number from 0 to 1000000',
    ],
    [
      free('[{ service: checkin, wieght: 1, weight: 1 }, { service: checkin-v2, weight: 1 }]'),
      'routes[0].split[0].wieght is not known: expected one of service, weight',
    ],
    [
      free(SIDES, ', service: checkin'),
      'routes[0].split stands beside service: expected one of service, split, redirect, respond',
    ],
    [
      own(SIDES, ', respond: { status: 503 }'),
      'services[0].routes[0].respond stands beside split: expected one of split, redirect, respond',
    ],
    [
      free(SIDES, ', rewrite: /:id'),
      expect.stringMatching(/^routes\[0\].rewrite is "\/:id": expected /) as unknown as string,
    ],
  ])('is refused: %j', (file, problem) => {
    expect(wrongWith(file)).toEqual([problem]);
  });

  it('is refused where a side keeps out whom the route lets in, until the route says who may come', () => {
    const strict = ', auth: { require: { claims: { role: [tester] } } }';
    const refused = (at: string) => [
      `${at} leads to /checkin-v2, which keeps out somebody whom the route lets in: expected auth, allow and deny on the route to say what holds for all sides`,
    ];
    expect(wrongWith({ two: strict, ...own(SIDES) })).toEqual(refused('services[0].routes[0].split'));
    expect(wrongWith({ two: ', deny: [10.0.0.0/8]', ...free(SIDES) })).toEqual(refused('routes[0].split'));
    expect(wrongWith({ two: strict, ...own(SIDES, ', auth: required') })).toEqual([]);
    expect(wrongWith({ two: ', auth: none', ...own(SIDES) })).toEqual([]);
  });
});
