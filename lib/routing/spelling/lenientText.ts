const PERCENT = 0x25;

/** Percent-encoding taken back once; what is no encoding stays as it is. ASCII in overlong UTF-8 becomes ASCII. */
export function percentDecodedText(text: string): string {
  if (!text.includes('%')) return text;
  return withoutOverlongForms(percentDecoded(Buffer.from(text))).toString('utf8');
}

/** The same twice, because a proxy between here and the service may decode, too. */
export function percentDecodedTwice(text: string): string {
  if (!text.includes('%')) return text;
  return withoutOverlongForms(percentDecoded(percentDecoded(Buffer.from(text)))).toString('utf8');
}

/**
 * Letters without case, marks and other spellings of theirs; without what is not to be seen or was no UTF-8. Marks leave
 * first: to put many of them in order, as `normalize` does, takes the square of their number.
 */
export function foldedCharacters(text: string): string {
  return text
    .replace(/\p{M}/gu, '')
    .normalize('NFKD')
    .replace(/[\p{M}\p{C}\ufffd]/gu, '')
    .toUpperCase()
    .toLowerCase();
}

/** Without the dots and blanks at the end, as Windows reads names. */
export function withoutTrailingDots(segment: string): string {
  let end = segment.length;
  while (end > 0 && (segment[end - 1] === '.' || segment[end - 1] === ' ')) end -= 1;
  return segment.slice(0, end);
}

/** What stands before the first `mark`, or all of it. */
export function before(text: string, mark: string): string {
  const at = text.indexOf(mark);
  return at === -1 ? text : text.slice(0, at);
}

/** What is no encoding stays as it is. */
function percentDecoded(bytes: Buffer): Buffer {
  let length = 0;
  for (let i = 0; i < bytes.length; i += 1) {
    const value = bytes[i] === PERCENT ? digitOf(bytes[i + 1]) * 16 + digitOf(bytes[i + 2]) : Number.NaN;
    const isEncoded = !Number.isNaN(value);
    bytes[length] = isEncoded ? value : (bytes[i] as number);
    if (isEncoded) i += 2;
    length += 1;
  }
  return bytes.subarray(0, length);
}

/** ASCII in two bytes, which UTF-8 forbids (RFC 3629 section 3) and some decoders accept. */
function withoutOverlongForms(bytes: Buffer): Buffer {
  let length = 0;
  for (let i = 0; i < bytes.length; i += 1) {
    const [first = 0, second = 0] = [bytes[i], bytes[i + 1]];
    const isOverlong = (first === 0xc0 || first === 0xc1) && second >= 0x80 && second <= 0xbf;
    bytes[length] = isOverlong ? ((first & 1) << 6) | (second & 0x3f) : first;
    if (isOverlong) i += 1;
    length += 1;
  }
  return bytes.subarray(0, length);
}

/** NaN for what is no hexadecimal digit. */
function digitOf(byte = 0): number {
  if (byte >= 0x30 && byte <= 0x39) return byte - 0x30;
  const lower = byte | 0x20;
  return lower >= 0x61 && lower <= 0x66 ? lower - 0x57 : Number.NaN;
}
