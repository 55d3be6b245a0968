import type { Server } from 'node:http';
import { type Duplex, duplexPair } from 'node:stream';
import type { Request, RequestHandler, Response } from 'express';
import type { Settings } from '../../config/config.ts';
import { type Exchange, exchangeOf } from '../../lib/exchange/exchange.ts';
import { http } from '../../lib/http/nodeHttp.ts';
import type { Side } from '../../lib/split/middleware.ts';
import { externalApp, type HandlersOf, internalApp } from '../apps.ts';
import type { ReplyCode } from '../errors/replies/replies.ts';
import { GatewayServer } from '../http/server.ts';
import type { Port } from '../port.ts';
import type { Stage } from '../stages/stage.ts';
import type { Parts, ServiceParts } from '../wiring/parts.ts';
import { dryParts } from './dryParts.ts';
import { arrivalOf } from './forwarding.ts';
import { sideFor } from './route.ts';

/** Stages that are really run: they ask nobody, and either respond or change what all others go by. */
const RUN: ReadonlySet<string> = new Set([
  'headers',
  'stickyCookie',
  'compression',
  'cors',
  'queryToken',
  'cookieToken',
  'apiKey',
]);

/** A request as a client would write it. */
export interface AskedRequest {
  readonly method: string;
  /** Path and query, byte for byte. */
  readonly target: string;
  /** Names and values, one after the other, `Host` among them. */
  readonly fields: readonly string[];
  /** Whether it comes over TLS. */
  readonly isSecure: boolean;
  /** The address that it comes from; undefined: nobody has said. */
  readonly address?: string | undefined;
}

/** A stage of a chain, and whether it does anything with these settings. */
export interface PlacedStage {
  readonly stage: Stage;
  readonly isThere: boolean;
}

/** The chain that a request came to. */
export interface Visit {
  /** With the settings of the route, if there is one. */
  readonly service: ServiceParts;
  /** All that such a chain may have, in the order in which they run. */
  readonly stages: readonly PlacedStage[];
  /** Of a route that is split, the service as its requests meet it before a side is chosen. */
  readonly splits?: ServiceParts | undefined;
}

/** What became of a request, up to the first stage of its chain that may ask somebody. */
export interface Journey {
  /** Undefined: it was none that Node's parser reads. */
  readonly req: Request | undefined;
  readonly exchange: Exchange | undefined;
  /** Undefined: the gateway responded by itself before. */
  readonly visit: Visit | undefined;
  /** What the client would get without any stage of the chain. */
  readonly response: DryResponse;
}

export interface DryResponse {
  readonly status: number;
  readonly fields: readonly (readonly [name: string, value: string])[];
  /** Of a refusal. */
  readonly code: string | undefined;
}

interface Latest {
  readonly req: Request;
  readonly res: Response;
}

/**
 * One port of a gateway that takes requests from memory and responds in place of what could ask anybody. Parser, checks, router,
 * preflights and replies are those of the gateway that runs.
 */
export class DryGateway {
  readonly parts: Parts;
  readonly #port: Port;
  readonly #server: Server;
  #latest: Latest | undefined;
  #visit: Visit | undefined;
  #refused: ReplyCode | undefined;
  #hasAddress = false;

  private constructor(parts: Parts, port: Port) {
    this.parts = parts;
    this.#port = port;
    const app = port === 'external' ? externalApp : internalApp;
    this.#server = this.#serverOf(app(parts, this.#handlersOf));
  }

  static async create(settings: Settings, port: Port): Promise<DryGateway> {
    return new DryGateway(await dryParts(settings), port);
  }

  /** Sends one request. One at a time. */
  async ask(asked: AskedRequest): Promise<Journey> {
    this.#latest = undefined;
    this.#visit = undefined;
    this.#refused = undefined;
    this.#hasAddress = asked.address !== undefined;
    const response = await this.#responseTo(asked);
    const latest = this.#latest as Latest | undefined;
    const exchange = latest && exchangeOf(latest.res);
    const code = exchange?.errorCode ?? this.#refused;
    return { req: latest?.req, exchange, visit: this.#visit, response: { ...response, code } };
  }

  /** Ends what may keep the process alive. */
  dispose(): void {
    for (const { replicas, hedgings } of this.parts.services) {
      replicas.dispose();
      hedgings.dispose();
    }
    this.parts.stopKeys();
  }

  readonly #handlersOf: HandlersOf = (chain, context) => {
    const passOn: RequestHandler = (_req, _res, next) => next();
    const handlers = chain.map((stage) => ({ stage, handler: stage({ ...context, rest: passOn }) }));
    const stages = handlers.map(({ stage, handler }) => ({ stage, isThere: handler !== undefined }));
    const first = handlers.flatMap(({ stage, handler }) => {
      if (!handler) return [];
      if (RUN.has(stage.name)) return [handler];
      return stage.name === 'addresses' ? [this.#whereAddressIsKnown(handler)] : [];
    });
    const stop: RequestHandler = (req, res, next) => {
      const { service } = context;
      const before = this.#visit;
      this.#visit = {
        service,
        stages: [...(before?.stages ?? []), ...stages],
        splits: before?.splits ?? (service.sides && service),
      };
      const side = service.sides && this.#sideFor(req, res, service);
      if (!side) {
        res.writeHead(204).end();
        return;
      }
      exchangeOf(res).service = side.service;
      side.handler(req, res, next);
    };
    return [...first, stop];
  };

  /** Chosen by whom the token says that it is of, which a gateway that runs would have checked before. */
  #sideFor(req: Request, res: Response, service: ServiceParts): Side | undefined {
    const [given, exchange] = [req.rawHeaders, exchangeOf(res)];
    const { parts } = this;
    return sideFor(arrivalOf({ req, given, exchange, service, route: undefined, port: this.#port, parts }));
  }

  #whereAddressIsKnown(handler: RequestHandler): RequestHandler {
    return (req, res, next) => (this.#hasAddress ? handler(req, res, next) : next());
  }

  #serverOf(app: ReturnType<typeof externalApp>): Server {
    const { settings, clock, trustsPeer } = this.parts;
    let made: Server | undefined;
    new GatewayServer(app, {
      headersTimeoutMs: settings.headersTimeoutMs,
      maxHeadBytes: settings.maxRequestHeadBytes,
      keepAliveTimeoutMs: settings.keepAliveTimeoutMs,
      connectionMaxAgeMs: 0,
      sendTimeoutMs: 0,
      maxConnections: 0,
      clock,
      trustsPeer,
      onRefused: (code) => {
        this.#refused = code;
      },
      create: (options) => {
        made = http.createServer(options);
        return made;
      },
    });
    const server = made as unknown as Server;
    const remember = (req: unknown, res: unknown) => {
      this.#latest = { req: req as Request, res: res as Response };
    };
    server.prependListener('request', remember);
    server.prependListener('checkContinue', remember);
    server.prependListener('checkExpectation', remember);
    return server;
  }

  async #responseTo({
    method,
    target,
    fields,
    isSecure,
    address,
  }: AskedRequest): Promise<Omit<DryResponse, 'code'>> {
    const [client, side] = duplexPair();
    // What a socket has and a stream has not.
    Object.assign(side, {
      encrypted: isSecure || undefined,
      remoteAddress: address,
      destroySoon: () => side.destroy(),
    });
    this.#server.emit('connection', side);
    const lines = fields.flatMap((name, i) => (i % 2 === 0 ? [`${name}: ${fields[i + 1]}`] : []));
    client.write(`${[`${method} ${target} HTTP/1.1`, ...lines].join('\r\n')}\r\n\r\n`, 'latin1');
    try {
      return headOf(await firstHead(client));
    } finally {
      client.destroy();
      side.destroy();
    }
  }
}

/** The head of the first response. */
async function firstHead(client: Duplex): Promise<string> {
  let text = '';
  for await (const chunk of client) {
    text += (chunk as Buffer).toString('latin1');
    const end = text.indexOf('\r\n\r\n');
    if (end !== -1) return text.slice(0, end);
  }
  throw new Error('the gateway closed the connection without a response');
}

function headOf(head: string): Omit<DryResponse, 'code'> {
  const [line = '', ...lines] = head.split('\r\n');
  const fields = lines.map((each): readonly [string, string] => {
    const colon = each.indexOf(':');
    return [each.slice(0, colon), each.slice(colon + 1).trim()];
  });
  return { status: Number(line.split(' ')[1]), fields };
}
