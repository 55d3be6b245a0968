import { once } from 'node:events';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { getCACertificates, setDefaultCACertificates, type TLSSocket } from 'node:tls';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { Pool } from '../../../lib/http1/pool.ts';
import { makeCertificate } from '../../support/certificates.ts';
import { sendOver } from '../../support/clients/http1.ts';
import { ManualClock } from '../../support/manualClock.ts';

describe('an origin that speaks TLS', () => {
  const certificate = makeCertificate('origin');
  const server = createServer(certificate, (req, res) => {
    const { servername, remotePort } = req.socket as TLSSocket;
    res.end(JSON.stringify({ servername, host: req.headers.host, remotePort }));
  });
  let port = 0;

  beforeAll(async () => {
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    port = (server.address() as AddressInfo).port;
  });
  afterAll(() => {
    server.close();
    server.closeAllConnections();
  });

  const poolTo = (host: string) =>
    new Pool({ url: new URL(`https://${host}:${port}`), clock: new ManualClock(), connectTimeoutMs: 5_000 });

  it('is not believed without a certificate that is trusted', async () => {
    const pool = poolTo('127.0.0.1');
    await expect(sendOver(pool)).rejects.toMatchObject({ code: 'DEPTH_ZERO_SELF_SIGNED_CERT' });
    await pool.destroy();
  });

  it.each([
    ['127.0.0.1', false],
    ['localhost', 'localhost'],
  ])('is asked as %s, over a connection that is kept', async (host, servername) => {
    const before = getCACertificates();
    setDefaultCACertificates([certificate.cert]);
    const pool = poolTo(host);
    try {
      const first = JSON.parse((await sendOver(pool)).content);
      expect(first).toMatchObject({ servername, host: `${host}:${port}` });
      expect(JSON.parse((await sendOver(pool)).content)).toEqual(first);
    } finally {
      setDefaultCACertificates(before);
      await pool.destroy();
    }
  });
});
