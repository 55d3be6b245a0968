import { expect, it } from '@jest/globals';
import { Sides } from '../../../lib/split/sides.ts';
import { explainedIn } from '../../support/gateway/explained.ts';
import { tokenFor } from '../../support/gateway/gateway.ts';

const FILE = `
services:
  - name: checkin
    path: /checkin
    upstreams: ["http://checkin:8085"]
    routes:
      - match: { path: /** }
        auth: optional
        split: [{ service: checkin, weight: 3 }, { service: checkin-v2, weight: 1 }]
  - { name: checkin-v2, path: /checkin-v2, upstreams: ["http://checkin-v2:8085"] }
`;

it('says who gets the users of a route that is split, and which side a token or an address belongs to', async () => {
  const sides = new Sides('/checkin', [3, 1]);
  const noteFor = async (options: Parameters<typeof explainedIn>[2]) => {
    const { stages } = await explainedIn(FILE, ['GET', 'http://x/checkin/me'], options);
    return stages.find(({ name }) => name === 'split')?.note;
  };
  const expected = (key: string) => {
    const point = sides.pointOf(key);
    const service = ['/checkin', '/checkin-v2'][sides.sideAt(point)];
    return `/checkin 75 %, /checkin-v2 25 %; for this caller ${service} (point ${point.toFixed(4)})`;
  };
  expect(await noteFor({})).toBe(
    '/checkin 75 %, /checkin-v2 25 %; give a token or --from to see which one it is',
  );
  for (const from of ['192.0.2.7', '192.0.2.9']) expect(await noteFor({ from })).toBe(expected(from));
  for (const user of ['ann', 'bob', 'cyd', 'dan', 'eve']) {
    const headers = [`Authorization: Bearer ${tokenFor(user)}`];
    expect(await noteFor({ headers })).toBe(expected(`nobody sub string:${user}`));
  }
});

it('shows the stages, the address and the path of the side that a token belongs to', async () => {
  const sides = new Sides('/checkin', [3, 1]);
  const seen = new Set<string>();
  for (const user of ['ann', 'bob', 'cyd', 'dan', 'eve', 'fay', 'gus', 'hal']) {
    const service = ['/checkin', '/checkin-v2'][sides.sideAt(sides.pointOf(`nobody sub string:${user}`))];
    const headers = [`Authorization: Bearer ${tokenFor(user)}`];
    const { upstream, stages, cache } = await explainedIn(FILE, ['GET', 'http://x/checkin/me'], { headers });
    expect(upstream).toMatchObject({
      service,
      target: '/me',
      replicas: [`http://${service?.slice(1)}:8085`],
    });
    expect(cache?.key?.service).toBe(service);
    const names = stages.map(({ name }) => name);
    expect(names.indexOf('proxy')).toBeGreaterThan(names.indexOf('split'));
    seen.add(`${service}`);
  }
  expect([...seen].sort()).toEqual(['/checkin', '/checkin-v2']);
  const { upstream } = await explainedIn(FILE, ['GET', 'http://x/checkin/me']);
  expect(upstream).toBeUndefined();
});
