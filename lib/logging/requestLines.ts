import { safeJson } from './escape.ts';
import { isoClock } from './isoClock.ts';
import { LineTransport } from './lineTransport.ts';
import type { Logger } from './logger.ts';

/** Details that JSON can write without help; `undefined` leaves one out. */
export type PlainDetails = Readonly<Record<string | symbol, unknown>>;

export type WriteLine = (message: string, details: PlainDetails) => void;

/**
 * Writes lines of level `info` about requests. There is one for each request: where lines are JSON they go straight
 * to the transport, because the way through winston's streams and formats takes ten times as long.
 *
 * The caller asks `isLogged` first, before it makes the line, and passes strings, numbers, booleans
 * and `undefined` only.
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
