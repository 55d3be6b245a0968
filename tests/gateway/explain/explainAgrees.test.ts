import { expect, it } from '@jest/globals';
import fc from 'fast-check';
import { cases } from '../../support/cases.ts';
import { expectAgreement, filesWithRequests } from '../../support/gateway/agreement.ts';

it('explain and a gateway that runs agree on route, service, target, token and fields', async () => {
  let forwarded = 0;
  const property = fc.asyncProperty(filesWithRequests(25), ([file, asked]) =>
    expectAgreement(file, asked, ({ outcome }) => {
      forwarded += Number(outcome.kind === 'forward' && outcome.status === undefined);
    }),
  );
  await fc.assert(property, { ...cases(12), endOnFailure: true });
  // Neither side would have been tried if all of them were refused.
  expect(forwarded).toBeGreaterThan(50);
}, 120_000);
