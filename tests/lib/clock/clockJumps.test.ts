import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { createClient } from 'redis';
import { CautiousTime } from '../../../lib/clock/cautiousTime.ts';
import { systemClock } from '../../../lib/clock/clock.ts';
import { openEmbeddedStore } from '../../../lib/store/embedded.ts';
import { openRedisStore } from '../../../lib/store/redis/redis.ts';
import type { Stores } from '../../../lib/store/store.ts';
import { ManualClock } from '../../support/manualClock.ts';
import { authParts, HOUR_MS, sign } from '../../support/tokens.ts';

// Real processes on a machine that may be busy.
jest.setTimeout(30_000);
const MINUTE_MS = 60_000;
const DAY_MS = 24 * HOUR_MS;

let dataDir: string;
let clock: ManualClock;
let stores: Stores;
beforeEach(() => {
  dataDir = mkdtempSync(join(tmpdir(), 'gateway-jumps-'));
  clock = new ManualClock();
  stores = openEmbeddedStore({ dataDir, clock });
});
afterEach(async () => {
  await stores.close();
  rmSync(dataDir, { recursive: true });
});

const parts = (requireActive = false) => authParts({ store: stores.tokens, clock, requireActive });
const isRevoked = async (bearing: string) => {
  const error = await parts()
    .authenticator.authenticate(bearing)
    .then(
      () => undefined,
      (thrown) => thrown.code,
    );
  return error === 'token_revoked';
};

/** The wall clock is wrong by `byMs` while `lastsMs` pass, in which the store tidies up. */
async function wrongFor(byMs: number, lastsMs: number, meanwhile = async () => {}): Promise<void> {
  clock.jump(byMs);
  await meanwhile();
  for (let passed = 0; passed < lastsMs; passed += MINUTE_MS) clock.advance(MINUTE_MS);
  clock.jump(-byMs);
}

describe('a token that was logged out, with the embedded store,', () => {
  async function loggedOut(claims: object = {}): Promise<string> {
    const bearing = sign(clock, claims);
    const { authenticator } = parts();
    await authenticator.revoke(await authenticator.authenticate(bearing));
    return bearing;
  }

  it.each([
    ['two hours for a minute', 2 * HOUR_MS, MINUTE_MS],
    ['a year for ten minutes', 365 * DAY_MS, 10 * MINUTE_MS],
  ])('stays refused after a clock that was ahead by %s', async (_name, byMs, lastsMs) => {
    const bearing = await loggedOut();
    await wrongFor(byMs, lastsMs, async () => {
      expect(await isRevoked(bearing)).toBe(false); // expired, it says
    });
    expect(await isRevoked(bearing)).toBe(true);
  });

  it('stays refused by a gateway that was started while the clock was two hours ahead', async () => {
    const bearing = await loggedOut();
    await stores.close();
    clock.jump(2 * HOUR_MS);
    stores = openEmbeddedStore({ dataDir, clock });
    clock.advance(2 * MINUTE_MS);
    clock.jump(-2 * HOUR_MS);
    expect(await isRevoked(bearing)).toBe(true);
  });

  it('stays refused when the clock is set back to when it was good', async () => {
    const bearing = await loggedOut();
    clock.advance(3 * HOUR_MS);
    clock.jump(-2.5 * HOUR_MS);
    expect(await isRevoked(bearing)).toBe(true);
  });

  it('while the clock was ahead or behind, stays refused to its end', async () => {
    const exp = Math.floor(clock.now() / 1000) + 3_600;
    for (const byMs of [50 * MINUTE_MS, -10 * DAY_MS]) {
      let bearing = '';
      await wrongFor(byMs, MINUTE_MS, async () => {
        bearing = await loggedOut({ exp, jti: String(byMs) });
      });
      clock.advance(20 * MINUTE_MS);
      expect(await isRevoked(bearing)).toBe(true);
    }
  });

  it('is forgotten in the end', async () => {
    await loggedOut();
    clock.advance(DAY_MS + HOUR_MS + 2 * MINUTE_MS);
    expect(await stores.tokens.get('blacklist:x')).toBeUndefined();
    const { DatabaseSync } = await import('node:sqlite');
    const reader = new DatabaseSync(join(dataDir, 'tokens.db'), { readOnly: true });
    expect(reader.prepare('SELECT key FROM entries').all()).toEqual([]);
    reader.close();
  });
});

it('a token that must be active is so again once the clock is right', async () => {
  const bearing = sign(clock);
  const { authenticator, registry } = parts(true);
  await registry.activate(await parts().authenticator.authenticate(bearing));
  await wrongFor(40 * MINUTE_MS, MINUTE_MS, async () => {
    await expect(authenticator.authenticate(bearing)).rejects.toMatchObject({ code: 'token_revoked' });
  });
  await expect(authenticator.authenticate(bearing)).resolves.toMatchObject({ subject: 'alice' });
});

it('what an operator has revoked stays so after a clock that was ahead by a year', async () => {
  const bearing = sign(clock);
  const { revocations } = parts();
  await revocations.add({ kind: 'subject', subject: 'alice', issuedBeforeMs: clock.now() });
  const another = await parts().authenticator.authenticate(sign(clock, { sub: 'bob' }));
  await revocations.add({ kind: 'token', token: another });
  await wrongFor(365 * DAY_MS, MINUTE_MS, async () => void (await revocations.list()));
  expect(await revocations.list()).toHaveLength(2);
  expect(await isRevoked(bearing)).toBe(true);
});

it('Redis is told to keep a logout for as long as it takes, with a clock that is ahead by less than a day', async () => {
  const url = process.env.TEST_REDIS_URL ?? '';
  const redis = await openRedisStore({ url, timeoutMs: 1_000 });
  const raw = await createClient({ url }).connect();
  const bearing = sign(clock, { jti: String(Math.random()) });
  // This gateway's clock was ahead from its start: it does not know.
  const wrong = new ManualClock(clock.now() + 50 * MINUTE_MS);
  const { authenticator } = authParts({ store: redis.tokens, clock: wrong });
  const verified = await authenticator.authenticate(bearing);
  await authenticator.revoke(verified);
  expect(Number(await raw.pTTL(`blacklist:${verified.digest}`))).toBeGreaterThan(HOUR_MS);
  await raw.close();
  await redis.close();
});

describe('CautiousTime', () => {
  const startMs = Date.UTC(2026, 0, 1);
  function setUp() {
    const manual = new ManualClock(startMs);
    const time = new CautiousTime(manual);
    const bounds = () => [time.earliestMs() - startMs, time.latestMs() - startMs];
    return { manual, bounds };
  }

  it('is the time as long as the clock does not jump', () => {
    const { manual, bounds } = setUp();
    expect(bounds()).toEqual([0, 0]);
    manual.advance(HOUR_MS);
    expect(bounds()).toEqual([HOUR_MS, HOUR_MS]);
  });

  it.each([2 * HOUR_MS, -2 * HOUR_MS])('spans a jump of %p ms for a day, then believes it', (byMs) => {
    const { manual, bounds } = setUp();
    manual.jump(byMs);
    expect(bounds()).toEqual([Math.min(0, byMs), Math.max(0, byMs)]);
    manual.advance(DAY_MS - 1);
    expect(bounds()[1] as number).toBeGreaterThan(bounds()[0] as number);
    manual.advance(1);
    bounds();
    expect(bounds()).toEqual([DAY_MS + byMs, DAY_MS + byMs]);
  });

  it('begins to wait anew with each jump', () => {
    const { manual, bounds } = setUp();
    manual.jump(HOUR_MS);
    bounds();
    manual.advance(DAY_MS - 1);
    manual.jump(HOUR_MS);
    bounds();
    manual.advance(1);
    expect(bounds()).toEqual([DAY_MS, DAY_MS + 2 * HOUR_MS]);
  });

  it('follows a clock that is set right a little at a time', () => {
    const { manual, bounds } = setUp();
    for (let n = 0; n < 20; n += 1) {
      manual.advance(HOUR_MS);
      manual.jump(500);
      bounds();
    }
    expect(bounds()).toEqual([20 * HOUR_MS + 10_000, 20 * HOUR_MS + 10_000]);
  });

  it('reads the clock of the system', () => {
    const time = new CautiousTime(systemClock);
    expect(Math.abs(time.earliestMs() - Date.now())).toBeLessThan(1_000);
  });
});
