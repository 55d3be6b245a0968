import { describe, expect, it } from '@jest/globals';
import type { RequestHandler } from 'express';
import { type CacheOptions, cache } from '../../../lib/cache/middleware.ts';
import { exchangeOf } from '../../../lib/exchange/exchange.ts';
import { asOrigin } from '../../support/asOrigin.ts';
import { type CallResponse, call } from '../../support/clients/client.ts';
import { bareApp } from '../../support/gateway/bareApp.ts';
import { ManualClock } from '../../support/manualClock.ts';
import { memoryStore } from '../../support/stores/memoryStore.ts';

const NOW_MS = Date.UTC(2026, 0, 15, 12);
const DEFAULT_TTL_SECONDS = 30;
const BODY = '0123456789';

type Fields = Readonly<Record<string, string>>;

/** What the second of two requests for one URI meets. */
type Outcome =
  /** It costs the service nothing. */
  | 'reused'
  /** The service is asked whether what is stored is good still. */
  | 'validated'
  /** The service is asked as if nothing was stored. */
  | 'forwarded';

interface Ask {
  readonly method?: string;
  readonly path?: string;
  readonly headers?: Fields;
  readonly subject?: string;
  readonly body?: string;
}

interface Said {
  readonly status: number;
  readonly answer?: Fields;
}

interface Case {
  /** RFC and section; without a number it is RFC 9111. */
  readonly section: string;
  readonly says: string;
  /** The service's answer to the first request. */
  readonly answer?: Fields;
  readonly status?: number;
  /** To all later ones; the same when left out, or 304 when it is asked for a validator it has given. */
  readonly later?: Said;
  /** From the third request on; as `later` when left out. */
  readonly third?: Said;
  readonly first?: Ask;
  /** Between the two requests, with the first answer stored. */
  readonly between?: Ask;
  /** From the first request to `between`; `seconds` come after it. */
  readonly secondsBefore?: number;
  readonly seconds?: number;
  readonly second?: Ask;
  readonly options?: Partial<CacheOptions>;
  readonly outcome: Outcome;
  /** What the second client gets. */
  readonly gets?: { readonly status?: number; readonly body?: string; readonly fields?: Fields };
}

function at(seconds: number): string {
  return new Date(NOW_MS + seconds * 1000).toUTCString();
}

const stale = { 'Cache-Control': 'max-age=10' };
const fresh = { 'Cache-Control': 'max-age=60' };
const tagged = { 'Cache-Control': 'max-age=10', ETag: '"v1"' };
const dated = { 'Cache-Control': 'max-age=10', 'Last-Modified': at(-3600) };

const STORING: readonly Case[] = [
  { section: '3', says: 'GET is understood', answer: fresh, outcome: 'reused' },
  {
    section: '3',
    says: 'POST is not answered from what is stored',
    answer: fresh,
    second: { method: 'POST' },
    outcome: 'forwarded',
  },
  {
    section: '3',
    says: 'the answer to POST is not stored',
    answer: fresh,
    first: { method: 'POST' },
    outcome: 'forwarded',
  },
  {
    section: '3',
    says: 'the answer to PUT is not stored',
    answer: fresh,
    first: { method: 'PUT' },
    outcome: 'forwarded',
  },
  {
    section: '3',
    says: 'the answer to OPTIONS is not stored',
    answer: fresh,
    first: { method: 'OPTIONS' },
    outcome: 'forwarded',
  },
  {
    section: '3',
    says: 'the answer to HEAD has no content to store',
    answer: fresh,
    first: { method: 'HEAD' },
    outcome: 'forwarded',
  },
  {
    section: '3',
    says: 'no-store in the answer',
    answer: { 'Cache-Control': 'no-store' },
    outcome: 'forwarded',
  },
  {
    section: '3',
    says: 'no-store among others',
    answer: { 'Cache-Control': 'max-age=60, no-store' },
    outcome: 'forwarded',
  },
  {
    section: '5.2',
    says: 'names of directives in any case',
    answer: { 'Cache-Control': 'No-STORE' },
    outcome: 'forwarded',
  },
  { section: '3', says: 'private', answer: { 'Cache-Control': 'private, max-age=60' }, outcome: 'forwarded' },
  {
    section: '5.2.2.7',
    says: 'private with field names counts as private',
    answer: { 'Cache-Control': 'max-age=60, private="x-a, x-b"' },
    outcome: 'forwarded',
  },
  {
    section: '3',
    says: 'private although public',
    answer: { 'Cache-Control': 'public, private, max-age=60' },
    outcome: 'forwarded',
  },
  ...[200, 203, 300, 301, 302, 303, 307, 308, 404, 405, 410, 414, 501].map(
    (status): Case => ({
      section: '3',
      says: `a final ${status} with max-age`,
      status,
      answer: fresh,
      outcome: 'reused',
      gets: { status },
    }),
  ),
  {
    section: '3',
    says: 'a 204 with max-age, without content',
    status: 204,
    answer: fresh,
    outcome: 'reused',
    gets: { status: 204, body: '' },
  },
  ...[299, 400, 401, 403, 429, 499, 500, 502, 503, 504, 599].flatMap((status): Case[] => [
    {
      section: '3',
      says: `a ${status}, which nobody needs to understand, with max-age`,
      status,
      answer: fresh,
      outcome: 'reused',
      gets: { status },
    },
    {
      section: '3',
      says: `a ${status} with Expires`,
      status,
      answer: { Expires: at(60) },
      outcome: 'reused',
      gets: { status },
    },
    {
      section: '5.2.2.3',
      says: `a ${status} that must be understood`,
      status,
      answer: { 'Cache-Control': 'must-understand, max-age=60' },
      outcome: 'forwarded',
    },
    {
      section: '3',
      says: `a ${status} that says public, and not for how long`,
      status,
      answer: { 'Cache-Control': 'public' },
      outcome: 'forwarded',
    },
  ]),
  {
    section: '3',
    says: 'a 206, whose part would have to be kept apart',
    status: 206,
    answer: fresh,
    outcome: 'forwarded',
  },
  ...[203, 301, 404, 410, 501].map(
    (status): Case => ({
      section: '4.2.2',
      says: `a ${status} that says nothing has no lifetime here`,
      status,
      outcome: 'forwarded',
    }),
  ),
  {
    section: '4.2.2',
    says: 'a 200 that says nothing has the default',
    seconds: DEFAULT_TTL_SECONDS - 1,
    outcome: 'reused',
  },
  { section: '4.2.2', says: 'and not for longer', seconds: DEFAULT_TTL_SECONDS, outcome: 'forwarded' },
  { section: '3', says: 'Set-Cookie', answer: { ...fresh, 'Set-Cookie': 'a=b' }, outcome: 'forwarded' },
  {
    section: '3',
    says: 'public with Set-Cookie',
    answer: { 'Cache-Control': 'public, max-age=60', 'Set-Cookie': 'a=b' },
    outcome: 'forwarded',
  },
  {
    section: '5.2.2.3',
    says: 'must-understand and a status that is understood',
    answer: { 'Cache-Control': 'must-understand, no-store, max-age=60' },
    outcome: 'reused',
  },
  {
    section: '5.2.3',
    says: 'an unknown directive is ignored',
    answer: { 'Cache-Control': 'max-age=60, x-own="a, no-store"' },
    outcome: 'reused',
  },
  {
    section: '5.2.1.5',
    says: 'no-store in the request',
    answer: fresh,
    first: { headers: { 'Cache-Control': 'no-store' } },
    outcome: 'forwarded',
  },
  {
    section: '3.3',
    says: 'an incomplete answer',
    answer: { ...fresh, 'Content-Length': '99' },
    outcome: 'forwarded',
    gets: { body: undefined },
  },
  {
    section: '9110 9.3.1',
    says: 'a GET with content',
    answer: fresh,
    first: { body: 'x', headers: { 'Content-Length': '1' } },
    outcome: 'forwarded',
  },
  {
    section: '9110 9.3.1',
    says: 'a GET with content, when one without is stored',
    answer: fresh,
    second: { body: 'x', headers: { 'Content-Length': '1' } },
    outcome: 'forwarded',
  },
];

const CREDENTIALS: readonly Case[] = [
  {
    section: '3.5',
    says: "an answer with credentials is its sender's",
    answer: fresh,
    first: { subject: 'ann' },
    second: { subject: 'bob' },
    outcome: 'forwarded',
  },
  {
    section: '3.5',
    says: 'who gets it again',
    answer: fresh,
    first: { subject: 'ann' },
    second: { subject: 'ann' },
    outcome: 'reused',
  },
  {
    section: '3.5',
    says: 'and not those without',
    answer: fresh,
    first: { subject: 'ann' },
    outcome: 'forwarded',
  },
  {
    section: '3.5',
    says: 'public',
    answer: { 'Cache-Control': 'public, max-age=60' },
    first: { subject: 'ann' },
    second: { subject: 'bob' },
    outcome: 'reused',
  },
  {
    section: '3.5',
    says: 's-maxage',
    answer: { 'Cache-Control': 's-maxage=60' },
    first: { subject: 'ann' },
    second: { subject: 'bob' },
    outcome: 'reused',
  },
  {
    section: '3.5',
    says: 'must-revalidate could, and does not here: nobody means it so',
    answer: { 'Cache-Control': 'must-revalidate, max-age=60' },
    first: { subject: 'ann' },
    second: { subject: 'bob' },
    outcome: 'forwarded',
  },
  {
    section: '3.5',
    says: 'max-age alone does not',
    answer: fresh,
    first: { subject: 'ann' },
    second: { subject: 'bob' },
    outcome: 'forwarded',
  },
  {
    section: '3.5',
    says: 'public where sharing is off',
    options: { sharing: false },
    answer: { 'Cache-Control': 'public, max-age=60' },
    first: { subject: 'ann' },
    second: { subject: 'bob' },
    outcome: 'forwarded',
  },
  {
    section: '3.5',
    says: 'Authorization that nobody verified',
    answer: fresh,
    first: { headers: { Authorization: 'a' } },
    second: { headers: { Authorization: 'a' } },
    outcome: 'forwarded',
  },
  {
    section: '3.5',
    says: 'and an answer that is public',
    answer: { 'Cache-Control': 'public, max-age=60' },
    first: { headers: { Authorization: 'a' } },
    second: { headers: { Authorization: 'b' } },
    outcome: 'reused',
  },
  {
    section: '3.5',
    says: 'a Cookie that nobody verified',
    answer: fresh,
    first: { headers: { Cookie: 'a' } },
    second: { headers: { Cookie: 'a' } },
    outcome: 'forwarded',
  },
  {
    section: '3.5',
    says: 'a Cookie that nobody verified, after a request without',
    answer: fresh,
    second: { headers: { Cookie: 'a' } },
    outcome: 'forwarded',
  },
  {
    section: '3.5',
    says: 'a request without, after a Cookie that nobody verified',
    answer: fresh,
    first: { headers: { Cookie: 'a' } },
    outcome: 'forwarded',
  },
  {
    section: '3.5',
    says: 'a Cookie that nobody verified, and a response with s-maxage',
    answer: { 'Cache-Control': 's-maxage=60' },
    first: { headers: { Cookie: 'a' } },
    second: { headers: { Cookie: 'b' } },
    outcome: 'reused',
  },
  {
    section: '3.5',
    says: 'a Cookie beside a verified identity',
    answer: fresh,
    first: { subject: 'ann', headers: { Cookie: 'a' } },
    second: { subject: 'ann', headers: { Cookie: 'a' } },
    outcome: 'reused',
  },
  {
    section: '4.1',
    says: 'public, but varying by who calls',
    answer: { 'Cache-Control': 'public, max-age=60', Vary: 'X-Auth-Subject' },
    first: { subject: 'ann' },
    second: { subject: 'bob' },
    outcome: 'forwarded',
  },
  {
    section: '4.1',
    says: 'and the same caller',
    answer: { 'Cache-Control': 'public, max-age=60', Vary: 'X-Auth-Subject' },
    first: { subject: 'ann' },
    second: { subject: 'ann' },
    outcome: 'reused',
  },
  {
    section: '4.1',
    says: 'varying by the claims of the token',
    answer: { ...fresh, Vary: 'X-Auth-Claims' },
    first: { subject: 'ann' },
    second: { subject: 'ann', headers: { 'X-Claims': 'admin' } },
    outcome: 'forwarded',
  },
  {
    section: '4.1',
    says: 'varying by Authorization',
    answer: { 'Cache-Control': 'public, max-age=60', Vary: 'Authorization' },
    first: { subject: 'ann', headers: { Authorization: 'a' } },
    second: { subject: 'ann', headers: { Authorization: 'b' } },
    outcome: 'forwarded',
  },
  {
    section: '9213 2.2',
    says: 'CDN-Cache-Control: public',
    answer: { 'CDN-Cache-Control': 'public, max-age=60' },
    first: { subject: 'ann' },
    second: { subject: 'bob' },
    outcome: 'reused',
  },
  {
    section: '9213 2.2',
    says: 'CDN-Cache-Control that does not say so, beside public',
    answer: { 'CDN-Cache-Control': 'max-age=60', 'Cache-Control': 'public' },
    first: { subject: 'ann' },
    second: { subject: 'bob' },
    outcome: 'forwarded',
  },
];

const FRESHNESS: readonly Case[] = [
  { section: '4.2', says: 'fresh to its last second', answer: fresh, seconds: 59, outcome: 'reused' },
  {
    section: '4.2',
    says: 'stale at the end of its lifetime',
    answer: fresh,
    seconds: 60,
    outcome: 'forwarded',
  },
  {
    section: '4.2.1',
    says: 's-maxage before max-age',
    answer: { 'Cache-Control': 'max-age=60, s-maxage=10' },
    seconds: 10,
    outcome: 'forwarded',
  },
  {
    section: '4.2.1',
    says: 's-maxage longer than max-age',
    answer: { 'Cache-Control': 'max-age=10, s-maxage=60' },
    seconds: 30,
    outcome: 'reused',
  },
  {
    section: '4.2.1',
    says: 's-maxage before Expires',
    answer: { 'Cache-Control': 's-maxage=60', Expires: at(-1) },
    seconds: 30,
    outcome: 'reused',
  },
  {
    section: '4.2.1',
    says: 'max-age before Expires',
    answer: { 'Cache-Control': 'max-age=10', Expires: at(60) },
    seconds: 10,
    outcome: 'forwarded',
  },
  {
    section: '4.2.1',
    says: 'Expires less Date',
    answer: { Expires: at(60) },
    seconds: 59,
    outcome: 'reused',
  },
  {
    section: '4.2.1',
    says: 'Expires has come',
    answer: { Expires: at(60) },
    seconds: 60,
    outcome: 'forwarded',
  },
  {
    section: '4.2.1',
    says: 'Expires counted from a Date that is off',
    answer: { Expires: at(60), Date: at(50) },
    seconds: 10,
    outcome: 'forwarded',
  },
  {
    section: '4.2.1',
    says: 'max-age twice: the first',
    answer: { 'Cache-Control': 'max-age=10, max-age=60' },
    seconds: 10,
    outcome: 'forwarded',
  },
  {
    section: '4.2.1',
    says: 'max-age that is no number',
    answer: { 'Cache-Control': 'max-age=soon' },
    outcome: 'forwarded',
  },
  {
    section: '4.2.1',
    says: 'max-age with a unit',
    answer: { 'Cache-Control': 'max-age=60s' },
    outcome: 'forwarded',
  },
  {
    section: '4.2.1',
    says: 'max-age with a fraction',
    answer: { 'Cache-Control': 'max-age=60.5' },
    outcome: 'forwarded',
  },
  {
    section: '4.2.1',
    says: 'a negative max-age',
    answer: { 'Cache-Control': 'max-age=-60' },
    outcome: 'forwarded',
  },
  {
    section: '4.2.1',
    says: 'max-age without a value',
    answer: { 'Cache-Control': 'max-age' },
    outcome: 'forwarded',
  },
  {
    section: '4.2.1',
    says: 's-maxage that is no number beside a good max-age',
    answer: { 'Cache-Control': 's-maxage=x, max-age=60' },
    outcome: 'forwarded',
  },
  {
    section: '5.2',
    says: 'max-age in quotes',
    answer: { 'Cache-Control': 'max-age="60"' },
    seconds: 59,
    outcome: 'reused',
  },
  {
    section: '5.2',
    says: 'MAX-AGE',
    answer: { 'Cache-Control': 'MAX-AGE=60' },
    seconds: 59,
    outcome: 'reused',
  },
  {
    section: '5.2',
    says: 'space around directives',
    answer: { 'Cache-Control': '  max-age=60 ,  public' },
    seconds: 59,
    outcome: 'reused',
  },
  {
    section: '5.2',
    says: 'empty members',
    answer: { 'Cache-Control': ',,max-age=60,' },
    seconds: 59,
    outcome: 'reused',
  },
  {
    section: '1.2.2',
    says: 'more seconds than fit',
    answer: { 'Cache-Control': 'max-age=99999999999999999999' },
    seconds: 3600,
    outcome: 'reused',
  },
  { section: '5.2.2.1', says: 'max-age=0', answer: { 'Cache-Control': 'max-age=0' }, outcome: 'forwarded' },
  {
    section: '5.2.2.10',
    says: 's-maxage=0',
    answer: { 'Cache-Control': 'max-age=60, s-maxage=0' },
    outcome: 'forwarded',
  },
  { section: '5.3', says: 'Expires: 0', answer: { Expires: '0' }, outcome: 'forwarded' },
  { section: '5.3', says: 'Expires: -1', answer: { Expires: '-1' }, outcome: 'forwarded' },
  {
    section: '5.3',
    says: 'Expires: a year alone is no date',
    answer: { Expires: '3000' },
    outcome: 'forwarded',
  },
  {
    section: '5.3',
    says: 'Expires: an ISO date is no HTTP date',
    answer: { Expires: '2027-01-01T00:00:00Z' },
    outcome: 'forwarded',
  },
  { section: '5.3', says: 'Expires in the past', answer: { Expires: at(-60) }, outcome: 'forwarded' },
  { section: '5.3', says: 'Expires equal to Date', answer: { Expires: at(0) }, outcome: 'forwarded' },
  {
    section: '9110 5.6.7',
    says: 'Expires in RFC 850 form',
    answer: { Expires: 'Thursday, 15-Jan-26 12:01:00 GMT' },
    seconds: 59,
    outcome: 'reused',
  },
  {
    section: '9110 5.6.7',
    says: 'a year of two digits that would be 50 years ahead',
    answer: { Expires: 'Thursday, 15-Jan-99 12:01:00 GMT' },
    outcome: 'forwarded',
  },
  {
    // Date.parse alone takes it for 1974.
    section: '9110 5.6.7',
    says: 'a year of two digits that is 48 years ahead',
    answer: { Expires: 'Monday, 15-Jan-74 12:01:00 GMT' },
    seconds: 59,
    outcome: 'reused',
  },
  {
    section: '9110 5.6.7',
    says: 'Expires in asctime form',
    answer: { Expires: 'Thu Jan 15 12:01:00 2026' },
    seconds: 59,
    outcome: 'reused',
  },
  {
    section: '4.2.3',
    says: 'Age has been spent elsewhere',
    answer: { ...fresh, Age: '50' },
    seconds: 10,
    outcome: 'forwarded',
  },
  {
    section: '4.2.3',
    says: 'and less of it',
    answer: { ...fresh, Age: '50' },
    seconds: 9,
    outcome: 'reused',
    gets: { fields: { age: '59' } },
  },
  ...['7200, 0', '7200,0', '7200 , x', '99999999999'].map(
    (age): Case => ({
      section: '5.1',
      says: `Age: ${age}, of which the first counts`,
      answer: { ...fresh, Age: age },
      outcome: 'forwarded',
    }),
  ),
  {
    section: '5.1',
    says: 'two lines of Age, of which the first counts',
    answer: { ...fresh, Age: ['7200', '0'] as unknown as string },
    outcome: 'forwarded',
  },
  {
    section: '5.1',
    says: 'Age: 0, 7200',
    answer: { ...fresh, Age: '0, 7200' },
    seconds: 59,
    outcome: 'reused',
  },
  {
    section: '5.1',
    says: 'Age that is no number',
    answer: { ...fresh, Age: 'old' },
    seconds: 59,
    outcome: 'reused',
    gets: { fields: { age: '59' } },
  },
  {
    section: '5.1',
    says: 'a negative Age',
    answer: { ...fresh, Age: '-10' },
    seconds: 59,
    outcome: 'reused',
    gets: { fields: { age: '59' } },
  },
  {
    section: '5.1',
    says: 'an Age beyond its lifetime',
    answer: { ...fresh, Age: '60' },
    outcome: 'forwarded',
  },
  {
    section: '5.1',
    says: 'what is stored tells its age',
    answer: fresh,
    seconds: 42,
    outcome: 'reused',
    gets: { fields: { age: '42' } },
  },
  {
    section: '5.4',
    says: 'Pragma: no-cache in an answer',
    answer: { Pragma: 'no-cache' },
    outcome: 'forwarded',
  },
  {
    section: '5.4',
    says: 'Pragma beside Cache-Control',
    answer: { ...fresh, Pragma: 'no-cache' },
    outcome: 'reused',
  },
  {
    section: '5.2.2.2',
    says: 'must-revalidate while it is fresh',
    answer: { 'Cache-Control': 'max-age=60, must-revalidate' },
    seconds: 59,
    outcome: 'reused',
  },
  {
    section: '5.2.2.8',
    says: 'proxy-revalidate while it is fresh',
    answer: { 'Cache-Control': 'max-age=60, proxy-revalidate' },
    seconds: 59,
    outcome: 'reused',
  },
  {
    section: '5.2.2.6',
    says: 'no-transform changes nothing about caching',
    answer: { 'Cache-Control': 'max-age=60, no-transform' },
    outcome: 'reused',
  },
  {
    section: '8246 2',
    says: 'immutable gives no lifetime',
    answer: { 'Cache-Control': 'immutable, max-age=10' },
    seconds: 10,
    outcome: 'forwarded',
  },
  {
    section: '9213 2.2',
    says: 'CDN-Cache-Control before Cache-Control',
    answer: { 'CDN-Cache-Control': 'max-age=60', 'Cache-Control': 'no-store' },
    seconds: 59,
    outcome: 'reused',
  },
  {
    section: '9213 2.2',
    says: 'CDN-Cache-Control: no-store',
    answer: { 'CDN-Cache-Control': 'no-store', 'Cache-Control': 'max-age=60' },
    outcome: 'forwarded',
  },
  {
    section: '9213 2.2',
    says: 'CDN-Cache-Control before Expires',
    answer: { 'CDN-Cache-Control': 'max-age=10', Expires: at(60) },
    seconds: 10,
    outcome: 'forwarded',
  },
  {
    section: '9213 2.1',
    says: 'a CDN-Cache-Control that cannot be read',
    answer: { 'CDN-Cache-Control': 'Max Age=60', 'Cache-Control': 'max-age=10' },
    seconds: 10,
    outcome: 'forwarded',
  },
  ...[
    'max-age="10000"',
    'max-age=100.5',
    'max-age',
    'max-age=?1',
    'max-age=100, max-age="1"',
    'a=(1 2)',
    'a,',
  ].map(
    (targeted): Case => ({
      section: '9213 2.1',
      says: `CDN-Cache-Control: ${targeted} beside no-store`,
      answer: { 'CDN-Cache-Control': targeted, 'Cache-Control': 'no-store' },
      outcome: 'forwarded',
    }),
  ),
  ...[
    'max-age="1", s-maxage=60',
    'max-age=1, max-age=60',
    'max-age=60;a=b',
    'a="b, no-store", max-age=60',
  ].map(
    (targeted): Case => ({
      section: '9213 2.1',
      says: `CDN-Cache-Control: ${targeted} beside no-store`,
      answer: { 'CDN-Cache-Control': targeted, 'Cache-Control': 'no-store' },
      seconds: 59,
      outcome: 'reused',
    }),
  ),
  {
    section: '9213 2.1',
    says: 'an empty CDN-Cache-Control',
    answer: { 'CDN-Cache-Control': '', 'Cache-Control': 'max-age=60' },
    seconds: 59,
    outcome: 'reused',
  },
];

const SELECTING: readonly Case[] = [
  {
    section: '4.1',
    says: 'Vary and the same value',
    answer: { ...fresh, Vary: 'Accept' },
    first: { headers: { Accept: 'a/b' } },
    second: { headers: { Accept: 'a/b' } },
    outcome: 'reused',
  },
  {
    section: '4.1',
    says: 'Vary and another value',
    answer: { ...fresh, Vary: 'Accept' },
    first: { headers: { Accept: 'a/b' } },
    second: { headers: { Accept: 'c/d' } },
    outcome: 'forwarded',
  },
  {
    section: '4.1',
    says: 'Vary and no value',
    answer: { ...fresh, Vary: 'Accept' },
    first: { headers: { Accept: 'a/b' } },
    outcome: 'forwarded',
  },
  { section: '4.1', says: 'absent from both', answer: { ...fresh, Vary: 'Accept' }, outcome: 'reused' },
  {
    section: '4.1',
    says: 'white space around commas',
    answer: { ...fresh, Vary: 'Accept' },
    first: { headers: { Accept: 'a/b, c/d' } },
    second: { headers: { Accept: 'a/b ,c/d' } },
    outcome: 'reused',
  },
  {
    section: '4.1',
    says: 'Vary in any case',
    answer: { ...fresh, Vary: 'ACCEPT' },
    first: { headers: { accept: 'a/b' } },
    second: { headers: { Accept: 'c/d' } },
    outcome: 'forwarded',
  },
  {
    section: '4.1',
    says: 'one of two differs',
    answer: { ...fresh, Vary: 'Accept, X-Own' },
    first: { headers: { Accept: 'a/b', 'X-Own': '1' } },
    second: { headers: { Accept: 'a/b', 'X-Own': '2' } },
    outcome: 'forwarded',
  },
  {
    section: '4.1',
    says: 'another field differs',
    answer: { ...fresh, Vary: 'Accept' },
    second: { headers: { 'X-Own': '2' } },
    outcome: 'reused',
  },
  { section: '4.1', says: 'Vary: *', answer: { ...fresh, Vary: '*' }, outcome: 'forwarded' },
  {
    section: '4.1',
    says: 'Vary: * among others',
    answer: { ...fresh, Vary: 'Accept, *' },
    outcome: 'forwarded',
  },
  ...[
    'X-Forwarded-For',
    'X-Forwarded-Host',
    'Forwarded',
    'X-Request-Id',
    'X-Request-Timeout-Ms',
    'X_Request_Id',
    'X-Real-IP',
  ].map(
    (name): Case => ({
      section: '4.1',
      says: `Vary: ${name}, which the gateway sets anew each time`,
      answer: { ...fresh, Vary: name },
      outcome: 'forwarded',
    }),
  ),
  {
    section: '4.1',
    says: 'compressed variants stay apart',
    answer: { ...fresh, Vary: 'Accept-Encoding', 'Content-Encoding': 'x-own' },
    first: { headers: { 'Accept-Encoding': 'x-own' } },
    second: { headers: { 'Accept-Encoding': 'identity' } },
    outcome: 'forwarded',
  },
  {
    section: '2',
    says: 'another name for the host, for those who show no credentials',
    answer: fresh,
    first: { headers: { Host: 'a.test' } },
    second: { headers: { Host: 'b.test' } },
    outcome: 'forwarded',
  },
  ...['a.test:8080', 'a.test:80', 'A.test', ''].map(
    (Host): Case => ({
      section: '2',
      says: `another spelling of the host, as services read it: "${Host}"`,
      answer: { 'Cache-Control': 'public, max-age=60' },
      first: { headers: { Host } },
      second: { headers: { Host: 'a.test' } },
      outcome: 'forwarded',
    }),
  ),
  {
    section: '2',
    says: 'another name for the host, for one who is known',
    answer: fresh,
    first: { subject: 'ann', headers: { Host: 'a.test' } },
    second: { subject: 'ann', headers: { Host: 'b.test' } },
    outcome: 'forwarded',
  },
  ...['X-Forwarded-Port', 'X-Forwarded-Prefix', 'X-Forwarded-Proto', 'Forwarded'].map(
    (name): Case => ({
      section: '2',
      says: `another ${name}`,
      answer: { 'Cache-Control': 'public, max-age=60' },
      first: { headers: { [name]: 'evil' } },
      outcome: 'forwarded',
    }),
  ),
  ...['X-HTTP-Method-Override', 'X-HTTP-Method', 'X-Method-Override'].flatMap((name): Case[] => [
    {
      section: '2',
      says: `${name}, whose response is stored for nobody`,
      answer: { 'Cache-Control': 'public, max-age=60' },
      status: 405,
      first: { headers: { [name]: 'DELETE' } },
      outcome: 'forwarded',
    },
    {
      section: '2',
      says: `${name}, which no stored response answers`,
      answer: { 'Cache-Control': 'public, max-age=60' },
      second: { headers: { [name]: 'DELETE' } },
      outcome: 'forwarded',
    },
  ]),
  ...['/x?_method=DELETE', '/x?a=b&_method=DELETE'].map(
    (path): Case => ({
      section: '2',
      says: `another method in the query of ${path}, whose response answers nobody`,
      answer: { 'Cache-Control': 'public, max-age=60' },
      first: { path },
      second: { path },
      outcome: 'forwarded',
    }),
  ),
  {
    section: '2',
    says: 'what only ends like another method in the query',
    answer: { 'Cache-Control': 'public, max-age=60' },
    first: { path: '/_method=DELETE?my_method=DELETE' },
    second: { path: '/_method=DELETE?my_method=DELETE' },
    outcome: 'reused',
  },
  {
    section: '4.1',
    says: 'one of two lines of a field that Node joins to none differs',
    answer: { ...fresh, Vary: 'User-Agent' },
    first: { headers: { 'User-Agent': ['a', 'b'] as unknown as string } },
    second: { headers: { 'User-Agent': 'a' } },
    outcome: 'forwarded',
  },
  {
    section: '2',
    says: 'a claim to another name',
    answer: { 'Cache-Control': 'public, max-age=60' },
    first: { headers: { 'X-Forwarded-Host': 'evil.test' } },
    outcome: 'forwarded',
  },
];

const REQUEST_DIRECTIVES: readonly Case[] = [
  {
    section: '5.2.1.4',
    says: 'no-cache',
    answer: fresh,
    second: { headers: { 'Cache-Control': 'no-cache' } },
    outcome: 'forwarded',
  },
  {
    section: '5.2.1.4',
    says: 'no-cache where there is a validator',
    answer: { ...fresh, ETag: '"v1"' },
    second: { headers: { 'Cache-Control': 'no-cache' } },
    outcome: 'validated',
    gets: { status: 200, body: `1 ${BODY}` },
  },
  {
    section: '5.2.1.4',
    says: 'no-cache of a client that has it',
    answer: { ...fresh, ETag: '"v1"' },
    second: { headers: { 'Cache-Control': 'no-cache', 'If-None-Match': '"v1"' } },
    outcome: 'forwarded',
    gets: { status: 304, body: '' },
  },
  {
    section: '5.2',
    says: 'No-Cache',
    answer: fresh,
    second: { headers: { 'Cache-Control': 'No-Cache' } },
    outcome: 'forwarded',
  },
  {
    section: '5.4',
    says: 'Pragma: no-cache',
    answer: fresh,
    second: { headers: { Pragma: 'no-cache' } },
    outcome: 'forwarded',
  },
  {
    section: '5.4',
    says: 'Pragma beside Cache-Control is ignored',
    answer: fresh,
    second: { headers: { Pragma: 'no-cache', 'Cache-Control': 'max-stale' } },
    outcome: 'reused',
  },
  {
    section: '5.2.1.5',
    says: 'no-store',
    answer: fresh,
    second: { headers: { 'Cache-Control': 'no-store' } },
    outcome: 'forwarded',
  },
  {
    section: '5.2.1.1',
    says: 'max-age=0',
    answer: fresh,
    second: { headers: { 'Cache-Control': 'max-age=0' } },
    outcome: 'forwarded',
  },
  {
    section: '5.2.1.1',
    says: 'max-age it meets',
    answer: fresh,
    seconds: 5,
    second: { headers: { 'Cache-Control': 'max-age=5' } },
    outcome: 'reused',
  },
  {
    section: '5.2.1.1',
    says: 'max-age it does not',
    answer: fresh,
    seconds: 6,
    second: { headers: { 'Cache-Control': 'max-age=5' } },
    outcome: 'forwarded',
  },
  {
    section: '5.2.1.1',
    says: 'max-age that is no number',
    answer: fresh,
    second: { headers: { 'Cache-Control': 'max-age=x' } },
    outcome: 'forwarded',
  },
  {
    section: '5.2.1.3',
    says: 'min-fresh it meets',
    answer: fresh,
    seconds: 50,
    second: { headers: { 'Cache-Control': 'min-fresh=10' } },
    outcome: 'reused',
  },
  {
    section: '5.2.1.3',
    says: 'min-fresh it does not',
    answer: fresh,
    seconds: 51,
    second: { headers: { 'Cache-Control': 'min-fresh=10' } },
    outcome: 'forwarded',
  },
  {
    section: '5.2.1.2',
    says: 'max-stale without a limit',
    options: { staleIfErrorMs: 60_000 },
    answer: stale,
    seconds: 40,
    second: { headers: { 'Cache-Control': 'max-stale' } },
    outcome: 'reused',
    gets: { fields: { 'cache-status': 'gateway; hit; ttl=-30' } },
  },
  {
    section: '5.2.1.2',
    says: 'max-stale within its limit',
    options: { staleIfErrorMs: 60_000 },
    answer: stale,
    seconds: 14,
    second: { headers: { 'Cache-Control': 'max-stale=5' } },
    outcome: 'reused',
  },
  {
    section: '5.2.1.2',
    says: 'max-stale past its limit',
    options: { staleIfErrorMs: 60_000 },
    answer: stale,
    seconds: 16,
    second: { headers: { 'Cache-Control': 'max-stale=5' } },
    outcome: 'forwarded',
  },
  {
    section: '5.2.2.2',
    says: 'must-revalidate forbids max-stale',
    options: { staleIfErrorMs: 60_000 },
    answer: { 'Cache-Control': 'max-age=10, must-revalidate', ETag: '"v1"' },
    seconds: 12,
    second: { headers: { 'Cache-Control': 'max-stale' } },
    outcome: 'validated',
  },
  {
    section: '5.2.2.8',
    says: 'proxy-revalidate forbids max-stale',
    options: { staleIfErrorMs: 60_000 },
    answer: { 'Cache-Control': 'max-age=10, proxy-revalidate', ETag: '"v1"' },
    seconds: 12,
    second: { headers: { 'Cache-Control': 'max-stale' } },
    outcome: 'validated',
  },
  {
    section: '5.2.2.10',
    says: 's-maxage forbids max-stale',
    options: { staleIfErrorMs: 60_000 },
    answer: { 'Cache-Control': 's-maxage=10', ETag: '"v1"' },
    seconds: 12,
    second: { headers: { 'Cache-Control': 'max-stale' } },
    outcome: 'validated',
  },
  {
    section: '5.2.1.7',
    says: 'only-if-cached, and it is',
    answer: fresh,
    second: { headers: { 'Cache-Control': 'only-if-cached' } },
    outcome: 'reused',
  },
  {
    section: '5.2.1.7',
    says: 'only-if-cached, and it is not',
    answer: { 'Cache-Control': 'no-store' },
    second: { headers: { 'Cache-Control': 'only-if-cached' } },
    outcome: 'reused',
    gets: { status: 504, body: undefined },
  },
  {
    section: '5.2.1.7',
    says: 'only-if-cached, and it is stale',
    options: { staleIfErrorMs: 60_000 },
    answer: stale,
    seconds: 20,
    second: { headers: { 'Cache-Control': 'only-if-cached' } },
    outcome: 'reused',
    gets: { status: 504, body: undefined },
  },
  {
    section: '5.2.1.7',
    says: 'only-if-cached with max-stale',
    options: { staleIfErrorMs: 60_000 },
    answer: stale,
    seconds: 20,
    second: { headers: { 'Cache-Control': 'only-if-cached, max-stale' } },
    outcome: 'reused',
  },
];

const VALIDATING: readonly Case[] = [
  { section: '4.3.1', says: 'a stale answer with ETag', answer: tagged, seconds: 10, outcome: 'validated' },
  {
    section: '4.3.1',
    says: 'a stale answer with Last-Modified',
    answer: dated,
    seconds: 10,
    outcome: 'validated',
  },
  { section: '4.3.1', says: 'a stale answer with neither', answer: stale, seconds: 10, outcome: 'forwarded' },
  {
    section: '4.3.1',
    says: 'a weak ETag',
    answer: { ...stale, ETag: 'W/"v1"' },
    seconds: 10,
    outcome: 'validated',
  },
  {
    section: '5.2.2.4',
    says: 'no-cache in an answer with ETag',
    answer: { 'Cache-Control': 'no-cache', ETag: '"v1"' },
    outcome: 'validated',
  },
  {
    section: '5.2.2.4',
    says: 'no-cache although max-age',
    answer: { 'Cache-Control': 'no-cache, max-age=60', ETag: '"v1"' },
    outcome: 'validated',
  },
  {
    section: '5.2.2.4',
    says: 'no-cache with field names counts as no-cache',
    answer: { 'Cache-Control': 'max-age=60, no-cache="x-a"', ETag: '"v1"' },
    outcome: 'validated',
  },
  {
    section: '5.2.2.4',
    says: 'no-cache without a validator',
    answer: { 'Cache-Control': 'no-cache' },
    outcome: 'forwarded',
  },
  {
    section: '4.3.3',
    says: 'a 304 gives what is stored',
    answer: tagged,
    seconds: 10,
    outcome: 'validated',
    gets: { status: 200, body: `1 ${BODY}` },
  },
  {
    section: '4.3.4',
    says: 'with the fields of the 304',
    answer: { ...tagged, 'X-Own': 'old' },
    seconds: 10,
    later: { status: 304, answer: { ...tagged, 'X-Own': 'new', 'X-Added': 'yes' } },
    outcome: 'validated',
    gets: { fields: { 'x-own': 'new', 'x-added': 'yes' } },
  },
  {
    section: '4.3.4',
    says: 'a 304 that says public does not give away what was stored for one',
    answer: tagged,
    first: { subject: 'ann' },
    secondsBefore: 10,
    between: { subject: 'ann' },
    later: { status: 304, answer: { ...tagged, 'Cache-Control': 'public, max-age=60' } },
    third: { status: 200 },
    second: { subject: 'bob' },
    outcome: 'forwarded',
    gets: { status: 200, body: `3 ${BODY}` },
  },
  {
    section: '4.3.4',
    says: 'and goes on being given to that one',
    answer: tagged,
    first: { subject: 'ann' },
    secondsBefore: 10,
    between: { subject: 'ann' },
    later: { status: 304, answer: { ...tagged, 'Cache-Control': 'public, max-age=60' } },
    second: { subject: 'ann' },
    outcome: 'reused',
    gets: { status: 200, body: `1 ${BODY}` },
  },
  {
    section: '4.3.4',
    says: 'a 304 with a shorter Vary does not give a variant to others',
    answer: { ...tagged, Vary: 'Accept-Language' },
    first: { headers: { 'Accept-Language': 'en' } },
    secondsBefore: 10,
    between: { headers: { 'Accept-Language': 'en' } },
    later: { status: 304, answer: { ...tagged, 'Cache-Control': 'max-age=60', Vary: 'Accept' } },
    third: { status: 200 },
    second: { headers: { 'Accept-Language': 'de' } },
    outcome: 'forwarded',
    gets: { status: 200, body: `3 ${BODY}` },
  },
  {
    section: '4.3.5',
    says: 'nor does a HEAD with a shorter Vary',
    answer: { ...tagged, Vary: 'Accept-Language' },
    first: { headers: { 'Accept-Language': 'en' } },
    secondsBefore: 10,
    between: { method: 'HEAD', headers: { 'Accept-Language': 'en' } },
    later: { status: 200, answer: { ...tagged, 'Cache-Control': 'max-age=60', Vary: 'Accept' } },
    third: { status: 200 },
    second: { headers: { 'Accept-Language': 'de' } },
    outcome: 'forwarded',
    gets: { status: 200, body: `3 ${BODY}` },
  },
  {
    section: '3.2',
    says: 'but not with its account of content',
    answer: { ...tagged, 'Content-Type': 'text/old' },
    seconds: 10,
    later: { status: 304, answer: { ...tagged, 'Content-Type': 'text/new' } },
    outcome: 'validated',
    gets: { fields: { 'content-type': 'text/old' } },
  },
  {
    section: '4.3.3',
    says: 'a 200 takes its place',
    answer: tagged,
    seconds: 10,
    later: { status: 200, answer: { ...tagged, ETag: '"v2"' } },
    outcome: 'validated',
    gets: { status: 200, body: `2 ${BODY}` },
  },
  {
    section: '4.3.3',
    says: 'a 5xx is passed on where nothing allows the stale answer',
    answer: { ...tagged, 'Cache-Control': 'max-age=10, must-revalidate' },
    seconds: 10,
    later: { status: 503 },
    options: { staleIfErrorMs: 60_000 },
    outcome: 'validated',
    gets: { status: 503 },
  },
  {
    section: '4.3.4',
    says: 'a 304 that speaks of another representation is not believed',
    answer: tagged,
    seconds: 10,
    later: { status: 304, answer: { ETag: '"v9"' } },
    outcome: 'validated',
    gets: { status: 304, body: '' },
  },
];

/** A HEAD that is forwarded after 15 seconds, whose answer is `later`; then a GET. */
function heading(says: string, row: Omit<Case, 'section' | 'says'>): Case {
  const between = { method: 'HEAD', headers: { 'Cache-Control': 'no-cache' } };
  return { section: '4.3.5', says, secondsBefore: 15, between, seconds: 5, ...row };
}

const shared = { 'Cache-Control': 'public, max-age=60', ETag: '"v1"' };

const HEADING: readonly Case[] = [
  heading('a HEAD that shows the same ETag refreshes a stale GET', {
    answer: tagged,
    later: { status: 200, answer: tagged },
    outcome: 'reused',
    gets: { status: 200, body: `1 ${BODY}`, fields: { age: '5' } },
  }),
  heading('and the same Last-Modified', {
    answer: dated,
    later: { status: 200, answer: dated },
    outcome: 'reused',
    gets: { body: `1 ${BODY}` },
  }),
  heading('for no longer than the HEAD says', {
    answer: tagged,
    later: { status: 200, answer: tagged },
    seconds: 10,
    outcome: 'validated',
  }),
  heading('its fields take the place of those stored', {
    answer: { ...tagged, 'X-Colour': 'red', 'X-Shape': 'round' },
    later: { status: 200, answer: { ...tagged, 'X-Colour': 'blue' } },
    outcome: 'reused',
    gets: { fields: { 'x-colour': 'blue', 'x-shape': 'round' } },
  }),
  heading('the same length as what is stored', {
    answer: tagged,
    later: { status: 200, answer: { ...tagged, 'Content-Length': '12' } },
    outcome: 'reused',
    gets: { body: `1 ${BODY}` },
  }),
  heading('another ETag makes a fresh GET stale', {
    answer: { ...fresh, ETag: '"v1"' },
    later: { status: 200, answer: { ...fresh, ETag: '"v2"' } },
    outcome: 'validated',
    gets: { body: `3 ${BODY}` },
  }),
  heading('a weak ETag is not the strong one', {
    answer: { ...fresh, ETag: '"v1"' },
    later: { status: 200, answer: { ...fresh, ETag: 'W/"v1"' } },
    outcome: 'validated',
  }),
  heading('another Last-Modified does', {
    answer: { ...fresh, 'Last-Modified': at(-3600) },
    later: { status: 200, answer: { ...fresh, 'Last-Modified': at(10) } },
    outcome: 'validated',
    gets: { body: `3 ${BODY}` },
  }),
  heading('another Last-Modified beside the same ETag', {
    answer: { ...fresh, ETag: '"v1"', 'Last-Modified': at(-3600) },
    later: { status: 200, answer: { ...fresh, ETag: '"v1"', 'Last-Modified': at(10) } },
    outcome: 'validated',
  }),
  heading('another length beside the same ETag', {
    answer: { ...fresh, ETag: '"v1"' },
    later: { status: 200, answer: { ...fresh, ETag: '"v1"', 'Content-Length': '13' } },
    outcome: 'validated',
  }),
  heading('another length alone, and there is nothing to validate by', {
    answer: fresh,
    later: { status: 200, answer: { ...fresh, 'Content-Length': '13' } },
    third: { status: 200, answer: fresh },
    outcome: 'forwarded',
    gets: { body: `3 ${BODY}` },
  }),
  heading('a validator where none is stored', {
    answer: fresh,
    later: { status: 200, answer: { ...fresh, ETag: '"v1"' } },
    outcome: 'forwarded',
  }),
  heading('what is known to be outdated is not served while it is asked for anew', {
    answer: { 'Cache-Control': 'max-age=60, stale-while-revalidate=60', ETag: '"v1"' },
    later: { status: 200, answer: { ...fresh, ETag: '"v2"' } },
    outcome: 'validated',
    gets: { body: `3 ${BODY}` },
  }),
  heading('it may stand in for an error still', {
    answer: { ...fresh, ETag: '"v1"' },
    options: { staleIfErrorMs: 20_000 },
    later: { status: 200, answer: { ...fresh, ETag: '"v2"' } },
    third: { status: 503 },
    outcome: 'validated',
    gets: { status: 200, body: `1 ${BODY}` },
  }),
  heading('without a validator nothing is known: a fresh GET stays fresh', {
    answer: fresh,
    later: { status: 200, answer: fresh },
    outcome: 'reused',
    gets: { fields: { age: '20' } },
  }),
  heading('and a stale one stale: HEADs alone keep nothing alive', {
    answer: stale,
    options: { staleIfErrorMs: 60_000 },
    later: { status: 200, answer: stale },
    outcome: 'forwarded',
    gets: { body: `3 ${BODY}` },
  }),
  ...[204, 301, 304, 404, 500, 503].map((status) =>
    heading(`a ${status} tells nothing of the stored GET`, {
      answer: { ...fresh, ETag: '"v1"' },
      later: { status, answer: { ...fresh, ETag: '"v2"' } },
      outcome: 'reused',
      gets: { body: `1 ${BODY}` },
    }),
  ),
  heading('no-store: what is stored must not be used any more', {
    answer: { ...fresh, ETag: '"v1"' },
    later: { status: 200, answer: { 'Cache-Control': 'no-store', ETag: '"v1"' } },
    outcome: 'validated',
  }),
  heading("a HEAD does not refresh another's", {
    answer: tagged,
    first: { subject: 'ann' },
    between: { method: 'HEAD', subject: 'bob' },
    later: { status: 200, answer: tagged },
    second: { subject: 'ann' },
    outcome: 'validated',
  }),
  heading("nor makes another's stale", {
    answer: { ...fresh, ETag: '"v1"' },
    first: { subject: 'ann' },
    between: { method: 'HEAD', subject: 'bob', headers: { 'Cache-Control': 'no-cache' } },
    later: { status: 200, answer: { ...fresh, ETag: '"v2"' } },
    second: { subject: 'ann' },
    outcome: 'reused',
  }),
  heading("public on a HEAD does not give one's answer to others", {
    answer: tagged,
    first: { subject: 'ann' },
    between: { method: 'HEAD', subject: 'ann' },
    later: { status: 200, answer: shared },
    second: { subject: 'bob' },
    outcome: 'forwarded',
    gets: { body: `3 ${BODY}` },
  }),
  heading("a HEAD that is not public puts nothing of its sender's into what is", {
    answer: shared,
    first: { subject: 'ann' },
    between: { method: 'HEAD', subject: 'ann', headers: { 'Cache-Control': 'no-cache' } },
    later: { status: 200, answer: { ETag: '"v1"', 'X-Name': 'Ann' } },
    second: { subject: 'bob' },
    outcome: 'validated',
    gets: { body: `3 ${BODY}` },
  }),
  heading('a HEAD that is public refreshes what is', {
    answer: { 'Cache-Control': 'public, max-age=10', ETag: '"v1"' },
    first: { subject: 'ann' },
    between: { method: 'HEAD', subject: 'bob' },
    later: { status: 200, answer: shared },
    second: { subject: 'ann' },
    outcome: 'reused',
    gets: { body: `1 ${BODY}` },
  }),
  heading('a HEAD for another variant says nothing of this one', {
    answer: { ...fresh, ETag: '"v1"', Vary: 'Accept-Language' },
    first: { headers: { 'Accept-Language': 'en' } },
    between: { method: 'HEAD', headers: { 'Accept-Language': 'de', 'Cache-Control': 'no-cache' } },
    later: { status: 200, answer: { ...fresh, ETag: '"v2"', Vary: 'Accept-Language' } },
    second: { headers: { 'Accept-Language': 'en' } },
    outcome: 'reused',
  }),
];

const CONDITIONAL: readonly Case[] = [
  {
    section: '4.3.2',
    says: 'If-None-Match that matches',
    answer: { ...fresh, ETag: '"v1"' },
    second: { headers: { 'If-None-Match': '"v1"' } },
    outcome: 'reused',
    gets: { status: 304, body: '', fields: { etag: '"v1"' } },
  },
  {
    section: '4.3.2',
    says: 'If-None-Match that does not',
    answer: { ...fresh, ETag: '"v1"' },
    second: { headers: { 'If-None-Match': '"v2"' } },
    outcome: 'reused',
    gets: { status: 200 },
  },
  {
    section: '4.3.2',
    says: 'one of a list',
    answer: { ...fresh, ETag: '"v1"' },
    second: { headers: { 'If-None-Match': '"a,b", "v1"' } },
    outcome: 'reused',
    gets: { status: 304, body: '' },
  },
  {
    section: '9110 13.1.2',
    says: 'weak comparison',
    answer: { ...fresh, ETag: '"v1"' },
    second: { headers: { 'If-None-Match': 'W/"v1"' } },
    outcome: 'reused',
    gets: { status: 304, body: '' },
  },
  {
    section: '9110 13.1.2',
    says: '*',
    answer: fresh,
    second: { headers: { 'If-None-Match': '*' } },
    outcome: 'reused',
    gets: { status: 304, body: '' },
  },
  {
    section: '9110 13.1.2',
    says: 'If-None-Match without a stored ETag',
    answer: fresh,
    second: { headers: { 'If-None-Match': '"v1"' } },
    outcome: 'reused',
    gets: { status: 200 },
  },
  {
    section: '9110 13.1.3',
    says: 'If-Modified-Since at Last-Modified',
    answer: { ...fresh, 'Last-Modified': at(-60) },
    second: { headers: { 'If-Modified-Since': at(-60) } },
    outcome: 'reused',
    gets: { status: 304, body: '' },
  },
  {
    section: '9110 13.1.3',
    says: 'If-Modified-Since before it',
    answer: { ...fresh, 'Last-Modified': at(-60) },
    second: { headers: { 'If-Modified-Since': at(-61) } },
    outcome: 'reused',
    gets: { status: 200 },
  },
  {
    section: '9110 13.1.3',
    says: 'ignored beside If-None-Match',
    answer: { ...fresh, ETag: '"v1"', 'Last-Modified': at(-60) },
    second: { headers: { 'If-None-Match': '"v2"', 'If-Modified-Since': at(0) } },
    outcome: 'reused',
    gets: { status: 200 },
  },
  {
    section: '9110 13.1.3',
    says: 'that is no date',
    answer: { ...fresh, 'Last-Modified': at(-60) },
    second: { headers: { 'If-Modified-Since': 'yesterday' } },
    outcome: 'reused',
    gets: { status: 200 },
  },
  {
    section: '4.3.2',
    says: 'If-Modified-Since against Date where there is no Last-Modified',
    answer: { ...fresh, Date: at(0) },
    second: { headers: { 'If-Modified-Since': at(0) } },
    outcome: 'reused',
    gets: { status: 304, body: '' },
  },
  {
    section: '9110 13.2.1',
    says: 'a stored 404 is given whatever the condition',
    status: 404,
    answer: { ...fresh, ETag: '"v1"' },
    second: { headers: { 'If-None-Match': '"v1"' } },
    outcome: 'reused',
    gets: { status: 404 },
  },
  {
    section: '4.3.2',
    says: 'If-Match is for the service',
    answer: { ...fresh, ETag: '"v1"' },
    second: { headers: { 'If-Match': '"v1"' } },
    outcome: 'forwarded',
  },
  {
    section: '4.3.2',
    says: 'If-Unmodified-Since is for the service',
    answer: { ...fresh, 'Last-Modified': at(-60) },
    second: { headers: { 'If-Unmodified-Since': at(0) } },
    outcome: 'forwarded',
  },
  {
    section: '4.3.1',
    says: 'the first to ask has it already',
    answer: { ...fresh, ETag: '"v1"' },
    first: { headers: { 'If-None-Match': '"v1"' } },
    outcome: 'reused',
    gets: { status: 200, body: `1 ${BODY}` },
  },
  {
    section: '9110 15.4.5',
    says: 'a 304 has no account of content',
    answer: { ...fresh, ETag: '"v1"', 'Content-Type': 'a/b' },
    second: { headers: { 'If-None-Match': '"v1"' } },
    outcome: 'reused',
    gets: { status: 304, body: '', fields: { 'content-type': 'none', 'cache-control': 'max-age=60' } },
  },
  {
    section: '4.3.5',
    says: 'HEAD from a stored GET',
    answer: fresh,
    second: { method: 'HEAD' },
    outcome: 'reused',
    gets: { status: 200, body: '', fields: { 'content-length': '12' } },
  },
  {
    section: '4.3.5',
    says: 'HEAD with If-None-Match',
    answer: { ...fresh, ETag: '"v1"' },
    second: { method: 'HEAD', headers: { 'If-None-Match': '"v1"' } },
    outcome: 'reused',
    gets: { status: 304, body: '' },
  },
  {
    section: '4.3.5',
    says: 'HEAD when it is stale',
    answer: stale,
    seconds: 10,
    second: { method: 'HEAD' },
    outcome: 'forwarded',
    gets: { body: '' },
  },
];

const RANGES: readonly Case[] = (
  [
    ['bytes=0-3', 206, '1 01', 'bytes 0-3/12'],
    ['bytes=2-', 206, BODY, 'bytes 2-11/12'],
    ['bytes=-3', 206, '789', 'bytes 9-11/12'],
    ['bytes=-99', 206, `1 ${BODY}`, 'bytes 0-11/12'],
    ['bytes=10-99', 206, '89', 'bytes 10-11/12'],
    ['bytes=11-11', 206, '9', 'bytes 11-11/12'],
    ['bytes=12-', 416, '', 'bytes */12'],
    ['bytes=-0', 416, '', 'bytes */12'],
    ['bytes=3-2', 200, `1 ${BODY}`, 'none'],
    ['bytes=0-1,3-4', 200, `1 ${BODY}`, 'none'],
    ['lines=0-1', 200, `1 ${BODY}`, 'none'],
    ['bytes=x-', 200, `1 ${BODY}`, 'none'],
    ['bytes=-', 200, `1 ${BODY}`, 'none'],
    ['BYTES=0-3', 206, '1 01', 'bytes 0-3/12'],
  ] as const
).map(([range, status, body, contentRange]) => ({
  section: '9110 14.2',
  says: `Range: ${range}`,
  answer: fresh,
  second: { headers: { Range: range } },
  outcome: 'reused',
  gets: { status, body, fields: { 'content-range': contentRange } },
}));

const IF_RANGE: readonly Case[] = [
  {
    section: '9110 13.1.5',
    says: 'If-Range with the ETag',
    answer: { ...fresh, ETag: '"v1"' },
    second: { headers: { Range: 'bytes=0-0', 'If-Range': '"v1"' } },
    outcome: 'reused',
    gets: { status: 206, body: '1' },
  },
  {
    section: '9110 13.1.5',
    says: 'If-Range with another',
    answer: { ...fresh, ETag: '"v1"' },
    second: { headers: { Range: 'bytes=0-0', 'If-Range': '"v2"' } },
    outcome: 'reused',
    gets: { status: 200 },
  },
  {
    section: '9110 13.1.5',
    says: 'If-Range with a weak ETag',
    answer: { ...fresh, ETag: 'W/"v1"' },
    second: { headers: { Range: 'bytes=0-0', 'If-Range': 'W/"v1"' } },
    outcome: 'reused',
    gets: { status: 200 },
  },
  {
    section: '9110 13.1.5',
    says: 'If-Range with a date that is strong',
    answer: { ...fresh, 'Last-Modified': at(-3600) },
    second: { headers: { Range: 'bytes=0-0', 'If-Range': at(-3600) } },
    outcome: 'reused',
    gets: { status: 206, body: '1' },
  },
  {
    section: '9110 8.8.2.2',
    says: 'If-Range with a date that is a second before the response, which is strong',
    answer: { ...fresh, 'Last-Modified': at(-1) },
    second: { headers: { Range: 'bytes=0-0', 'If-Range': at(-1) } },
    outcome: 'reused',
    gets: { status: 206, body: '1' },
  },
  {
    section: '9110 8.8.2.2',
    says: 'If-Range with a date of the second of the response, which is weak',
    answer: { ...fresh, 'Last-Modified': at(0) },
    second: { headers: { Range: 'bytes=0-0', 'If-Range': at(0) } },
    outcome: 'reused',
    gets: { status: 200 },
  },
  {
    section: '9110 14.2',
    says: 'a range of HEAD',
    answer: fresh,
    second: { method: 'HEAD', headers: { Range: 'bytes=0-0' } },
    outcome: 'reused',
    gets: { status: 200, body: '' },
  },
  {
    section: '9110 13.2.2',
    says: 'If-None-Match before Range',
    answer: { ...fresh, ETag: '"v1"' },
    second: { headers: { Range: 'bytes=0-0', 'If-None-Match': '"v1"' } },
    outcome: 'reused',
    gets: { status: 304, body: '' },
  },
  {
    section: '3.4',
    says: 'a range of what is not stored is not stored either',
    status: 206,
    answer: { ...fresh, 'Content-Range': 'bytes 0-11/99' },
    first: { headers: { Range: 'bytes=0-11' } },
    outcome: 'forwarded',
  },
];

const INVALIDATING: readonly Case[] = [
  ...['POST', 'PUT', 'DELETE', 'PATCH', 'UNLOCK'].map(
    (method): Case => ({
      section: '4.4',
      says: `${method} makes what is stored void`,
      answer: fresh,
      between: { method },
      outcome: 'forwarded',
    }),
  ),
  ...['HEAD', 'OPTIONS', 'TRACE'].map(
    (method): Case => ({
      section: '4.4',
      says: `${method} is safe`,
      answer: fresh,
      between: { method },
      outcome: 'reused',
    }),
  ),
  ...[400, 404, 409, 500].map(
    (status): Case => ({
      section: '4.4',
      says: `a POST that ends in ${status} changes nothing`,
      answer: fresh,
      between: { method: 'POST' },
      later: { status },
      outcome: 'reused',
    }),
  ),
  ...[201, 204, 303].map(
    (status): Case => ({
      section: '4.4',
      says: `a POST that ends in ${status}`,
      answer: fresh,
      between: { method: 'POST' },
      later: { status },
      outcome: 'forwarded',
    }),
  ),
  {
    section: '4.4',
    says: 'by somebody else',
    answer: fresh,
    first: { subject: 'ann' },
    between: { method: 'POST', subject: 'bob' },
    second: { subject: 'ann' },
    outcome: 'forwarded',
  },
];

const STALE: readonly Case[] = [
  {
    section: '5861 3',
    says: 'stale-while-revalidate',
    answer: { 'Cache-Control': 'max-age=10, stale-while-revalidate=20' },
    seconds: 29,
    outcome: 'forwarded',
    gets: { body: `1 ${BODY}`, fields: { 'cache-status': 'gateway; hit; ttl=-19' } },
  },
  {
    section: '5861 3',
    says: 'with a validator',
    answer: { 'Cache-Control': 'max-age=10, stale-while-revalidate=20', ETag: '"v1"' },
    seconds: 29,
    outcome: 'validated',
    gets: { body: `1 ${BODY}`, fields: { 'cache-status': 'gateway; hit; ttl=-19' } },
  },
  {
    section: '5861 3',
    says: 'past its end',
    answer: { 'Cache-Control': 'max-age=10, stale-while-revalidate=20' },
    seconds: 30,
    outcome: 'forwarded',
    gets: { body: `2 ${BODY}` },
  },
  {
    section: '5.2.2.2',
    says: 'must-revalidate forbids it',
    answer: { 'Cache-Control': 'max-age=10, stale-while-revalidate=20, must-revalidate' },
    seconds: 15,
    outcome: 'forwarded',
    gets: { body: `2 ${BODY}` },
  },
  ...[500, 502, 503, 504].map(
    (status): Case => ({
      section: '5861 4',
      says: `stale-if-error and ${status}`,
      answer: { 'Cache-Control': 'max-age=10, stale-if-error=20' },
      seconds: 29,
      later: { status },
      outcome: 'forwarded',
      gets: {
        status: 200,
        body: `1 ${BODY}`,
        fields: {
          'cache-status': `gateway; fwd=stale; fwd-status=${status}; ttl=-19; detail=stale-if-error`,
        },
      },
    }),
  ),
  {
    section: '5861 4',
    says: 'past its end',
    answer: { 'Cache-Control': 'max-age=10, stale-if-error=20' },
    seconds: 30,
    later: { status: 503 },
    outcome: 'forwarded',
    gets: { status: 503 },
  },
  {
    section: '5861 4',
    says: 'stale-if-error and 404, which is no error of the service',
    answer: { 'Cache-Control': 'max-age=10, stale-if-error=20' },
    seconds: 15,
    later: { status: 404 },
    outcome: 'forwarded',
    gets: { status: 404 },
  },
  {
    section: '4.2.4',
    says: 'the gateway may allow it',
    answer: stale,
    options: { staleIfErrorMs: 20_000 },
    seconds: 29,
    later: { status: 503 },
    outcome: 'forwarded',
    gets: { status: 200, body: `1 ${BODY}` },
  },
  {
    section: '5.2.2.2',
    says: 'but not against must-revalidate',
    answer: { 'Cache-Control': 'max-age=10, must-revalidate' },
    options: { staleIfErrorMs: 20_000 },
    seconds: 15,
    later: { status: 503 },
    outcome: 'forwarded',
    gets: { status: 503 },
  },
  {
    section: '5.2.2.10',
    says: 'nor against s-maxage',
    answer: { 'Cache-Control': 's-maxage=10' },
    options: { staleIfErrorMs: 20_000 },
    seconds: 15,
    later: { status: 503 },
    outcome: 'forwarded',
    gets: { status: 503 },
  },
  {
    section: '5.2.2.10',
    says: 'except where the answer itself says how long',
    answer: { 'Cache-Control': 's-maxage=10, stale-if-error=20' },
    seconds: 15,
    later: { status: 503 },
    outcome: 'forwarded',
    gets: { status: 200, body: `1 ${BODY}` },
  },
];

const GROUPS: Readonly<Record<string, readonly Case[]>> = {
  'what is stored': STORING,
  'whose answer it is': CREDENTIALS,
  'how long it is fresh': FRESHNESS,
  'for which requests it is': SELECTING,
  'what a request may ask for': REQUEST_DIRECTIVES,
  validation: VALIDATING,
  'what a HEAD tells': HEADING,
  'conditional requests': CONDITIONAL,
  ranges: [...RANGES, ...IF_RANGE],
  invalidation: INVALIDATING,
  'stale answers': STALE,
};

it('is a table of at least 150 cases', () => {
  expect(Object.values(GROUPS).flat().length).toBeGreaterThanOrEqual(150);
});

describe.each(Object.entries(GROUPS))('RFC 9111: %s', (_group, cases) => {
  it.each(cases)('$section: $says', async (row) => {
    const world = await startWorld(row);
    await using app = world.app;
    await tolerant(ask(app.url, row.first));
    world.clock.advance((row.secondsBefore ?? 0) * 1000);
    if (row.between) await ask(app.url, row.between);
    world.clock.advance((row.seconds ?? 0) * 1000);
    const before = world.seen.length;
    const answer = await tolerant(ask(app.url, row.second));
    expect(outcome(world.seen.slice(before), row)).toBe(row.outcome);
    if (row.gets) expectAnswer(answer, row.gets);
  });
});

/** The service answers `<number of the call> 0123456789`, or 304 to a validator it has given. */
async function startWorld({ answer = {}, status = 200, later, third = later, options }: Case) {
  const clock = new ManualClock(NOW_MS);
  const seen: Fields[] = [];
  const origin: RequestHandler = (req, res) => {
    seen.push(req.headers as Fields);
    const isLater = seen.length > 1;
    const isKnown = isLater && later === undefined && hasValidator(req.headers as Fields, answer);
    const saidLater = seen.length > 2 ? third : later;
    const said = isLater && saidLater ? saidLater : { status: isKnown ? 304 : status, answer };
    res.writeHead(said.status, { Date: new Date(clock.now()).toUTCString(), ...said.answer });
    res.end(said.status === 304 ? undefined : `${seen.length} ${BODY}`);
  };
  const identifies: RequestHandler = (req, res, next) => {
    const subject = req.headers['x-subject'];
    const claims = String(req.headers['x-claims']);
    if (typeof subject === 'string') exchangeOf(res).identity = { subject, key: subject, claims };
    next();
  };
  const handler = cache({
    store: memoryStore(clock),
    origin: asOrigin(origin),
    defaultTtlMs: DEFAULT_TTL_SECONDS * 1000,
    maxBodyBytes: 1_000,
    clock,
    ...options,
  });
  return { app: await bareApp([identifies, handler]), clock, seen };
}

function ask(
  url: URL,
  { method = 'GET', path, headers = {}, subject, body }: Ask = {},
): Promise<CallResponse> {
  return call(url, { method, path, body, headers: { ...headers, ...(subject && { 'X-Subject': subject }) } });
}

/** An answer that breaks off is none. */
function tolerant(answer: Promise<CallResponse>): Promise<CallResponse | undefined> {
  return answer.catch(() => undefined);
}

function hasValidator(request: Fields, { ETag, 'Last-Modified': modified }: Fields): boolean {
  const noneMatch = request['if-none-match'];
  if (noneMatch !== undefined) return noneMatch === ETag;
  return modified !== undefined && request['if-modified-since'] === modified;
}

function outcome(calls: readonly Fields[], { second }: Case): Outcome {
  const [asked] = calls;
  if (!asked) return 'reused';
  const names = ['if-none-match', 'if-modified-since'];
  const own = new Set(Object.keys(second?.headers ?? {}).map((name) => name.toLowerCase()));
  return names.some((name) => name in asked && !own.has(name)) ? 'validated' : 'forwarded';
}

function expectAnswer(
  answer: CallResponse | undefined,
  { status, body, fields = {} }: NonNullable<Case['gets']>,
): void {
  if (status !== undefined) expect(answer?.status).toBe(status);
  if (body !== undefined) expect(answer?.body.toString()).toBe(body);
  for (const [name, value] of Object.entries(fields)) {
    expect([name, answer?.headers[name] ?? 'none']).toEqual([name, value]);
  }
}
