import { expect, it } from '@jest/globals';
import { POLICIES } from '../../../config/policies/policies.ts';
import type { Environment } from '../../../config/policies/policy.ts';

/** Which settings there are does not depend on what holds. */
const ENVIRONMENT: Partial<Environment> = { rates: [] };

it('no two policies fill one setting of a service', () => {
  const filled = Object.values(POLICIES).flatMap(({ settings }) =>
    Object.keys(settings(undefined, ENVIRONMENT as Environment)),
  );
  expect(filled).toEqual([...new Set(filled)]);
});
