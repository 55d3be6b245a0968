import { describe, expect, test } from '@jest/globals';
import { load, problemsOf } from '../support/gateway/settings.ts';

describe('Redis', () => {
  const cases: { in: NodeJS.ProcessEnv; out: string | undefined }[] = [
    { in: { REDIS_PORT: '6380' }, out: undefined },
    { in: { REDIS_HOST: 'redis' }, out: 'redis://redis:6379/0' },
    { in: { REDIS_HOST: '::1', REDIS_PORT: '6380', REDIS_DB: '2' }, out: 'redis://[::1]:6380/2' },
    {
      in: { REDIS_HOST: 'redis', REDIS_PASSWORD: 'a/b@c%:#' },
      out: 'redis://:a%2Fb%40c%25%3A%23@redis:6379/0',
    },
    {
      in: { REDIS_HOST: 'r', REDIS_USERNAME: 'u', REDIS_PASSWORD_FILE: 'f' },
      out: 'redis://u:from-file@r:6379/0',
    },
    { in: { REDIS_URL: 'rediss://u:p@r:6390/4' }, out: 'rediss://u:p@r:6390/4' },
    {
      in: { REDIS_URL: 'rediss://r', REDIS_DB: '3', REDIS_PASSWORD_FILE: 'f' },
      out: 'rediss://:from-file@r/3',
    },
  ];
  test.each(cases)('$in is $out', ({ in: env, out }) => {
    expect(load(env, { f: 'from-file\n' }).redisUrl).toBe(out);
  });

  const conflicts: { in: NodeJS.ProcessEnv; out: string }[] = [
    { in: { REDIS_URL: 'redis://r', REDIS_HOST: 'r' }, out: 'REDIS_HOST and REDIS_URL are both set' },
    {
      in: { REDIS_URL: 'redis://u@r', REDIS_USERNAME: 'u' },
      out: 'REDIS_USERNAME is set and REDIS_URL holds a user',
    },
    {
      in: { REDIS_URL: 'redis://:p@r', REDIS_PASSWORD: 'p' },
      out: 'REDIS_PASSWORD is set and REDIS_URL holds',
    },
    { in: { REDIS_URL: 'redis://r/1', REDIS_DB: '2' }, out: 'REDIS_DB is "2" and REDIS_URL holds a number' },
    {
      in: { REDIS_PASSWORD: 'p', REDIS_PASSWORD_FILE: 'f' },
      out: 'REDIS_PASSWORD and REDIS_PASSWORD_FILE are both',
    },
  ];
  test.each(conflicts)('$in is refused', ({ in: env, out }) => {
    expect(problemsOf(env)).toEqual([expect.stringContaining(out)]);
  });

  test.each([
    'localhost:6379',
    'http://r',
    'redis://',
    'redis://r/db',
    'redis://:100%@r',
    'redis://r?password=x',
  ])('URL %s is refused', (url) =>
    expect(problemsOf({ REDIS_URL: url })).toEqual([expect.stringMatching(/^REDIS_URL .*: expected redis:/)]),
  );

  test.each(['true', '1', 'TRUE'])('USE_REDIS_SHARDING=%s: keys go over the nodes in REDIS_NODES', (use) => {
    const { redisUrl, redisNodes } = load({
      USE_REDIS_SHARDING: use,
      REDIS_NODES: ' redis-1:redis-node-1:6379, redis-2:10.0.0.2:6380,v6:[fd00::1]:6379,redis-node-4:6379,',
      REDIS_HOST: 'redis',
      REDIS_PASSWORD: 'a/b',
      REDIS_DB: '2',
    });
    expect(redisUrl).toBeUndefined();
    expect(redisNodes).toEqual([
      { name: 'redis-1', url: 'redis://:a%2Fb@redis-node-1:6379/2' },
      { name: 'redis-2', url: 'redis://:a%2Fb@10.0.0.2:6380/2' },
      { name: 'v6', url: 'redis://:a%2Fb@[fd00::1]:6379/2' },
      { name: 'redis-node-4:6379', url: 'redis://:a%2Fb@redis-node-4:6379/2' },
    ]);
  });

  test('without USE_REDIS_SHARDING the nodes are not used', () => {
    for (const USE_REDIS_SHARDING of ['', 'false', '0']) {
      const { redisUrl, redisNodes } = load({
        USE_REDIS_SHARDING,
        REDIS_NODES: 'a:b:1',
        REDIS_HOST: 'redis',
      });
      expect({ redisUrl, redisNodes }).toEqual({ redisUrl: 'redis://redis:6379/0', redisNodes: [] });
    }
  });

  test.each([
    [{}, 'USE_REDIS_SHARDING is true and REDIS_NODES is not set: expected the nodes, as name:host:port,...'],
    [{ REDIS_NODES: 'a:b:1', REDIS_URL: 'redis://r' }, 'USE_REDIS_SHARDING is true and REDIS_URL is set'],
    [{ REDIS_NODES: 'a' }, 'REDIS_NODES is "a": expected a comma-separated list of nodes as name:host:port'],
    [{ REDIS_NODES: 'a:b:0' }, 'REDIS_NODES is "a:b:0": expected'],
    [{ REDIS_NODES: 'a:b:65536' }, 'REDIS_NODES is "a:b:65536": expected'],
    [{ REDIS_NODES: 'a:b:c:1' }, 'REDIS_NODES is "a:b:c:1": expected'],
    [{ REDIS_NODES: 'a:fd00::1:1' }, 'REDIS_NODES is "a:fd00::1:1": expected'],
    [{ REDIS_NODES: ',' }, 'REDIS_NODES is ",": expected'],
    [{ REDIS_NODES: 'a:b:1,a:c:1' }, 'expected each name and each address once: a is there twice'],
    [{ REDIS_NODES: 'a:b:1,c:b:1' }, 'expected each name and each address once: b:1 is there twice'],
    [{ REDIS_NODES: 'redis://:hunter2@r:1' }, 'REDIS_NODES is "redis://***@r:1": expected'],
  ])('sharding with %j is refused', (env, problem) => {
    const problems = problemsOf({ USE_REDIS_SHARDING: 'true', ...env });
    expect(problems).toContainEqual(expect.stringContaining(problem));
    expect(problems.join()).not.toContain('hunter2');
  });
});
