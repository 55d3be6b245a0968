import type { CodedContents } from './codedContents.ts';
import type { CoderLimit } from './coderLimit.ts';
import type { Coder, CoderTerms, Coding, Levels } from './codings.ts';
import type { CodingFailedError } from './errors.ts';
import type { IsCompressible } from './rules/mediaTypes.ts';

/**
 * Why a response that passes here is sent uncoded:
 *
 * - `not_accepted`: the client does not take a coding that there is, or prefers none,
 * - `busy`: all coders that there may be are at work,
 * - `small`, `type`: it is below the floor, or of another media type,
 * - `coded`, `no_transform`, `range`: the service has coded it, forbids that, or has sent a part.
 */
export type Uncoded = 'not_accepted' | 'busy' | 'small' | 'type' | 'coded' | 'no_transform' | 'range';

export const UNCODED: readonly Uncoded[] = [
  'not_accepted',
  'busy',
  'small',
  'type',
  'coded',
  'no_transform',
  'range',
];

/** What holds for all responses of a route. */
export interface CompressionTerms {
  readonly levels: Levels;
  readonly floorBytes: number;
  readonly isCompressible: IsCompressible;
  readonly limit: CoderLimit;
  readonly copies: CodedContents;
  readonly create: (coding: Coding, terms: CoderTerms) => Coder;
  readonly onCoded: (coding: Coding, bytesIn: number, bytesOut: number) => void;
  readonly onUncoded: (reason: Uncoded) => void;
  readonly onFailed: (error: CodingFailedError) => void;
}
