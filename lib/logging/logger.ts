import { inspect } from 'node:util';
import winston from 'winston';
import { safeJson, safeLines, safeText, safeValue } from './escape.ts';
import { isoClock } from './isoClock.ts';
import { LineTransport, MESSAGE } from './lineTransport.ts';

/** How many nested causes of an error are written. There must be a limit, since an error may be its own cause. */
const MAX_CAUSES = 8;

/** A detail that names other details which the message contains: lines for people leave those out. */
export const SAID = Symbol.for('said');

export type LogLevel = 'error' | 'warn' | 'info' | 'debug';
export type LogFormat = 'json' | 'pretty';
export type Logger = winston.Logger;

export interface LoggerOptions {
  readonly level: LogLevel;
  /** A JSON object for each line, or lines for people, which have colours on a terminal only. */
  readonly format: LogFormat;
  /** Where lines are written. Default: standard output. */
  readonly stream?: NodeJS.WritableStream;
}

/**
 * Whether lines of `level` are written at present. To be asked before a line is made for each request. Winston's own method
 * checks every transport and leaves 650 bytes of garbage.
 */
export function isLogged({ levels, level: now }: Logger, level: LogLevel): boolean {
  return (levels[now] ?? 0) >= (levels[level] ?? 0);
}

/** Makes the process's logger. Lines have `timestamp`, `level`, `message` and the caller's details. */
export function createLogger({ level, format, stream = process.stdout }: Readonly<LoggerOptions>): Logger {
  const lines = format === 'json' ? jsonLines() : readableLines(isTerminal(stream));
  return winston.createLogger({
    level,
    // The format belongs to the transport: the logger would format lines before it checks their level.
    format: winston.format.combine(),
    transports: [new LineTransport(stream, lines, { takesJson: format === 'json' })],
  });
}

function jsonLines(): winston.Logform.Format {
  const { combine, timestamp, errors, json } = winston.format;
  const thorough = json({ replacer: withErrors });
  // Access lines, of which there is one for each request, have only plain details. `JSON.stringify` alone is five times
  // faster.
  const line = winston.format((info) =>
    isPlain(info) ? { ...info, [MESSAGE]: JSON.stringify(info) } : thorough.transform(info, thorough.options),
  );
  const safe = winston.format((info) => ({ ...info, [MESSAGE]: safeJson(info[MESSAGE] as string) }));
  return combine(errors({ stack: true, cause: true }), timestamp({ format: isoClock() }), line(), safe());
}

/** Whether `JSON.stringify` can write every detail by itself. */
function isPlain(info: object): boolean {
  return Object.values(info).every((value) => value === null || !['object', 'bigint'].includes(typeof value));
}

/** Converts errors for JSON, which would write them as {}. */
function withErrors(_name: string, value: unknown): unknown {
  if (typeof value === 'bigint') return String(value);
  return Error.isError(value) ? plainError(value, MAX_CAUSES) : value;
}

function plainError(error: Error, causesLeft: number): Record<string, unknown> {
  const { name, message, stack, cause } = error;
  const known = { name, message, code: 'code' in error ? error.code : undefined, stack };
  if (!Error.isError(cause)) return { ...known, cause };
  return { ...known, cause: causesLeft > 0 ? plainError(cause, causesLeft - 1) : String(cause) };
}

function readableLines(colours: boolean): winston.Logform.Format {
  const { combine, timestamp, errors, printf, colorize, uncolorize } = winston.format;
  return combine(
    errors({ stack: true, cause: true }),
    timestamp({ format: 'HH:mm:ss.SSS' }),
    colours ? colorize({ level: true }) : uncolorize(),
    printf(({ timestamp: at, level, message, [SAID]: said, ...rest }) => {
      const isSaid = said instanceof Set ? (name: string) => said.has(name) : () => false;
      const details = Object.entries(rest).filter(([name, value]) => value !== undefined && !isSaid(name));
      return `${at} ${level} ${safeText(String(message))}${details.map(([name, value]) => ` ${name}=${readable(value)}`).join('')}`;
    }),
  );
}

function readable(value: unknown): string {
  if (typeof value === 'string') return safeValue(value);
  return safeLines(inspect(value, { breakLength: Number.POSITIVE_INFINITY }));
}

function isTerminal(stream: NodeJS.WritableStream): boolean {
  return 'isTTY' in stream && stream.isTTY === true;
}
