import type { IncomingMessage } from 'node:http';
import type { Request, RequestHandler, Response } from 'express';
import { exchangeOf } from '../exchange/exchange.ts';
import { isNamed } from '../http1/grammar.ts';
import { writerOf } from '../response/responseWriter.ts';
import { listener } from '../util/listener.ts';
import { CodedContents } from './codedContents.ts';
import { CoderLimit } from './coderLimit.ts';
import {
  CODINGS,
  type Coder,
  type CoderTerms,
  type Coding,
  createCoder,
  DEFAULT_LEVELS,
  LEVEL_RANGES,
  type Levels,
} from './codings.ts';
import type { CodingFailedError } from './errors.ts';
import { forbidsTransform, ResponseCoding } from './responseCoding.ts';
import { chosenCoding } from './rules/acceptEncoding.ts';
import { hasCodedTag, linesWithoutCoding, withoutCoding } from './rules/entityTags.ts';
import { compressibleTypes } from './rules/mediaTypes.ts';
import type { CompressionTerms, Uncoded } from './terms.ts';

/** What holds for the responses of a route. */
export interface CompressionRules {
  /** Codings that clients may get; of those that a client likes equally the first counts. Default: zstd, br, gzip. */
  readonly codings?: readonly Coding[];
  /** How much work goes into each: see `LEVEL_RANGES`. Default: 3 for zstd, 4 for br, 6 for gzip. */
  readonly levels?: Partial<Levels> | undefined;
  /** Content that says it is shorter is sent as it is. Default 1024; 0: all is coded. */
  readonly floorBytes?: number;
  /** Media types, `text/*` for all of a kind. Default: those known to get shorter. Event streams are none in any case. */
  readonly types?: readonly string[] | undefined;
}

export interface CompressionOptions extends CompressionRules {
  /** Bounds the coders at work; several middlewares may share it. Default: 64 of this one. */
  readonly limit?: CoderLimit;
  /** Coded copies of stored content; several middlewares may share it. Default: 16 MiB of this one. */
  readonly copies?: CodedContents;
  /** Who is asking, for `limit`. Default: the address of the connection. */
  readonly callerOf?: (req: Request, res: Response) => string;
  /** Makes a coder. Default: zlib's. */
  readonly create?: (coding: Coding, terms: CoderTerms) => Coder;
  /** A response was coded whole: its length before and after. */
  readonly onCoded?: (coding: Coding, bytesIn: number, bytesOut: number) => void;
  /** A response with content was sent uncoded. */
  readonly onUncoded?: (reason: Uncoded) => void;
  /** A coder failed, and the response was broken off. */
  readonly onFailed?: (error: CodingFailedError) => void;
}

export const DEFAULT_FLOOR_BYTES = 1024;
const DEFAULT_CODERS = 64;
const DEFAULT_COPIES_BYTES = 16 * 1024 * 1024;

/**
 * Compresses responses for clients that accept it (RFC 9110 section 12.5.3). What is behind it sees `Accept-Encoding: identity`
 * and the entity tags of uncoded representations only, so that a cache stores one response for all codings. Put it behind
 * whatever edits the head, and in front of what refuses requests.
 *
 * **Not for responses that hold a secret beside something that an attacker can choose**, such as a search page with a token
 * against forgery in it: their length tells how much of the secret was guessed (BREACH). TLS does not hide it.
 */
export function compression(options: Readonly<CompressionOptions> = {}): RequestHandler {
  const { codings = CODINGS, callerOf = addressOf } = options;
  const terms = termsOf(options);

  return function compressionMiddleware(req, res, next) {
    if (exchangeOf(res).upgradeHead !== undefined) return next();
    const { headers } = req;
    // An HTTP/1.0 client would not notice that a coded response, which has no length, was cut short.
    const isAsked = req.httpVersion !== '1.0' && !forbidsTransform(headers['cache-control']);
    const coding = isAsked ? chosenCoding(headers['accept-encoding'], codings) : undefined;
    const ifNoneMatch = headers['if-none-match'];
    const codedTags = hasCodedTag(ifNoneMatch) ? ifNoneMatch : undefined;
    askForIdentity(req);
    takeTagsBack(req, coding);
    const writer = writerOf(res);
    writer.expectTransform();
    writer.edit(new ResponseCoding(terms, { coding, caller: callerOf(req, res), codedTags }));
    next();
  };
}

/**
 * For routes without compression of a service that has it elsewhere: clients send the tags of coded responses to a route
 * that changes what they have read.
 */
export function codedTags(): RequestHandler {
  return function codedTagsMiddleware(req, _res, next) {
    if (!isRead(req)) takeTagsBack(req, undefined);
    next();
  };
}

function termsOf(options: Readonly<CompressionOptions>): CompressionTerms {
  const { limit = new CoderLimit({ most: DEFAULT_CODERS }), create = createCoder } = options;
  const { floorBytes = DEFAULT_FLOOR_BYTES } = options;
  return {
    levels: checkedLevels({ ...DEFAULT_LEVELS, ...options.levels }),
    floorBytes,
    isCompressible: compressibleTypes(options.types),
    limit,
    copies: options.copies ?? new CodedContents({ maxBytes: DEFAULT_COPIES_BYTES, limit, create }),
    create,
    onCoded: listener(options.onCoded),
    onUncoded: listener(options.onUncoded),
    onFailed: listener(options.onFailed),
  };
}

function checkedLevels(levels: Levels): Levels {
  for (const coding of CODINGS) {
    const [least, most] = LEVEL_RANGES[coding];
    const level = levels[coding];
    if (!Number.isInteger(level) || level < least || level > most) {
      throw new RangeError(`compression: levels.${coding} must be ${least}..${most}, got ${level}`);
    }
  }
  return levels;
}

function addressOf({ socket }: Request): string {
  return socket.remoteAddress ?? '';
}

function isRead({ method }: IncomingMessage): boolean {
  return method === 'GET' || method === 'HEAD';
}

/** Whatever the client sends, or does not send: a service that varies by it has one response. */
function askForIdentity(req: IncomingMessage): void {
  const { rawHeaders } = req;
  const lines = rawHeaders.filter((_, i) => !isNamed(rawHeaders[i & ~1] as string, 'accept-encoding'));
  lines.push('Accept-Encoding', 'identity');
  req.rawHeaders = lines;
  req.headers['accept-encoding'] = 'identity';
}

/**
 * Puts the service's own entity tags in place of those that its clients have of coded responses. Where something is read, only
 * a response in the same coding is current; where something is changed, it is the same whatever the coding that was read.
 * A range never continues a coded response, so `If-Range` stays as it is and names none.
 */
function takeTagsBack(req: IncomingMessage, coding: Coding | undefined): void {
  const { headers } = req;
  if (hasCodedTag(headers['if-match'])) {
    headers['if-match'] = withoutCoding(headers['if-match'] as string);
    req.rawHeaders = linesWithoutCoding(req.rawHeaders, 'if-match');
  }
  if (!hasCodedTag(headers['if-none-match']) || (isRead(req) && coding === undefined)) return;
  const of = isRead(req) ? coding : undefined;
  headers['if-none-match'] = withoutCoding(headers['if-none-match'] as string, of);
  req.rawHeaders = linesWithoutCoding(req.rawHeaders, 'if-none-match', of);
}
