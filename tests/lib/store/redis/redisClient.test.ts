import { expect, it } from '@jest/globals';
import { clientFor } from '../../../../lib/store/redis/redisClient.ts';

it('clients of several nodes are of one class: making one for each takes 40 ms, at each connection', () => {
  const clients = [1, 2, 3].map((node) =>
    clientFor({ url: `redis://127.0.0.1:${node}`, connectTimeoutMs: node }),
  );
  const classes = clients.map((client) => Object.getPrototypeOf(Object.getPrototypeOf(client)));
  expect(new Set(classes).size).toBe(1);
  expect(new Set(clients).size).toBe(3);
});
