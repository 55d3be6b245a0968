import { describe, expect, it } from '@jest/globals';
import { explainedIn } from '../../support/gateway/explained.ts';

const SERVICE = `services:
  - { name: shop, path: /shop, upstreams: ["http://shop-service:8080"] }
`;

describe('routes that explain names', () => {
  it('are those between which a path is ambiguous, by whom each lets in', async () => {
    const file = `${SERVICE}routes:
  - { match: { path: /x/admin }, service: shop, allow: ["10.0.0.0/8"] }
  - { match: { path: /x/** }, service: shop, deny: ["192.0.2.0/24"] }
`;
    const found = await explainedIn(file, ['GET', 'http://x/x/Admin']);
    expect(found).toMatchObject({ outcome: { kind: 'refuse', status: 400 } });
    expect(found.route).toBeUndefined();
    expect(found.beaten.map(({ name }) => name).sort()).toEqual(['/x/**', '/x/admin']);
  });
});
