import { execFileSync } from 'node:child_process';
import { chmodSync, chownSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { type ComposeService, readCompose } from '../support/deploy/compose.ts';
import { RedisContainer } from '../support/deploy/redisContainer.ts';

/** With everything in it that a shell, a configuration file and sed could take for something else. */
const PASSWORD = `a "word" \\n $(id) 'of' #5 %s`;

let directory: string;
beforeAll(() => {
  if (process.getuid?.() !== 0) throw new Error('This test makes namespaces: run it as root');
});
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'gateway-redis-container-'));
  chmodSync(directory, 0o755);
  for (const name of ['root', 'data']) mkdirSync(join(directory, name));
  const [user = 0, group = 0] = ['-u', '-g'].map((flag) => Number(execFileSync('id', [flag, 'redis'])));
  // As a new volume has it.
  chownSync(join(directory, 'data'), user, group);
});
afterEach(() => rmSync(directory, { recursive: true }));

describe.each(['docker-compose.yaml', 'docker-compose.swarm.yml'])('Redis of %s', (path) => {
  const { command = [], healthcheck } = readCompose(path).services.redis as ComposeService;
  const health = healthcheck?.test?.at(-1) ?? '';
  const asUser = 'REDISCLI_AUTH="$(cat /run/secrets/redis_password)" redis-cli';

  function start(password = `${PASSWORD}\n`): RedisContainer {
    const secret = join(directory, 'secret');
    writeFileSync(secret, password);
    const [root, data] = [join(directory, 'root'), join(directory, 'data')];
    return new RedisContainer({ root, data, secret, command });
  }

  it('runs without root, capabilities and a writable file system, and keeps what it was told', async () => {
    await using first = start();
    await first.untilHealthy(health);
    const status = first.proc('status');
    expect(status).not.toMatch(/^Uid:\s+0\b/m);
    expect(status).toMatch(/^CapEff:\s+0+$/m);
    expect(first.exec(`${asUser} SET revoked yes`)).toBe('OK\n');
    expect(first.exec(`${asUser} CONFIG GET appendfsync`)).toContain('always');
    expect(first.exec(`${asUser} CONFIG GET maxmemory-policy`)).toContain('noeviction');
    expect(await first.stop()).toBe(0);
    await using second = start();
    await second.untilHealthy(health);
    expect(second.exec(`${asUser} GET revoked`)).toBe('yes\n');
  }, 30_000);

  it('asks for the password, and shows it to nobody', async () => {
    await using redis = start();
    await redis.untilHealthy(health);
    expect(redis.exec('redis-cli PING 2>&1')).toContain('NOAUTH');
    expect(redis.exec('REDISCLI_AUTH=wrong redis-cli PING 2>&1')).toContain('NOAUTH');
    const shown = [
      redis.proc('cmdline'),
      redis.proc('environ'),
      redis.output,
      redis.exec(`${asUser} CONFIG GET '*'`),
    ];
    for (const text of shown) expect(text).not.toContain('word');
    expect(redis.proc('comm')).toBe('redis-server\n');
  }, 30_000);

  it('does not start without a password', async () => {
    await using redis = start('\n');
    expect(await redis.ended()).toBe(1);
    expect(redis.output).toContain('The secret redis_password is empty');
  }, 30_000);

  it('says what to do about a volume of a Redis that ran as root', async () => {
    writeFileSync(join(directory, 'data/appendonly.aof'), '');
    await using redis = start();
    expect(await redis.ended()).toBe(1);
    expect(redis.output).toContain('see "Give Redis its volume" in docs/operations.md');
    expect(readdirSync(join(directory, 'data'))).toEqual(['appendonly.aof']);
  }, 30_000);
});
