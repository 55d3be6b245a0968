import { type Request, type RequestHandler, type Response, Router } from 'express';
import { jsonIn, refuse, textContent } from '../admin/content.ts';
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
  const actions = new KeyActions({ ring, lastUsed, now, onDone: listener(options.onDone) });
  const content = textContent(MAX_BODY_BYTES);
  return Router()
    .post('/', content, actions.create)
    .get('/', actions.list)
    .get('/:id', actions.show)
    .patch('/:id', content, actions.change)
    .post('/:id/rotate', content, actions.rotate)
    .delete('/:id', actions.revoke);
}

/** What each route does. */
class KeyActions {
  readonly #ring: KeyRing;
  readonly #lastUsed: LastUsed;
  readonly #onDone: NonNullable<ApiKeyRoutesOptions['onDone']>;
  readonly #now: () => number;

  constructor({ ring, lastUsed, onDone, now }: Required<ApiKeyRoutesOptions>) {
    this.#ring = ring;
    this.#lastUsed = lastUsed;
    this.#onDone = onDone;
    this.#now = now;
  }

  readonly create: RequestHandler = async (req, res) => {
    const order = ordered(req, res, creationSchema(this.#now()));
    if (!order) return;
    const { text, state } = await this.#ring.create(order);
    this.#onDone('created', state, req);
    res
      .status(201)
      .location(`${req.baseUrl}/${state.id}`)
      .json(await this.#shownNew(state, text));
  };

  readonly list: RequestHandler = async (req, res) => {
    const page = asked(res, askedOf(queryOf(req), pageSchema));
    if (!page) return;
    const { limit, after, owner } = page;
    const all = (await this.#ring.list()).filter((state) => owner === undefined || state.owner === owner);
    const begin = after === undefined ? 0 : all.findIndex(({ id }) => id === after) + 1;
    if (after !== undefined && begin === 0) {
      refuse(res, `after: expected the id of a key that is listed, got ${shortened(JSON.stringify(after))}`);
      return;
    }
    const shownNow = all.slice(begin, begin + limit);
    const isMore = begin + limit < all.length;
    const keys = await Promise.all(shownNow.map((state) => this.#shown(state)));
    res.json({ keys, ...(isMore && { next: shownNow.at(-1)?.id }) });
  };

  readonly show: RequestHandler = async (req, res) => {
    res.json(await this.#shown(await this.#ring.get(idOf(req))));
  };

  readonly change: RequestHandler = async (req, res) => {
    const order = ordered(req, res, changeSchema(this.#now()));
    if (!order) return;
    const state = await this.#ring.change(idOf(req), order);
    this.#onDone('changed', state, req);
    res.json(await this.#shown(state));
  };

  readonly rotate: RequestHandler = async (req, res) => {
    const order = ordered(req, res, rotationSchema(this.#now()));
    if (!order) return;
    const { graceMs, ...changed } = order;
    const { text, state } = await this.#ring.rotate(idOf(req), graceMs, changed);
    this.#onDone('rotated', state, req);
    res.json(await this.#shownNew(state, text));
  };

  readonly revoke: RequestHandler = async (req, res) => {
    const state = await this.#ring.revoke(idOf(req));
    this.#onDone('revoked', state, req);
    res.status(204).end();
  };

  async #shown(state: KeyState) {
    const [usedAtMs, revokedAtMs] = await Promise.all([
      this.#lastUsed.of(state.id),
      this.#ring.revokedAtMs(state.id),
    ]);
    return shown(state, { usedAtMs, revokedAtMs, nowMs: this.#now() });
  }

  /** With the key itself, in the only response that has it. */
  async #shownNew(state: KeyState, key: string) {
    return { ...(await this.#shown(state)), key };
  }
}

/** What the content asks for. Undefined: it was refused. */
function ordered<Order>(
  req: Request,
  res: Response,
  schema: Parameters<typeof askedOf<Order>>[1],
): Order | undefined {
  const text = typeof req.body === 'string' && req.body.trim() !== '' ? req.body : '{}';
  const json = jsonIn(text);
  if (json === undefined) {
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
