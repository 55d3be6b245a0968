import { describe, expect, it } from '@jest/globals';
import proxyaddr from 'proxy-addr';
import { clientAddress, rateLimitKey } from '../../../lib/http/clientAddress.ts';
import { call } from '../../support/clients/client.ts';
import { bareApp } from '../../support/gateway/bareApp.ts';

describe('rateLimitKey', () => {
  it.each([
    ['192.0.2.7', '192.0.2.7'],
    ['::ffff:192.0.2.7', '192.0.2.7'],
    ['::ffff:c000:207', '192.0.2.7'],
    ['192.0.2.7:5678', '192.0.2.7'],
    ['2001:db8:1:2:3:4:5:6', '2001:db8:1:2::/64'],
    ['2001:DB8:1:2::99', '2001:db8:1:2::/64'],
    ['[2001:db8:1:2::99]:443', '2001:db8:1:2::/64'],
    ['2001:db8::1', '2001:db8:0:0::/64'],
    ['::1', '0:0:0:0::/64'],
    ['2001::', '2001:0:0:0::/64'],
  ])('counts %s as %s', (address, counted) => {
    expect(rateLimitKey(address)).toBe(counted);
  });

  it.each(['', 'unknown', '_hidden', 'x'.repeat(10_000), '1.2.3.4.5', 'fe80::1%eth0'])(
    'takes %p for nobody in particular',
    (text) => {
      expect(rateLimitKey(text)).toBe('unknown');
    },
  );
});

describe('clientAddress', () => {
  const proxies = proxyaddr.compile(['127.0.0.0/8', '10.0.0.0/8']);
  const trusts = (address: string) => proxies(address, 0);

  /** What a request from 127.0.0.1 with this X-Forwarded-For is counted as. */
  async function countedAs(forwardedFor: string | undefined, trusted = trusts): Promise<string> {
    const addressOf = clientAddress(trusted);
    await using app = await bareApp((req, res) => void res.end(addressOf(req)));
    const headers = forwardedFor === undefined ? {} : { 'X-Forwarded-For': forwardedFor };
    return String((await call(app.url, { headers })).body);
  }

  it("is the socket's, whatever the client says", async () => {
    expect(await countedAs('192.0.2.7', () => false)).toBe('127.0.0.1');
    expect(await countedAs('192.0.2.7', (address) => address === '192.0.2.7')).toBe('127.0.0.1');
  });

  it('is what a trusted proxy says', async () => {
    expect(await countedAs('192.0.2.7')).toBe('192.0.2.7');
    expect(await countedAs(undefined)).toBe('127.0.0.1');
  });

  it('is the last one that is not trusted: what the client put in front counts for nothing', async () => {
    expect(await countedAs('198.51.100.1, 192.0.2.7, 10.1.2.3')).toBe('192.0.2.7');
    expect(await countedAs('garbage, 192.0.2.7')).toBe('192.0.2.7');
  });
});
