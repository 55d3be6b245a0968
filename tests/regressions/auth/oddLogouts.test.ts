import { beforeEach, describe, expect, it } from '@jest/globals';
import { RawClient, request } from '../../support/clients/rawClient.ts';
import { bearer, STORES, startGateway, tokenFor } from '../../support/gateway/gateway.ts';
import { emptyTestRedis } from '../../support/stores/storeProbe.ts';
import { startUpstream } from '../../support/upstreams/upstream.ts';

// Services took these for a logout and said 200, and the gateway went on to let the token in.
describe.each(STORES)('with the %s store', (store) => {
  beforeEach(emptyTestRedis);

  it.each(['//auth/logout', '/auth/logout//', '/auth/LogOut', '/auth/logout;v=1', '/auth;v=1/%6CogOut/'])(
    'a logout at %s holds',
    async (path) => {
      await using upstream = await startUpstream();
      await using gateway = await startGateway({ services: { '/userManagement': [upstream] }, store });
      const { Authorization } = bearer(tokenFor('ann'));
      using client = await RawClient.to(gateway.external);
      const fields = [`Authorization: ${Authorization}`, 'Content-Length: 0'];
      client.send(request(`POST /userManagement${path}`, ...fields));
      expect((await client.answer('POST')).status).toBe(200);
      const again = await fetch(`${gateway.external}/userManagement/x`, { headers: { Authorization } });
      expect(await again.json()).toMatchObject({ status: 401, code: 'token_revoked' });
    },
  );
});
