import type { RequestHandler } from 'express';
import { exchangeOf } from '../exchange/exchange.ts';
import type { Lap, Laps } from '../exchange/laps.ts';

const SHOWN: readonly Lap[] = ['permit', 'auth', 'cache', 'upstream'];

/** Tells the client in `Server-Timing` where the time until its answer began has gone. Put it behind `observe`. */
export function serverTiming(): RequestHandler {
  return function serverTimingMiddleware(_req, res, next) {
    const { writeHead } = res;
    const { laps } = exchangeOf(res);
    res.writeHead = function writeHeadTimed(this: typeof res, ...args: unknown[]) {
      // Appended: the service may have a word to say, too. An interim answer is not the answer.
      if (laps && Number(args[0]) >= 200) addField(this, args, timingOf(laps));
      return Reflect.apply(writeHead, this, args);
    } as typeof writeHead;
    next();
  };
}

/** Node takes a list of names and values as it is, and drops what was set on `res` by the same name. */
function addField(res: Parameters<RequestHandler>[1], args: unknown[], value: string): void {
  const given = args.at(-1);
  if (Array.isArray(given)) args[args.length - 1] = [...given, 'Server-Timing', value];
  else res.appendHeader('Server-Timing', value);
}

function timingOf(laps: Laps): string {
  const totalMs = laps.read();
  const parts = SHOWN.filter((lap) => !Number.isNaN(laps[lap])).map((lap) => metric(lap, laps[lap]));
  return [...parts, metric('total', totalMs)].join(', ');
}

function metric(name: string, ms: number): string {
  return `${name};dur=${Math.round(ms * 100) / 100}`;
}
