import { inspect } from 'node:util';
import winston from 'winston';
import { safeJson, safeLines, safeText, safeValue } from './escape.ts';
import { isoClock } from './isoClock.ts';
import { LineTransport, MESSAGE } from './lineTransport.ts';

/** Causes of causes that are written out: an error may be its own. */
const MAX_CAUSES = 8;

/** The detail that names those which the message says already: lines for people leave these out. */
export const SAID = Symbol.for('said');

export type LogLevel = 'error' | 'warn' | 'info' | 'debug';
export type LogFormat = 'json' | 'pretty';
export type Logger = winston.Logger;

export interface LoggerOptions {
  readonly level: LogLevel;
  /** One JSON object a line, or lines for people; colours only on a terminal. */
  readonly format: LogFormat;
  /** Where lines go. Default: standard output. */
  readonly stream?: NodeJS.WritableStream;
}

/**
 * Whether lines of `level` are written now. To be asked before one is made for each request: winston's own answer, which
 * looks at every transport, leaves 650 bytes of garbage behind.
 */
export function isLogged({ levels, level: now }: Logger, level: LogLevel): boolean {
  return (levels[now] ?? 0) >= (levels[level] ?? 0);
}

/** The process's log. Lines carry `timestamp`, `level`, `message` and what the caller adds. */
export function createLogger({ level, format, stream = process.stdout }: Readonly<LoggerOptions>): Logger {
  const lines = format === 'json' ? jsonLines() : readableLines(isTerminal(stream));
  return winston.createLogger({
    level,
    // The transport formats, because a logger would do so before it looks at the level.
    format: winston.format.combine(),
    transports: [new LineTransport(stream, lines, { takesJson: format === 'json' })],
  });
}

function jsonLines(): winston.Logform.Format {
  const { combine, timestamp, errors, json } = winston.format;
  const thorough = json({ replacer: withErrors });
  // An access line has only plain details, and there is one for each request: JSON's own way takes a fifth of the time.
  const line = winston.format((info) =>
    isPlain(info) ? { ...info, [MESSAGE]: JSON.stringify(info) } : thorough.transform(info, thorough.options),
  );
  const safe = winston.format((info) => ({ ...info, [MESSAGE]: safeJson(info[MESSAGE] as string) }));
  return combine(errors({ stack: true, cause: true }), timestamp({ format: isoClock() }), line(), safe());
}

/** Whether JSON can write every detail without help. */
function isPlain(info: object): boolean {
  return Object.values(info).every((value) => value === null || !['object', 'bigint'].includes(typeof value));
}

/** JSON knows nothing of an error's own parts: without this a detail that is an error would be written as {}. */
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
