import { inspect } from 'node:util';
import winston from 'winston';

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

/** The process's log. Lines carry `timestamp`, `level`, `message` and what the caller adds. */
export function createLogger({ level, format, stream = process.stdout }: Readonly<LoggerOptions>): Logger {
  return winston.createLogger({
    level,
    format: format === 'json' ? jsonLines() : readableLines(isTerminal(stream)),
    transports: [new winston.transports.Stream({ stream })],
  });
}

function jsonLines(): winston.Logform.Format {
  const { combine, timestamp, errors, json } = winston.format;
  return combine(errors({ stack: true, cause: true }), timestamp(), json({ replacer: withErrors }));
}

/** JSON knows nothing of an error's own parts: without this a detail that is an error would be written as {}. */
function withErrors(_name: string, value: unknown): unknown {
  if (!Error.isError(value)) return value;
  const { name, message, stack, cause } = value;
  return { name, message, code: 'code' in value ? value.code : undefined, stack, cause };
}

function readableLines(colours: boolean): winston.Logform.Format {
  const { combine, timestamp, errors, printf, colorize, uncolorize } = winston.format;
  return combine(
    errors({ stack: true, cause: true }),
    timestamp({ format: 'HH:mm:ss.SSS' }),
    colours ? colorize({ level: true }) : uncolorize(),
    printf(({ timestamp: at, level, message, ...rest }) => {
      const details = Object.entries(rest).filter(([, value]) => value !== undefined);
      return `${at} ${level} ${message}${details.map(([name, value]) => ` ${name}=${readable(value)}`).join('')}`;
    }),
  );
}

function readable(value: unknown): string {
  if (Error.isError(value)) return inspect(value);
  return typeof value === 'string' ? value : JSON.stringify(value);
}

function isTerminal(stream: NodeJS.WritableStream): boolean {
  return 'isTTY' in stream && stream.isTTY === true;
}
