import { buffer } from 'node:stream/consumers';
import { describe, expect, it } from '@jest/globals';
import { Pool } from '../../../lib/http1/pool.ts';
import { answerTo, open } from '../../support/clients/client.ts';
import { sendOver } from '../../support/clients/http1.ts';
import { RESPONSES, type ResponseCase } from '../../support/clients/responsesTable.ts';
import { ManualClock } from '../../support/manualClock.ts';
import { saysAndCloses, startRawUpstream } from '../../support/upstreams/upstream.ts';

/** Node wants nothing behind an interim answer that speaks of closing; we do not keep the connection. */
const NODE_REFUSES = /103 that closes/;

const GOOD: readonly ResponseCase[] = Object.values(RESPONSES)
  .flat()
  .filter(([what, , told]) => /end(?: \[.*\])?$/.test(told) && !NODE_REFUSES.test(what));

/** The same answer as Node's own client sees it. */
async function asNodeSees(url: URL, method: string) {
  const answer = await answerTo(open(url, { method }).end());
  const content = (await buffer(answer)).toString('latin1');
  const { statusCode: status, statusMessage: reason, rawHeaders: fields, rawTrailers: trailers } = answer;
  return { status, reason, fields, content, trailers };
}

describe('told as by the parser of Node:', () => {
  it('there are enough of them', () => {
    expect(GOOD.length).toBeGreaterThan(50);
  });

  it.each(GOOD)('%s', async (_what, answer) => {
    const { bytes, method = 'GET' } = typeof answer === 'string' ? { bytes: answer } : answer;
    await using upstream = await startRawUpstream(saysAndCloses(bytes));
    const pool = new Pool({ url: upstream.url, clock: new ManualClock(), connectTimeoutMs: 5_000 });
    const { interim: _, ...ours } = await sendOver(pool, { method });
    expect(ours).toEqual(await asNodeSees(upstream.url, method));
    await pool.destroy();
  });
});
