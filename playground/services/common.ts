import { text } from 'node:stream/consumers';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Request, Router } from 'express';
import { HttpError, wholeNumber } from '../replica/httpError.ts';
import type { Replica } from './contract.ts';
import { goneSignal } from './gone.ts';

/** Where the registry asks how a replica is. */
export const HEALTH_PATH = '/health';
/** What a service says there that is well. */
export const HEALTHY_MESSAGE = 'Service is healthy';

const SLEEP_MS = { name: 'ms', minimum: 0, maximum: 60 * 60 * 1000, fallback: 1000 };
const FINAL_STATUS = { name: 'the status', minimum: 200, maximum: 599 };

/** The endpoints every service has for seeing what reaches it, and for misbehaving on request. */
export function common({ service, id, requestsCount = () => 0 }: Replica): Router {
  const router = Router();
  router.get(HEALTH_PATH, (_req, res) => {
    const message = HEALTHY_MESSAGE;
    res.json({ status: 'healthy', message, requestsCount: requestsCount(), service, replica: id });
  });
  router.use('/echo', async (req, res) => {
    const { method, originalUrl: url } = req;
    const body = await text(req);
    const headers = pairs(req.rawHeaders);
    res.json({ method, path: pathOf(url), url, headers, body, trailers: pairs(req.rawTrailers) });
  });
  router.all('/slow', async (req, res) => {
    const ms = wholeNumber(req.query.ms, SLEEP_MS);
    await sleep(ms, undefined, { signal: goneSignal(res) }).catch(() => {});
    if (!res.destroyed) res.json({ waitedMs: ms });
  });
  router.all('/status/:code', (req, res) => {
    const code = wholeNumber(req.params.code, FINAL_STATUS);
    res.status(code).json({ status: code });
  });
  router.get('/whoami', (req, res) => {
    res.json({ subject: req.get('X-Auth-Subject') ?? null, claims: decodeClaims(req.get('X-Auth-Claims')) });
  });
  return router;
}

export function isHealthCheck({ path }: Request): boolean {
  return path === HEALTH_PATH;
}

/** The path byte for byte, which no URL parser leaves it. */
function pathOf(url: string): string {
  return url.split('?', 1)[0] ?? url;
}

function pairs(raw: readonly string[]): [name: string, value: string][] {
  return Array.from({ length: raw.length / 2 }, (_, i) => [raw[2 * i] ?? '', raw[2 * i + 1] ?? '']);
}

function decodeClaims(field: string | undefined): unknown {
  if (field === undefined) return null;
  try {
    return JSON.parse(Buffer.from(field, 'base64url').toString());
  } catch {
    throw new HttpError(400, 'X-Auth-Claims is not base64url JSON');
  }
}
