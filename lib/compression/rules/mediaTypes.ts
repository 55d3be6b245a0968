/**
 * Media types whose content gets shorter, beside `text/*` and what ends in one of `SUFFIXES`. Images, sound, video, archives
 * and most fonts are compressed by their own formats.
 */
const TYPES: readonly string[] = [
  'application/javascript',
  'application/ecmascript',
  'application/x-javascript',
  'application/json',
  'application/jsonl',
  'application/x-ndjson',
  'application/ndjson',
  'application/json5',
  'application/graphql',
  'application/sql',
  'application/toml',
  'application/xml',
  'application/xml-dtd',
  'application/yaml',
  'application/x-yaml',
  'application/rtf',
  'application/wasm',
  'application/x-sh',
  'application/x-tar',
  'application/x-www-form-urlencoded',
  'application/vnd.ms-fontobject',
  'font/otf',
  'font/ttf',
  'image/bmp',
  'image/svg+xml',
  'image/x-icon',
  'image/vnd.microsoft.icon',
  'model/gltf-binary',
];
const SUFFIXES: readonly string[] = ['+json', '+xml', '+text', '+yaml'];

/** Each event of it must leave at once, and it never ends. */
const EVENT_STREAM = 'text/event-stream';

/** How many values of `Content-Type` are remembered: a service has a few. */
const MAX_REMEMBERED = 100;
/** Longer ones, which a service may have made of what its client sent, are read each time. */
const MAX_REMEMBERED_LENGTH = 200;

/** Says of a `Content-Type` whether such content may be coded. */
export type IsCompressible = (contentType: string | undefined) => boolean;

/**
 * @param types media types without parameters, in lower case, `text/*` for all of a kind. Default: those that are known to get
 *   shorter. Event streams are none in any case.
 */
export function compressibleTypes(types: readonly string[] | undefined): IsCompressible {
  const isOne = types === undefined ? isOneByDefault : isOneOf(types);
  const known = new Map<string, boolean>();

  return function isCompressible(contentType) {
    if (contentType === undefined) return false;
    let is = known.get(contentType);
    if (is === undefined) {
      const essence = essenceOf(contentType);
      is = essence !== EVENT_STREAM && isOne(essence);
      if (known.size < MAX_REMEMBERED && contentType.length <= MAX_REMEMBERED_LENGTH)
        known.set(contentType, is);
    }
    return is;
  };
}

/** A media type without its parameters, in lower case (RFC 9110 section 8.3.1). */
function essenceOf(contentType: string): string {
  const semicolon = contentType.indexOf(';');
  return (semicolon === -1 ? contentType : contentType.slice(0, semicolon)).trim().toLowerCase();
}

function isOneByDefault(essence: string): boolean {
  return (
    essence.startsWith('text/') ||
    TYPES.includes(essence) ||
    SUFFIXES.some((suffix) => essence.endsWith(suffix))
  );
}

function isOneOf(types: readonly string[]): (essence: string) => boolean {
  const kinds = types.filter((type) => type.endsWith('/*')).map((type) => type.slice(0, -1));
  return (essence) => types.includes(essence) || kinds.some((kind) => essence.startsWith(kind));
}
