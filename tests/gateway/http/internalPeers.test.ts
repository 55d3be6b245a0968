import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { internalPortNotice, isInternalPeer } from '../../../gateway/http/internalPeers.ts';
import { gatewayEnvironment } from '../../support/gateway/gateway.ts';
import { run } from '../../support/processes/command.ts';

const WITHIN_MS = 60_000;
const PROGRAM = join(import.meta.dirname, '../../support/programs/publicPeer.ts');
/** A network of its own, with the addresses behind `--` on its loopback. */
const ALONE =
  'ip link set lo up; for a in "$@"; do ip addr add "$a" dev lo nodad; done; exec "$NODE" "$PROGRAM" "$@"';

describe('peers of the internal port', () => {
  it.each([
    ['127.0.0.1', true],
    ['127.255.255.254', true],
    ['::1', true],
    ['10.0.0.1', true],
    ['172.16.0.1', true],
    ['172.31.255.255', true],
    ['192.168.255.255', true],
    ['100.64.0.1', true],
    ['100.127.255.255', true],
    ['169.254.169.254', true],
    ['fc00::1', true],
    ['fdff:ffff::1', true],
    ['fe80::1', true],
    ['fe80::1%eth0', true],
    ['::ffff:10.1.2.3', true],
    ['::ffff:127.0.0.1', true],
    ['8.8.8.8', false],
    ['::ffff:8.8.8.8', false],
    ['11.0.0.1', false],
    ['172.32.0.1', false],
    ['172.15.255.255', false],
    ['192.169.0.1', false],
    ['100.63.255.255', false],
    ['100.128.0.0', false],
    ['169.255.0.1', false],
    ['128.0.0.1', false],
    ['0.0.0.0', false],
    ['2001:db8::1', false],
    ['fe00::1', false],
    ['fec0::1', false],
    ['::', false],
    ['', false],
    [undefined, false],
    ['nonsense', false],
  ])('%s may connect: %s', (address, expected) => {
    expect(isInternalPeer([])(address)).toBe(expected);
  });

  it('may be others when the setting lists them, and only those', () => {
    const allowed = isInternalPeer(['203.0.113.0/24', '2001:db8::/32']);
    expect(['203.0.113.7', '::ffff:203.0.113.7', '2001:db8::9', '10.1.1.1'].map(allowed)).toEqual([
      true,
      true,
      true,
      true,
    ]);
    expect(['203.0.114.7', '2001:db9::9', undefined].map(allowed)).toEqual([false, false, false]);
  });
});

describe('a gateway that listens on every address', () => {
  let directory: string;
  beforeAll(() => {
    directory = mkdtempSync(join(tmpdir(), 'internal-peers-'));
  });
  afterAll(() => rmSync(directory, { recursive: true }));

  const PRIVATE = ['127.0.0.1', '10.9.8.7', '100.64.0.9', '169.254.1.1', 'fd00::7'];
  const PUBLIC = ['203.0.113.7', '2001:db8::7'];

  async function asked(env: Record<string, string>) {
    const settings = gatewayEnvironment(
      { services: { '/up': [] }, env: { INTERNAL_HOST: '::', EXTERNAL_HOST: '::', ...env } },
      directory,
    );
    const { stdout } = await run(
      'unshare',
      ['--map-root-user', '--net', 'sh', '-c', ALONE, 'sh', ...PRIVATE.slice(1), ...PUBLIC],
      {
        env: { PATH: process.env.PATH, NODE: process.execPath, PROGRAM, ...settings },
      },
    );
    const lines = stdout
      .toString()
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line));
    const { answers, refused } = lines.find((line) => 'answers' in line);
    return { answers, refused, messages: lines.map(({ message }) => String(message)) };
  }

  it(
    'serves everybody on the external port, private peers alone on the internal one, and says so',
    async () => {
      const { answers, refused, messages } = await asked({});
      const served = 'HTTP/1.1 200 OK';
      for (const address of PRIVATE.slice(1))
        expect([address, answers[address]]).toEqual([address, [served, served]]);
      for (const address of PUBLIC) expect([address, answers[address]]).toEqual([address, [served, '']]);
      expect(refused).toBe(2);
      const closed = messages.filter((message) =>
        message.startsWith('Closed a connection to the internal port'),
      );
      expect(closed).toEqual([expect.stringMatching(/203\.0\.113\.7, which is no private.*INTERNAL_ALLOW/)]);
      expect(messages.filter((message) => message.startsWith('Internal port '))).toEqual([
        expect.stringMatching(
          /^Internal port \d+ asks for no token\. It listens on every address of this machine/,
        ),
      ]);
    },
    WITHIN_MS,
  );

  it(
    'serves those whom INTERNAL_ALLOW lists',
    async () => {
      const { answers, refused } = await asked({ INTERNAL_ALLOW: '203.0.113.7, 2001:db8::/32' });
      for (const address of PUBLIC) expect(answers[address][1]).toBe('HTTP/1.1 200 OK');
      expect(refused).toBe(0);
    },
    WITHIN_MS,
  );
});

it.each([
  [{ internalHost: '::', internalAllow: [] }, /every address of this machine \(INTERNAL_HOST is ::\)/],
  [{ internalHost: '0.0.0.0', internalAllow: [] }, /every address of this machine/],
  [{ internalHost: '10.0.0.5', internalAllow: [] }, /It listens on 10\.0\.0\.5 and serves/],
  [{ internalHost: '::', internalAllow: ['203.0.113.0/24'] }, /, and 203\.0\.113\.0\/24 \(INTERNAL_ALLOW\):/],
])('the notice of %j says so', (settings, notice) => {
  expect(internalPortNotice(settings, 8001)).toMatch(notice);
  expect(internalPortNotice(settings, 8001)).toMatch(/^Internal port 8001 asks for no token/);
});
