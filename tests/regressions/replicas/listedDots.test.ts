import { expect, it } from '@jest/globals';
import { parseListing } from '../../../lib/loadbalancer/registry/listing.ts';

// `DELETE /deregister/..` is `DELETE /`, and %2E%2E no better: whoever registers chose what else the gateway asks for.
it.each([{ id: '.' }, { id: '..' }, { host: '.' }, { host: '..' }])(
  'a replica cannot be called %j',
  (fields) => {
    const good = { id: 'budgeting.1', name: 'budgeting', url: 'http://10.0.0.1:80' };
    const { listed, skipped } = parseListing([{ ...good, ...fields }, good]);
    expect(listed.map(({ registered }) => registered.id)).toEqual(['budgeting.1']);
    expect(skipped).toEqual([expect.stringContaining('no URL can hold it')]);
  },
);
