/**
 * Fields that are not true of the content any more once it is coded: digests are of the coded representation (RFC 9530 section
 * 3), and a range would be one of it.
 */
const OF_CONTENT: ReadonlySet<string> = new Set([
  'content-length',
  'content-digest',
  'repr-digest',
  'digest',
  'content-md5',
  'accept-ranges',
]);

export function isOfContent(lowerCaseName: string): boolean {
  return OF_CONTENT.has(lowerCaseName);
}
