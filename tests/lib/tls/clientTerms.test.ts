import { beforeAll, describe, expect, it } from '@jest/globals';
import { type ClientFiles, clientTerms } from '../../../lib/tls/clientTerms.ts';
import {
  encrypted,
  makeAuthority,
  type TestAuthority,
  type TestCertificate,
} from '../../support/certificates.ts';

const DAY_MS = 24 * 60 * 60 * 1000;

let authority: TestAuthority;
let client: TestCertificate;
let expired: TestCertificate;
beforeAll(() => {
  authority = makeAuthority('our CA');
  client = authority.issue('gateway', { days: 20 });
  expired = authority.issue('gateway', { days: -1 });
});

const made = (files: ClientFiles, nowMs = Date.now()) => clientTerms(files, { minVersion: 'TLSv1.2', nowMs });

describe('the terms of a client', () => {
  it('need no file at all', () => {
    expect(made({}).expiresAtMs).toBeUndefined();
  });

  it('tell until when the certificate is good', () => {
    const { expiresAtMs = 0 } = made({ ca: authority.cert, ...client });
    expect(Math.abs(expiresAtMs - (Date.now() + 20 * DAY_MS))).toBeLessThan(DAY_MS);
  });

  it('take a bundle with comments, and an authority in it that has expired', () => {
    expect(() => made({ ca: `# old\n${expired.cert}\n# new\n${authority.cert}` })).not.toThrow();
  });

  it('take a certificate and its key from one file', () => {
    const both = client.cert + client.key;
    expect(made({ cert: both, key: both }).expiresAtMs).toBeDefined();
  });

  it.each<[string, () => ClientFiles, string, RegExp]>([
    ['an empty CA', () => ({ ca: '' }), 'ca', /^it is empty$/],
    ['a CA of blanks', () => ({ ca: ' \n' }), 'ca', /^it is empty$/],
    ['half a CA', () => ({ ca: half(authority.cert) }), 'ca', /breaks off in the middle/],
    ['one CA and a half', () => ({ ca: authority.cert + half(client.cert) }), 'ca', /breaks off/],
    ['a CA that is no PEM', () => ({ ca: 'hello' }), 'ca', /holds no certificate in PEM/],
    [
      'a CA with a broken line',
      () => ({ ca: authority.cert.replace(/^MII.*\n/m, 'MIIhello\n') }),
      'ca',
      /^certificate 1 in it is not one/,
    ],
    ['a key with the CA', () => ({ ca: authority.cert + authority.key }), 'ca', /holds a PRIVATE KEY/],
    [
      'an expired CA',
      () => ({ ca: expired.cert }),
      'ca',
      /^every certificate in it has expired, the last on \d{4}-/,
    ],
    ['an empty certificate', () => ({ ...client, cert: '' }), 'cert', /^it is empty$/],
    ['half a certificate', () => ({ ...client, cert: half(client.cert) }), 'cert', /breaks off/],
    ['an expired certificate', () => expired, 'cert', /^the certificate has expired on \d{4}-/],
    ["another's key", () => ({ ...client, key: authority.key }), 'key', /does not belong to the first/],
    ['an empty key', () => ({ ...client, key: '' }), 'key', /^the key is not a private key/],
    ['half a key', () => ({ ...client, key: half(client.key) }), 'key', /^the key is not a private key/],
    [
      'a key with a passphrase',
      () => ({ ...client, key: encrypted(client.key) }),
      'key',
      /^the key is encrypted/,
    ],
  ])('refuse %s', (_what, files, part, reason) => {
    let thrown: unknown;
    try {
      made(files());
    } catch (error) {
      thrown = error;
    }
    expect(thrown).toMatchObject({ part, message: expect.stringMatching(reason) });
    expect(String(thrown)).not.toContain('-----');
  });

  it('refuse a certificate whose time has not come', () => {
    expect(() => made(client, Date.now() - DAY_MS)).toThrow('the certificate is valid only from');
  });
});

/** As a writer that was stopped leaves it. */
function half(pem: string): string {
  return pem.slice(0, pem.length / 2);
}
