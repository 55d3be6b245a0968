import express, { type Request, type RequestHandler, Router } from 'express';
import { z } from 'zod';
import { listener } from '../../util/listener.ts';
import { BadRevocationError, NoSuchRevocationError, TokenError } from '../errors.ts';
import { MAX_TOKEN_LENGTH, type Verify } from '../tokens/verifier.ts';
import { MAX_NAME_LENGTH } from '../tokens/who.ts';
import type { Revocation, Revocations, Revoked } from './revocations.ts';

/** Room for the longest token that is accepted, and the JSON around it. */
const MAX_BODY_BYTES = MAX_TOKEN_LENGTH + 1024;

const name = z
  .string()
  .min(1)
  .max(MAX_NAME_LENGTH)
  .refine((text) => text.isWellFormed());
const order = z.union([
  z.strictObject({ token: z.string() }),
  z.strictObject({ jti: name }),
  z.strictObject({ subject: name, issuedBefore: z.iso.datetime({ offset: true }).optional() }),
]);

export interface RevocationRoutesOptions {
  readonly revocations: Revocations;
  /** Checks a token that is to be revoked. One that is not valid need not be: it is refused anyway. */
  readonly verify: Verify;
  /** Called after each request that changed something. */
  readonly onRevoked?: (revocation: Revocation, req: Request) => void;
  readonly onUndone?: (id: string, req: Request) => void;
  /** Milliseconds since the epoch. Default: the real clock. */
  readonly now?: () => number;
}

/**
 * `POST /` revokes by `token`, `jti` or `subject` (with `issuedBefore`, default now), `GET /` lists the revocations in force,
 * `DELETE /:id` takes one back. It authenticates nobody: mount it behind a guard. Errors go to `next`:
 * `BadRevocationError`, `NoSuchRevocationError`, `TooManyRevocationsError` and `StoreUnavailableError`.
 */
export function revocationRoutes(options: Readonly<RevocationRoutesOptions>): Router {
  const { revocations, verify, now = Date.now } = options;
  const onRevoked = listener(options.onRevoked);
  const onUndone = listener(options.onUndone);
  const routes = Router();

  routes.post('/', jsonContent(), async (req, res) => {
    const revocation = await revocations.add(await ordered(req.body, verify, now));
    onRevoked(revocation, req);
    res.status(201).location(`${req.baseUrl}/${revocation.id}`).json(shown(revocation));
  });
  routes.get('/', async (_req, res) => {
    res.json({ revocations: (await revocations.list()).map(shown) });
  });
  routes.delete('/:id', async (req, res) => {
    const { id } = req.params;
    if (!(await revocations.remove(id))) throw new NoSuchRevocationError('no revocation has this id');
    onUndone(id, req);
    res.status(204).end();
  });
  return routes;
}

/** Reads content whatever its `Content-Type`: `curl -d` declares a form. */
function jsonContent(): RequestHandler {
  const read = express.json({ type: () => true, limit: MAX_BODY_BYTES });
  return (req, res, next) => {
    read(req, res, (cause) => {
      next(cause && new BadRevocationError('the content is not JSON, or too long', { cause }));
    });
  };
}

async function ordered(body: unknown, verify: Verify, now: () => number): Promise<Revoked> {
  const { success, data, error: cause } = order.safeParse(body);
  if (!success) throw new BadRevocationError('the content is none of the three', { cause });
  if ('jti' in data) return { kind: 'jti', ...data };
  if ('token' in data) return { kind: 'token', token: await verified(data.token, verify) };
  const { subject, issuedBefore } = data;
  return { kind: 'subject', subject, issuedBeforeMs: issuedBefore ? Date.parse(issuedBefore) : now() };
}

async function verified(token: string, verify: Verify) {
  try {
    return await verify(token);
  } catch (cause) {
    // Not passed on as it is: a 401 would mean that the caller's own token is at fault.
    if (cause instanceof TokenError) throw new BadRevocationError('the token is not valid anyway', { cause });
    throw cause;
  }
}

/** The JSON for operators: times in ISO 8601, and never a token. */
function shown(revocation: Revocation): Record<string, string> {
  const { id, createdAtMs, expiresAtMs } = revocation;
  return { id, ...subjectMatter(revocation), createdAt: iso(createdAtMs), expiresAt: iso(expiresAtMs) };
}

function subjectMatter(revocation: Revocation): Record<string, string> {
  switch (revocation.kind) {
    case 'token':
      return { tokenSha256: revocation.digest, subject: revocation.subject };
    case 'jti':
      return { jti: revocation.jti };
    case 'subject':
      return { subject: revocation.subject, issuedBefore: iso(revocation.issuedBeforeMs) };
  }
}

function iso(ms: number): string {
  return new Date(ms).toISOString();
}
