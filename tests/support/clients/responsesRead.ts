import { BrokenResponseError } from '../../../lib/http1/errors.ts';
import type { ResponseHead } from '../../../lib/http1/reading/responseHead.ts';
import { type ResponseListener, ResponseReader } from '../../../lib/http1/reading/responseReader.ts';

const FRAMING: ReadonlySet<string> = new Set([
  'content-length',
  'transfer-encoding',
  'connection',
  'keep-alive',
]);

export interface ResponseToRead {
  /** Latin1. */
  readonly bytes: string;
  /** Of the request. Default GET. */
  readonly method?: string;
  /** Whether the connection is closed behind the bytes. Default false. */
  readonly closed?: boolean;
}

/**
 * What a reader tells of an answer that comes in these pieces, on one line: `200 OK keep [X-A=b]; "content"; end`.
 * `keep` or `close` is the connection's fate, brackets hold the fields that frame nothing. Content that comes in pieces
 * is told as one. Behind `end` stand the bytes that were left unread, as `rest`; in its place the code of an error,
 * `lost` for a close before a head, or `waits` when there is more to come.
 */
export function readInPieces(
  pieces: readonly Buffer[],
  { method = 'GET', closed = false }: Omit<ResponseToRead, 'bytes'>,
): string {
  const told: string[] = [];
  let content = '';
  let rest = '';
  const tellContent = () => {
    if (content !== '') told.push(JSON.stringify(content));
    content = '';
  };
  const sink: ResponseListener = {
    onHead: (head) => void told.push(headLine(head)),
    onContent(chunk) {
      content += chunk.toString('latin1');
    },
    onEnd(trailers) {
      tellContent();
      told.push(trailers.length > 0 ? `end [${pairs(trailers).join(', ')}]` : 'end');
    },
  };
  const reader = new ResponseReader(sink);
  reader.expect(method);
  try {
    for (const piece of pieces) rest += piece.toString('latin1', reader.over ? 0 : readCopy(reader, piece));
    if (!reader.over) {
      const ended = closed && reader.close();
      tellContent();
      if (!ended) told.push(closed ? 'lost' : 'waits');
    }
  } catch (error) {
    tellContent();
    if (!(error instanceof BrokenResponseError)) throw error;
    told.push(error.code);
  }
  if (rest !== '') told.push(`rest ${JSON.stringify(rest)}`);
  return told.join('; ');
}

/** Reads a copy and wipes it, as a connection's buffer is used again and again. */
function readCopy(reader: ResponseReader, piece: Buffer): number {
  const buffer = Buffer.from(piece);
  try {
    return reader.read(buffer);
  } finally {
    buffer.fill('!');
  }
}

function headLine({ status, reason, keepsAlive, fields }: ResponseHead): string {
  const others = pairs(fields).filter((pair) => !FRAMING.has(pair.slice(0, pair.indexOf('=')).toLowerCase()));
  const fate = status < 200 ? [] : [keepsAlive ? 'keep' : 'close'];
  const shown = others.length > 0 ? [`[${others.join(', ')}]`] : [];
  return [`${status} ${reason}`.trim(), ...fate, ...shown].join(' ');
}

function pairs(fields: readonly string[]): string[] {
  return fields.flatMap((name, i) => (i % 2 === 0 ? [`${name}=${fields[i + 1]}`] : []));
}

/** `bytes` cut at these offsets. */
export function cutAt(bytes: Buffer, offsets: readonly number[]): Buffer[] {
  const edges = [0, ...offsets, bytes.length];
  return edges.slice(1).map((end, i) => bytes.subarray(edges[i], end));
}

/** `bytes` one by one. */
export function oneByOne(bytes: Buffer): Buffer[] {
  return Array.from(bytes, (_, i) => bytes.subarray(i, i + 1));
}
