import { once } from 'node:events';
import { Readable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Dispatcher, request } from 'undici';
import WebSocket from 'ws';
import { RawClient, request as rawRequest } from '../support/clients/rawClient.ts';
import { bearer, tokenFor } from '../support/gateway/gateway.ts';

/** A status, or how else it ended. */
export type Ending = number | 'left' | 'cut';

/** Where visitors go, and with what. */
export interface Site {
  readonly external: string;
  readonly internal: string;
  readonly dispatcher: Dispatcher;
  /** Of somebody who has been here before. */
  readonly token: string;
}

export interface Visitor {
  /** How many of a thousand visits are such. */
  readonly share: number;
  readonly expected: readonly Ending[];
  visit(site: Site): Promise<Ending>;
}

/** What the gateway allows. */
export const MAX_BODY_BYTES = 64 * 1024;

const POSTED = 'a body '.repeat(1_000);

interface Sent {
  readonly method?: 'GET' | 'POST';
  readonly body?: string | Readable;
  readonly token?: string;
}

async function send(site: Site, url: string, { token = site.token, ...sent }: Sent = {}): Promise<Ending> {
  try {
    const headers = token ? bearer(token) : {};
    const answer = await request(url, { dispatcher: site.dispatcher, headers, ...sent });
    const content = await answer.body.text();
    // An echo that is not one counts as no answer at all.
    return sent.body === POSTED && answer.statusCode === 200 && content !== POSTED
      ? 'cut'
      : answer.statusCode;
  } catch {
    return 'cut';
  }
}

/** Sends these bytes and leaves without a word, `afterMs` later. */
async function leave(url: string, text: string, afterMs: number): Promise<Ending> {
  using client = await RawClient.to(url);
  client.send(text);
  await sleep(afterMs);
  client.reset();
  return 'left';
}

/** Reads the beginning of a large answer now and the rest after a pause, or not at all. */
async function readSlowly({ external, token }: Site): Promise<Ending> {
  using client = await RawClient.to(external);
  client.socket.pause();
  client.send(rawRequest('GET /good/large', `Authorization: Bearer ${token}`));
  await sleep(300);
  if (Math.random() < 0.5) return 'left';
  client.socket.resume();
  const { status, whole } = await client.answer();
  return whole ? status : 'cut';
}

async function chat({ external, token }: Site): Promise<Ending> {
  const socket = new WebSocket(`${external.replace('http', 'ws')}/chat/room`, { headers: bearer(token) });
  try {
    await once(socket, 'open');
    for (const text of ['one', 'two', 'three']) {
      socket.send(text);
      await once(socket, 'message');
    }
    const closed = once(socket, 'close');
    if (Math.random() < 0.5) socket.terminate();
    else socket.close();
    await closed;
    return 101;
  } catch {
    return 'cut';
  }
}

const upload = (token: string, fields: string) =>
  `POST /good/x HTTP/1.1\r\nHost: soak.test\r\nAuthorization: Bearer ${token}\r\n${fields}\r\n\r\nhalf of it`;

/** While its breaker is open, a faulty service is not asked; and on a busy machine its short deadline may come first. */
const OR_NOT_ASKED = [503, 504];

/** Everybody who comes by. */
export const visitors: Readonly<Record<string, Visitor>> = {
  'reads what is cached': {
    share: 210,
    expected: [200],
    visit: (site) => send(site, `${site.external}/good/cached`),
  },
  'reads what is new': {
    share: 150,
    expected: [200],
    visit: (site) => send(site, `${site.external}/good/x?n=${Math.random()}`),
  },
  'is a service that reads': {
    share: 150,
    expected: [200],
    visit: (site) => send(site, `${site.internal}/internal/good/x`, { token: '' }),
  },
  posts: {
    share: 120,
    expected: [200],
    visit: (site) => send(site, `${site.external}/good/x`, { method: 'POST', body: POSTED }),
  },
  'logs in anew': {
    share: 30,
    expected: [200],
    visit: (site) => send(site, `${site.external}/good/x`, { token: tokenFor('newcomer') }),
  },
  'has no token': {
    share: 20,
    expected: [401],
    visit: (site) => send(site, `${site.external}/good/x`, { token: '' }),
  },
  'forges a token': {
    share: 30,
    expected: [401],
    visit: (site) => send(site, `${site.external}/good/x`, { token: `${site.token.slice(0, -9)}123456789` }),
  },
  'is lost': {
    share: 30,
    expected: [404],
    visit: (site) => send(site, `${site.external}/nowhere/${Math.random()}`),
  },
  'sends too much': {
    share: 20,
    // The refusal may find it still sending.
    expected: [413, 'cut'],
    visit: (site) =>
      send(site, `${site.external}/good/x`, { method: 'POST', body: 'x'.repeat(MAX_BODY_BYTES + 1) }),
  },
  'sends too much in chunks': {
    share: 10,
    expected: [413, 'cut'],
    visit: (site) =>
      send(site, `${site.external}/good/x`, {
        method: 'POST',
        body: Readable.from(['x'.repeat(MAX_BODY_BYTES + 1)]),
      }),
  },
  'leaves within an upload': {
    share: 30,
    expected: ['left'],
    visit: ({ external, token }) => leave(external, upload(token, 'Content-Length: 5000'), 20),
  },
  'leaves within a chunk': {
    share: 20,
    expected: ['left'],
    visit: ({ external, token }) => leave(external, upload(token, 'Transfer-Encoding: chunked'), 20),
  },
  'leaves before the answer': {
    share: 30,
    expected: ['left'],
    visit: ({ external, token }) =>
      leave(external, rawRequest('GET /faulty/hangs', `Authorization: Bearer ${token}`), 50),
  },
  'leaves within its head': {
    share: 20,
    expected: ['left'],
    visit: ({ external }) => leave(external, 'GET /good/x HTTP/1.1\r\nHost: so', 20),
  },
  'talks nonsense': {
    share: 20,
    expected: [400],
    async visit({ external }) {
      using client = await RawClient.to(external);
      client.send('BREW /pot\r\n\r\n');
      return (await client.answer()).status;
    },
  },
  'reads slowly': { share: 30, expected: [200, 'left'], visit: readSlowly },
  chats: { share: 40, expected: [101], visit: chat },
  'meets a 500': {
    share: 10,
    expected: [500, ...OR_NOT_ASKED],
    visit: (site) => send(site, `${site.external}/faulty/fails`),
  },
  'meets a reset': {
    share: 10,
    expected: [502, ...OR_NOT_ASKED],
    visit: (site) => send(site, `${site.internal}/internal/faulty/resets`),
  },
  'meets silence': {
    share: 10,
    expected: OR_NOT_ASKED,
    visit: (site) => send(site, `${site.external}/faulty/hangs`),
  },
  'meets half an answer': {
    share: 10,
    expected: ['cut', 502, ...OR_NOT_ASKED],
    visit: (site) => send(site, `${site.internal}/internal/faulty/tears`),
  },
};
