import express, { type Request, type RequestHandler, type Response, Router } from 'express';
import { exchangeOf } from '../exchange/exchange.ts';
import { listener } from '../util/listener.ts';
import { NoSuchApiKeyError } from './errors.ts';
import type { KeyRing } from './keyRing.ts';
import { isKeyId } from './keyText.ts';
import type { LastUsed } from './lastUsed.ts';
import {
  type Asked,
  askedOf,
  changeSchema,
  creationSchema,
  pageSchema,
  rotationSchema,
  shortened,
} from './orders.ts';
import type { KeyState } from './record.ts';

const MAX_BODY_BYTES = 16 * 1024;

/** What an operator has done to a key. */
export type KeyAction = 'created' | 'changed' | 'rotated' | 'revoked';

export interface ApiKeyRoutesOptions {
  readonly ring: KeyRing;
  readonly lastUsed: LastUsed;
  /** Called after each request that has changed something. What it is given holds no secret. */
  readonly onDone?: (action: KeyAction, key: Pick<KeyState, 'id' | 'name' | 'owner'>, req: Request) => void;
  /** Milliseconds since the epoch. Default: the real clock. */
  readonly now?: () => number;
}

/**
 * `POST /` makes a key and shows it this once, `GET /` lists them, `GET /:id` shows one, `PATCH /:id` changes what it may,
 * `POST /:id/rotate` replaces it, `DELETE /:id` revokes it. It authenticates nobody: mount it behind a guard. Errors go to
 * `next`: `NoSuchApiKeyError`, `ApiKeyConflictError`, `TooManyApiKeysError` and `StoreUnavailableError`.
 */
export function apiKeyRoutes(options: Readonly<ApiKeyRoutesOptions>): Router {
  const { ring, lastUsed, now = Date.now } = options;
  const onDone = listener(options.onDone);
  const routes = Router();
  const content = textContent();

  const show = async (state: KeyState) => {
    const [usedAtMs, revokedAtMs] = await Promise.all([lastUsed.of(state.id), ring.revokedAtMs(state.id)]);
    return shown(state, { usedAtMs, revokedAtMs, nowMs: now() });
  };
  /** The key itself, in the only response that has it. */
  const showNew = async (state: KeyState, key: string) => ({ ...(await show(state)), key });

  routes.post('/', content, async (req, res) => {
    const order = ordered(req, res, creationSchema(now()));
    if (!order) return;
    const { text, state } = await ring.create(order);
    onDone('created', state, req);
    res
      .status(201)
      .location(`${req.baseUrl}/${state.id}`)
      .json(await showNew(state, text));
  });
  routes.get('/', async (req, res) => {
    const page = asked(res, askedOf(queryOf(req), pageSchema));
    if (!page) return;
    const { limit, after, owner } = page;
    const all = (await ring.list()).filter((state) => owner === undefined || state.owner === owner);
    const begin = after === undefined ? 0 : all.findIndex(({ id }) => id === after) + 1;
    if (after !== undefined && begin === 0) {
      refuse(res, `after: expected the id of a key that is listed, got ${shortened(JSON.stringify(after))}`);
      return;
    }
    const shownNow = all.slice(begin, begin + limit);
    const isMore = begin + limit < all.length;
    const keys = await Promise.all(shownNow.map(show));
    res.json({ keys, ...(isMore && { next: shownNow.at(-1)?.id }) });
  });
  routes.get('/:id', async (req, res) => {
    res.json(await show(await ring.get(idOf(req))));
  });
  routes.patch('/:id', content, async (req, res) => {
    const order = ordered(req, res, changeSchema(now()));
    if (!order) return;
    const state = await ring.change(idOf(req), order);
    onDone('changed', state, req);
    res.json(await show(state));
  });
  routes.post('/:id/rotate', content, async (req, res) => {
    const order = ordered(req, res, rotationSchema(now()));
    if (!order) return;
    const { graceMs, ...changed } = order;
    const { text, state } = await ring.rotate(idOf(req), graceMs, changed);
    onDone('rotated', state, req);
    res.json(await showNew(state, text));
  });
  routes.delete('/:id', async (req, res) => {
    const state = await ring.revoke(idOf(req));
    onDone('revoked', state, req);
    res.status(204).end();
  });
  return routes;
}

/** Content of any type: `curl -d` says that it sends a form. */
function textContent(): RequestHandler {
  const read = express.text({ type: () => true, limit: MAX_BODY_BYTES });
  return (req, res, next) => {
    read(req, res, (error) => {
      if (error) refuse(res, `expected at most ${MAX_BODY_BYTES} bytes of JSON in UTF-8`);
      else next();
    });
  };
}

/** What the content asks for. Undefined: it was refused. */
function ordered<Order>(
  req: Request,
  res: Response,
  schema: Parameters<typeof askedOf<Order>>[1],
): Order | undefined {
  const text = typeof req.body === 'string' && req.body.trim() !== '' ? req.body : '{}';
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    // The cause is left out: its message quotes the content.
    refuse(res, 'expected a JSON object');
    return undefined;
  }
  return asked(res, askedOf(json, schema));
}

function asked<Order>(res: Response, { order, problem }: Asked<Order>): Order | undefined {
  if (problem !== undefined) refuse(res, problem);
  return order;
}

/** Express does not parse queries here. */
function queryOf(req: Request): Record<string, string> {
  const at = req.originalUrl.indexOf('?');
  return Object.fromEntries(new URLSearchParams(at === -1 ? '' : req.originalUrl.slice(at)));
}

function idOf(req: Request): string {
  const id = String(req.params.id);
  // Somebody may have put a whole key there: it is not looked up, and not repeated.
  if (!isKeyId(id)) throw new NoSuchApiKeyError('the path does not name the id of an API key');
  return id;
}

interface Circumstances {
  readonly usedAtMs: number | undefined;
  readonly revokedAtMs: number | undefined;
  readonly nowMs: number;
}

/** The JSON for operators: times in ISO 8601, and neither the key nor its digest. */
function shown(state: KeyState, { usedAtMs, revokedAtMs, nowMs }: Circumstances) {
  const { id, name, owner, scopes, claims, expiresAtMs, createdAtMs, rotatedAtMs, replaced } = state;
  const isExpired = expiresAtMs !== null && expiresAtMs <= nowMs;
  const still = replaced.filter(({ untilMs }) => untilMs > nowMs);
  return {
    id,
    name,
    owner,
    status: revokedAtMs !== undefined ? 'revoked' : isExpired ? 'expired' : 'active',
    scopes,
    claims,
    createdAt: iso(createdAtMs),
    rotatedAt: iso(rotatedAtMs),
    expiresAt: expiresAtMs === null ? null : iso(expiresAtMs),
    lastUsedAt: usedAtMs === undefined ? null : iso(usedAtMs),
    ...(revokedAtMs !== undefined && { revokedAt: iso(revokedAtMs) }),
    ...(still.length > 0 && { replacedUntil: still.map(({ untilMs }) => iso(untilMs)) }),
  };
}

function iso(ms: number): string {
  return new Date(ms).toISOString();
}

function refuse(res: Response, detail: string): void {
  const { requestId } = exchangeOf(res);
  const problem = {
    type: 'about:blank',
    title: 'Bad request',
    status: 400,
    detail,
    code: 'bad_request',
    requestId,
  };
  res.status(400).type('application/problem+json').send(JSON.stringify(problem));
}
