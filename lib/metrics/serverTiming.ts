import type { ServerResponse } from 'node:http';
import type { RequestHandler } from 'express';
import { exchangeOf } from '../exchange/exchange.ts';
import type { Phase } from '../exchange/phases.ts';
import { writerOf } from '../response/responseWriter.ts';

const SHOWN: readonly Phase[] = ['permit', 'auth', 'cache', 'upstream'];

/** Tells the client in `Server-Timing` where the time until its response began has gone. Put it behind `observe`. */
export function serverTiming(): RequestHandler {
  return function serverTimingMiddleware(_req, res, next) {
    writerOf(res).add('Server-Timing', timingOf);
    next();
  };
}

function timingOf(_status: number, res: ServerResponse): string | undefined {
  const { phases } = exchangeOf(res);
  if (!phases) return undefined;
  const totalMs = phases.read();
  const parts = SHOWN.filter((phase) => !Number.isNaN(phases[phase])).map((phase) =>
    metric(phase, phases[phase]),
  );
  return [...parts, metric('total', totalMs)].join(', ');
}

function metric(name: string, ms: number): string {
  return `${name};dur=${Math.round(ms * 100) / 100}`;
}
