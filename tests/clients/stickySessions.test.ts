import { describe, expect, it } from '@jest/globals';
import { HttpTransportType, type HubConnection, HubConnectionBuilder, LogLevel } from '@microsoft/signalr';
import { io, type Socket } from 'socket.io-client';
import { eventually } from '../support/eventually.ts';
import { tokenFor } from '../support/gateway/gateway.ts';
import { startGatewayProcess } from '../support/gateway/gatewayProcess.ts';
import { type SessionReplicas, startSessionReplicas } from '../support/sessions/sessionReplicas.ts';

const CLIENTS = 6;
const CALLS = 10;

/** Which process has a session, and how often that was asked in this session. */
interface Where {
  readonly pid: number;
  readonly calls: number;
}

/** A session that begins anew where it must. */
interface Session extends AsyncDisposable {
  where(): Promise<Where>;
}

type Open = (url: string, token: string | undefined) => Promise<Session>;

const RECONNECTS = Array.from({ length: 100 }, () => 50);

async function reconnected(connection: HubConnection): Promise<void> {
  if (connection.state === 'Connected') return;
  await eventually('it is connected again', () => connection.state === 'Connected');
}

function signalR(transport: HttpTransportType): Open {
  return async (url, token) => {
    const connection = new HubConnectionBuilder()
      .withUrl(`${url}/hub`, {
        transport,
        ...(token !== undefined && { accessTokenFactory: () => token }),
      })
      .withAutomaticReconnect(RECONNECTS)
      .configureLogging(LogLevel.None)
      .build();
    await connection.start();
    return {
      async where() {
        await reconnected(connection);
        return connection.invoke<Where>('where');
      },
      [Symbol.asyncDispose]: () => connection.stop(),
    };
  };
}

function socketIo(transports: string[]): Open {
  return async (url, token) => {
    const { origin, pathname } = new URL(url);
    const socket: Socket = io(origin, {
      path: `${pathname}/socket.io`,
      transports,
      withCredentials: true,
      forceNew: true,
      reconnectionDelay: 50,
      reconnectionDelayMax: 50,
      ...(token !== undefined && { extraHeaders: { Authorization: `Bearer ${token}` } }),
    });
    await eventually('it is connected', () => socket.connected);
    return {
      where: async () => {
        await eventually('it is connected', () => socket.connected);
        return socket.timeout(5000).emitWithAck('where');
      },
      async [Symbol.asyncDispose]() {
        socket.disconnect();
      },
    };
  };
}

const REAL_CLIENTS = [
  { client: 'SignalR over long polling', kind: 'signalr', open: signalR(HttpTransportType.LongPolling) },
  { client: 'SignalR over events', kind: 'signalr', open: signalR(HttpTransportType.ServerSentEvents) },
  { client: 'SignalR over WebSockets', kind: 'signalr', open: signalR(HttpTransportType.WebSockets) },
  { client: 'socket.io over polling', kind: 'socketio', open: socketIo(['polling']) },
  { client: 'socket.io with an upgrade', kind: 'socketio', open: socketIo(['polling', 'websocket']) },
] as const;

const BALANCES = [
  { balance: { sticky: 'cookie' }, workers: '1' },
  { balance: { sticky: 'cookie' }, workers: '2' },
  { balance: { hash: 'subject' }, workers: '1' },
  { balance: { hash: 'subject' }, workers: '2' },
] as const;

const CASES = REAL_CLIENTS.flatMap((client) => BALANCES.map((balance) => ({ ...client, ...balance })));

/** The session's process, once the session answers: the call that its replica takes with it may fail. */
async function movedFrom(session: Session, pid: number): Promise<Where> {
  let now: Where | undefined;
  await eventually(
    'the session has moved',
    async () => {
      now = await session.where().catch(() => undefined);
      return now !== undefined && now.pid !== pid;
    },
    20_000,
  );
  return now as Where;
}

interface World extends AsyncDisposable {
  readonly replicas: SessionReplicas;
  readonly sessions: readonly Session[];
  /** The process that each session began in. */
  readonly homes: readonly number[];
}

/** Sessions of so many users, each of which was asked ten times. */
async function start({ kind, open, balance, workers }: (typeof CASES)[number]): Promise<World> {
  await using stack = new AsyncDisposableStack();
  const replicas = stack.use(await startSessionReplicas(kind));
  const isHash = 'hash' in balance;
  const auth = isHash ? 'required' : 'none';
  const gateway = stack.use(
    await startGatewayProcess({
      services: { '/chat': { upstreams: replicas.urls, auth, balance, concurrency: 100, cacheTtl: 'off' } },
      env: { WORKERS: workers, FAIR_SHARE: '1', AUTH_QUERY_TOKEN_PATHS: '/chat' },
    }),
  );
  const sessions: Session[] = [];
  for (let n = 0; n < CLIENTS; n += 1) {
    const token = isHash ? tokenFor(`user-${n}`) : undefined;
    sessions.push(stack.use(await open(`${gateway.external}/chat`, token)));
  }
  const homes = (await Promise.all(sessions.map((session) => session.where()))).map(({ pid }) => pid);
  for (let calls = 2; calls <= CALLS; calls += 1) {
    const seen = await Promise.all(sessions.map((session) => session.where()));
    // Each time of one and the same session.
    expect(seen).toEqual(homes.map((pid) => ({ pid, calls })));
  }
  const all = stack.move();
  return { replicas, sessions, homes, [Symbol.asyncDispose]: () => all.disposeAsync() };
}

describe('real clients over three replicas that know nothing of each other', () => {
  it.each(CASES)(
    '$client, $balance, $workers thread(s): no poll fails, and a session moves when its replica is killed',
    async (each) => {
      await using world = await start(each);
      const { replicas, sessions, homes } = world;
      expect(await replicas.refused()).toBe(0);
      // A few users may have one replica by their hashes.
      if ('sticky' in each.balance) expect(new Set(homes).size).toBe(3);

      const [killed = 0] = homes;
      await replicas.kill(killed);
      for (const [i, session] of sessions.entries()) {
        if (homes[i] !== killed) {
          expect(await session.where()).toEqual({ pid: homes[i], calls: CALLS + 1 });
          continue;
        }
        const { pid, calls } = await movedFrom(session, killed);
        // It stays there.
        expect(await session.where()).toEqual({ pid, calls: calls + 1 });
      }
      const before = await replicas.refused();
      for (let call = 0; call < CALLS; call += 1)
        await Promise.all(sessions.map((session) => session.where()));
      expect(await replicas.refused()).toBe(before);
    },
    60_000,
  );
});
