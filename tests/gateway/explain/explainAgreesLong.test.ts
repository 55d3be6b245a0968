import { expect, it } from '@jest/globals';
import fc from 'fast-check';
import { cases } from '../../support/cases.ts';
import { expectAgreement, filesWithRequests } from '../../support/gateway/agreement.ts';

it('explain and a gateway that runs agree on 10,000 requests', async () => {
  const kinds = new Map<string, number>();
  const stages = new Map<string, number>();
  const property = fc.asyncProperty(filesWithRequests(100), ([file, asked]) =>
    expectAgreement(file, asked, ({ outcome: { kind, status }, stages: passed }) => {
      const isRefused = kind === 'refuse' || (kind === 'forward' && status !== undefined);
      const name = isRefused ? `${status}` : kind;
      const isForwarded = name === 'forward';
      for (const stage of passed) {
        if (isForwarded && stage.isThere) stages.set(stage.name, (stages.get(stage.name) ?? 0) + 1);
      }
      kinds.set(name, (kinds.get(name) ?? 0) + 1);
    }),
  );
  await fc.assert(property, cases(100));
  // Neither side would have been tried if all of them were refused.
  const all = [...kinds.values()].reduce((sum, count) => sum + count, 0);
  expect(kinds.get('forward')).toBeGreaterThan(all / 4);
  expect([...kinds.keys()]).toEqual(
    expect.arrayContaining(['400', '401', '403', '404', '405', 'redirect', 'respond', 'preflight']),
  );
  const rules = ['split', 'mirror', 'apiKey', 'rateLimit', 'stickyCookie'];
  expect(rules.filter((rule) => (stages.get(rule) ?? 0) < 20)).toEqual([]);
}, 600_000);
