import type { RequestHandler } from 'express';
import { exchangeOf } from '../exchange/exchange.ts';
import type { Lap, Laps } from '../exchange/laps.ts';
import { addAnswerField } from '../http/answerFields.ts';

const SHOWN: readonly Lap[] = ['permit', 'auth', 'cache', 'upstream'];

/** Tells the client in `Server-Timing` where the time until its answer began has gone. Put it behind `observe`. */
export function serverTiming(): RequestHandler {
  return function serverTimingMiddleware(_req, res, next) {
    const { laps } = exchangeOf(res);
    if (laps) addAnswerField(res, 'Server-Timing', () => timingOf(laps));
    next();
  };
}

function timingOf(laps: Laps): string {
  const totalMs = laps.read();
  const parts = SHOWN.filter((lap) => !Number.isNaN(laps[lap])).map((lap) => metric(lap, laps[lap]));
  return [...parts, metric('total', totalMs)].join(', ');
}

function metric(name: string, ms: number): string {
  return `${name};dur=${Math.round(ms * 100) / 100}`;
}
