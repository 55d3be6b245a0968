import type { IncomingMessage } from 'node:http';
import { expect, it } from '@jest/globals';
import { Audiences } from '../../../lib/cache/stored/audiences.ts';
import { ANONYMOUS, audienceOf, EVERYONE } from '../../../lib/cache/stored/key.ts';

const request = (headers: IncomingMessage['headers'] = {}) => ({ headers }) as unknown as IncomingMessage;
const identityOf = (key: string) => ({ subject: 'ann', key, claims: '' });

it('are the own of each identity and what everybody may have, however often it asks', () => {
  const audiences = new Audiences(true);
  const [ann, other] = [identityOf('issuer one, ann'), identityOf('issuer two, ann')];
  for (let n = 0; n < 2; n += 1) {
    expect(audiences.of(request({ cookie: 'a=1' }), ann)).toEqual([audienceOf(ann.key), EVERYONE]);
    expect(audiences.of(request(), other)).toEqual([audienceOf(other.key), EVERYONE]);
  }
  expect(audiences.of(request(), ann)).not.toEqual(audiences.of(request(), other));
});

it.each([{ authorization: 'Bearer x' }, { cookie: 'a=1' }])('of a stranger with %j are no own', (headers) => {
  expect(new Audiences(true).of(request(headers), undefined)).toEqual([EVERYONE]);
  expect(new Audiences(false).of(request(headers), undefined)).toEqual([]);
});

it('of who shows nothing are all who show nothing', () => {
  expect(new Audiences(true).of(request(), undefined)).toEqual([ANONYMOUS, EVERYONE]);
  expect(new Audiences(false).of(request(), undefined)).toEqual([ANONYMOUS]);
});
