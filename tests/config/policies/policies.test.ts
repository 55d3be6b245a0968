import { expect, it } from '@jest/globals';
import { POLICIES } from '../../../config/policies/policies.ts';
import type { Environment } from '../../../config/policies/policy.ts';

/** Which settings there are does not depend on what holds. */
const ENVIRONMENT = {} as Environment;

it('no two policies fill one setting of a service', () => {
  const filled = Object.values(POLICIES).flatMap(({ settings }) =>
    Object.keys(settings(undefined, ENVIRONMENT)),
  );
  expect(filled).toEqual([...new Set(filled)]);
});
