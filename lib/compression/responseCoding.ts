import type { ServerResponse } from 'node:http';
import type { Response } from 'express';
import { fieldValue, fieldValues } from '../http/fields.ts';
import { isNamed } from '../http1/grammar.ts';
import type { HeadEdit } from '../response/hooks.ts';
import { writerOf } from '../response/responseWriter.ts';
import type { Coding } from './codings.ts';
import { CopyCoding } from './copyCoding.ts';
import { isOfContent } from './rules/contentFields.ts';
import { codedTag } from './rules/entityTags.ts';
import { StreamCoding } from './streamCoding.ts';
import type { CompressionTerms, Uncoded } from './terms.ts';

/** Responses without content, or with a part of it (RFC 9110 section 15). */
const NO_CONTENT: ReadonlySet<number> = new Set([204, 205, 304]);

/** What of a request counts for the coding of its response. */
export interface Asked {
  /** Undefined: the client wants none of those that there are. */
  readonly coding: Coding | undefined;
  /** Who is asking: see `CoderLimit`. */
  readonly caller: string;
  /** `If-None-Match` as the client has sent it, if that names a tag of a coded representation. */
  readonly codedTags: string | undefined;
}

/** Decides about the coding of one response when its head is written. */
export class ResponseCoding implements HeadEdit {
  readonly #terms: CompressionTerms;
  readonly #asked: Asked;

  constructor(terms: CompressionTerms, asked: Asked) {
    this.#terms = terms;
    this.#asked = asked;
  }

  edit(lines: string[], status: number, res: ServerResponse): string[] {
    if (status < 200) return lines;
    if (status === 304) return this.#notModified(lines);
    if (NO_CONTENT.has(status)) return lines;
    const contentBytes = lengthOf(lines);
    const obstacle = this.#obstacleOf(lines, status, contentBytes);
    if (obstacle !== undefined) return this.#uncoded(lines, obstacle);
    vary(lines);
    const { coding } = this.#asked;
    if (coding === undefined) return this.#uncoded(lines, 'not_accepted');
    if (res.req.method === 'HEAD') return coded(lines, coding);
    return this.#begin(lines, coding, contentBytes, res as Response);
  }

  drops(): boolean {
    return false;
  }

  /** Why no response like this is coded, whoever asks. */
  #obstacleOf(lines: string[], status: number, contentBytes: number | undefined): Uncoded | undefined {
    if (status === 206 || fieldValue(lines, 'content-range') !== undefined) return 'range';
    if (fieldValues(lines, 'content-encoding').some(isCoding)) return 'coded';
    if (saysNoTransform(lines)) return 'no_transform';
    if (!this.#isCompressible(lines)) return 'type';
    return contentBytes !== undefined && contentBytes < this.#terms.floorBytes ? 'small' : undefined;
  }

  #begin(lines: string[], coding: Coding, totalBytes: number | undefined, res: Response): string[] {
    const { stored } = writerOf(res);
    const isWorthACopy = stored !== undefined && this.#terms.copies.takes(stored.length);
    return isWorthACopy
      ? this.#giveCopy(lines, coding, stored, res)
      : this.#codeStream(lines, coding, totalBytes, res);
  }

  #codeStream(lines: string[], coding: Coding, totalBytes: number | undefined, res: Response): string[] {
    const { limit, levels, create, onCoded, onFailed } = this.#terms;
    const place = limit.take(this.#asked.caller);
    if (!place) return this.#uncoded(lines, 'busy');
    const coder = create(coding, { level: levels[coding], totalBytes });
    writerOf(res).transform(new StreamCoding(res, { coding, coder, place, onCoded, onFailed }));
    return coded(lines, coding);
  }

  #giveCopy(lines: string[], coding: Coding, content: Buffer | string, res: Response): string[] {
    const { copies, levels, onCoded, onFailed } = this.#terms;
    const copy = copies.find(content, coding, levels[coding], this.#asked.caller);
    if (copy === undefined) return this.#uncoded(lines, 'busy');
    const onSent = (bytesOut: number) => onCoded(coding, content.length, bytesOut);
    writerOf(res).transform(new CopyCoding(res, { copy, onSent, onFailed }));
    const head = coded(lines, coding);
    if (Buffer.isBuffer(copy)) head.push('Content-Length', String(copy.length));
    return head;
  }

  #uncoded(lines: string[], reason: Uncoded): string[] {
    // The whole response would say so, and a part must say the same (RFC 9110 section 15.3.7).
    if (reason === 'range' && this.#isCompressible(lines)) vary(lines);
    this.#terms.onUncoded(reason);
    return lines;
  }

  /** Where several types are named, clients do not agree which one counts. */
  #isCompressible(lines: readonly string[]): boolean {
    const types = fieldValues(lines, 'content-type');
    return types.length > 0 && types.every(this.#terms.isCompressible);
  }

  /** It has the tag of the response that the client has (RFC 9110 section 15.4.5). */
  #notModified(lines: string[]): string[] {
    vary(lines);
    const { coding, codedTags } = this.#asked;
    if (coding === undefined || codedTags === undefined) return lines;
    const at = indexOf(lines, 'etag');
    const tag = at === -1 ? undefined : codedTag(lines[at + 1] as string, coding);
    if (tag === undefined || !codedTags.includes(tag)) return lines;
    lines[at + 1] = tag;
    return lines.filter((_, i) => !isOfContent((lines[i & ~1] as string).toLowerCase()));
  }
}

/** The head of the coded representation. */
function coded(lines: readonly string[], coding: Coding): string[] {
  const head: string[] = [];
  for (let i = 0; i < lines.length; i += 2) {
    const name = (lines[i] as string).toLowerCase();
    const value = lines[i + 1] as string;
    if (isOfContent(name) || name === 'content-encoding') continue;
    const kept = name === 'etag' ? codedTag(value, coding) : value;
    // What is no entity tag would stand for two representations.
    if (kept !== undefined) head.push(lines[i] as string, kept);
  }
  head.push('Content-Encoding', coding);
  return head;
}

/** Whether a line of `Content-Encoding` names a coding; `identity` is none. */
function isCoding(value: string): boolean {
  const name = value.trim().toLowerCase();
  return name !== '' && name !== 'identity';
}

/** Has `Vary` say that the response depends on `Accept-Encoding`. */
function vary(lines: string[]): void {
  let at = -1;
  for (let i = 0; i < lines.length; i += 2) {
    if (!isNamed(lines[i] as string, 'vary')) continue;
    if (/(?:^|,)\s*(?:\*|accept-encoding)\s*(?:,|$)/i.test(lines[i + 1] as string)) return;
    at = i + 1;
  }
  if (at === -1) lines.push('Vary', 'Accept-Encoding');
  else lines[at] = lines[at]?.trim() === '' ? 'Accept-Encoding' : `${lines[at]}, Accept-Encoding`;
}

function saysNoTransform(lines: readonly string[]): boolean {
  for (let i = 0; i < lines.length; i += 2) {
    if (isNamed(lines[i] as string, 'cache-control') && forbidsTransform(lines[i + 1])) return true;
  }
  return false;
}

/** RFC 9111 sections 5.2.1.6 and 5.2.2.6. */
export function forbidsTransform(cacheControl: string | undefined): boolean {
  return cacheControl !== undefined && /(?:^|,)\s*no-transform\s*(?:,|$)/i.test(cacheControl);
}

function lengthOf(lines: readonly string[]): number | undefined {
  const length = fieldValue(lines, 'content-length');
  return length === undefined ? undefined : Number(length);
}

function indexOf(lines: readonly string[], lowerCaseName: string): number {
  for (let i = 0; i < lines.length; i += 2) if (isNamed(lines[i] as string, lowerCaseName)) return i;
  return -1;
}
