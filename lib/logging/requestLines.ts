import { safeJson } from './escape.ts';
import { isoClock } from './isoClock.ts';
import { LineTransport } from './lineTransport.ts';
import type { Logger } from './logger.ts';

/** Details that `JSON.stringify` can write by itself; undefined ones are left out. */
export type PlainDetails = Readonly<Record<string | symbol, unknown>>;

export type WriteLine = (message: string, details: PlainDetails) => void;

/**
 * Writes lines of level `info` about requests, one for each request. JSON lines go directly to the transport, because winston's
 * streams and formats take ten times as long.
 *
 * The caller must ask `isLogged` before it makes the line, and may pass only strings, numbers, booleans and `undefined`.
 */
export function requestLines(logger: Logger): WriteLine {
  const transport = logger.transports.find((one) => one instanceof LineTransport);
  if (!transport?.takesJson) return (message, details) => void logger.info(message, details);
  const timestamp = isoClock();
  return (message, details) => {
    const rest = JSON.stringify(details);
    const said = `{"timestamp":"${timestamp()}","level":"info","message":${JSON.stringify(message)}`;
    transport.append(safeJson(rest === '{}' ? `${said}}` : `${said},${rest.slice(1)}`));
  };
}
