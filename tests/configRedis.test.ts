import { describe, expect, test } from '@jest/globals';
import { load, problemsOf } from './support/settings.ts';

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
});
