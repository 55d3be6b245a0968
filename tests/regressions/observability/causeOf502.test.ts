import { describe, expect, it } from '@jest/globals';
import { startGateway } from '../../support/gateway/gateway.ts';

// A 502 said only `upstream_unreachable`, in the log as well: a wrong host name looked like a service that is down.
describe('the access line of a 502', () => {
  it('says why, while the reply does not', async () => {
    const services = { '/down': ['http://127.0.0.1:1'], '/nowhere': ['http://no-such-host.invalid:80'] };
    await using gateway = await startGateway({ services });
    for (const [path, cause] of [
      ['/down', 'ECONNREFUSED'],
      ['/nowhere', 'no-such-host.invalid'],
    ]) {
      const answer = await fetch(`${gateway.internal}/internal${path}/x`);
      expect(answer.status).toBe(502);
      expect(await answer.text()).not.toContain(cause);
      const line = gateway.logLines().find(({ service, status }) => service === path && status === 502);
      expect(line?.cause).toContain(cause);
    }
  });

  it('says nothing of what clients do wrong', async () => {
    await using gateway = await startGateway({ services: { '/down': ['http://127.0.0.1:1'] } });
    await (await fetch(`${gateway.external}/down/x`)).text();
    const line = gateway.logLines().find(({ status }) => status === 401);
    expect(line).toMatchObject({ code: 'token_missing' });
    expect(line).not.toHaveProperty('cause');
  });
});
