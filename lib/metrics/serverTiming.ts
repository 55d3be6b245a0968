import type { ServerResponse } from 'node:http';
import type { RequestHandler, Response } from 'express';
import { exchangeOf } from '../exchange/exchange.ts';
import type { Lap } from '../exchange/laps.ts';
import { writerOf } from '../response/responseWriter.ts';

const SHOWN: readonly Lap[] = ['permit', 'auth', 'cache', 'upstream'];

/** Tells the client in `Server-Timing` where the time until its answer began has gone. Put it behind `observe`. */
export function serverTiming(): RequestHandler {
  return function serverTimingMiddleware(_req, res, next) {
    writerOf(res).add('Server-Timing', timingOf);
    next();
  };
}

function timingOf(_status: number, res: ServerResponse): string | undefined {
  const { laps } = exchangeOf(res as Response);
  if (!laps) return undefined;
  const totalMs = laps.read();
  const parts = SHOWN.filter((lap) => !Number.isNaN(laps[lap])).map((lap) => metric(lap, laps[lap]));
  return [...parts, metric('total', totalMs)].join(', ');
}

function metric(name: string, ms: number): string {
  return `${name};dur=${Math.round(ms * 100) / 100}`;
}
