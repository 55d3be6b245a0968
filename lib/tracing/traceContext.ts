import { randomBytes } from 'node:crypto';

/** A request's place in a distributed trace (W3C Trace Context). */
export interface TraceContext {
  /** The id of the whole trace, 32 hexadecimal digits. */
  readonly traceId: string;
  /** The id of the calling span, 16 hexadecimal digits. */
  readonly parentId: string;
  /** Flags. Bit 0: the sender may have recorded the trace. */
  readonly flags: number;
  /** `tracestate`, which belongs to other systems and is passed on unchanged; '' for none. */
  readonly state: string;
}

/** Flags: recorded, and (level 2) with a random id. */
const FRESH_FLAGS = 0x03;
const KNOWN_FLAGS = 0x03;
const MAX_STATE_MEMBERS = 32;

const TRACE_ID_DIGITS = 32;
/** The bytes of a trace's id and its first span's id. */
const TRACE_BYTES = 24;
const TRACE_DIGITS = 2 * TRACE_BYTES;
const POOLED_TRACES = 100;

// version "-" trace-id "-" parent-id "-" flags. A later version may have more after that (section 3.2.4).
const TRACEPARENT =
  /^(?!ff)([0-9a-f]{2})-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})(-.*)?$/;
const STATE_MEMBER =
  /^(?:[a-z0-9][a-z0-9_\-*/@]{0,255}=[\x20-\x2b\x2d-\x3c\x3e-\x7e]{0,255}[\x21-\x2b\x2d-\x3c\x3e-\x7e])?$/;

/** The trace context of a request; undefined when it has none that can be parsed. */
export function readTrace(traceparent: unknown, tracestate: unknown): TraceContext | undefined {
  const match = typeof traceparent === 'string' ? TRACEPARENT.exec(traceparent) : null;
  if (!match) return undefined;
  const [, version, traceId = '', parentId = '', flags = '', more] = match;
  if (version === '00' && more !== undefined) return undefined;
  return { traceId, parentId, flags: Number.parseInt(flags, 16) & KNOWN_FLAGS, state: stateOf(tracestate) };
}

/** Begins new traces. Random bytes are drawn for many ids at once: one draw takes as long as making a hundred ids. */
export function traceStarter(): () => TraceContext {
  let digits = '';
  let at = 0;
  return () => {
    if (at === digits.length) {
      digits = randomBytes(POOLED_TRACES * TRACE_BYTES).toString('hex');
      at = 0;
    }
    const parentAt = at + TRACE_ID_DIGITS;
    const traceId = digits.slice(at, parentAt);
    at += TRACE_DIGITS;
    return { traceId, parentId: digits.slice(parentAt, at), flags: FRESH_FLAGS, state: '' };
  };
}

/** The value of `traceparent`. */
export function traceparentOf({ traceId, parentId, flags }: TraceContext): string {
  return `00-${traceId}-${parentId}-0${flags}`;
}

/** `tracestate` unchanged, or '' when any part of it is invalid (section 3.3). */
function stateOf(tracestate: unknown): string {
  if (typeof tracestate !== 'string') return '';
  const members = tracestate.split(',').map((member) => member.trim());
  const isValid = members.length <= MAX_STATE_MEMBERS && members.every((member) => STATE_MEMBER.test(member));
  return isValid ? tracestate : '';
}
