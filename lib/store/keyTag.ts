/** The part of a key that decides on which server it is, as Redis Cluster has it: what stands in the first braces, if anything does. */
export function tagOf(key: string): string {
  const begin = key.indexOf('{');
  const end = begin === -1 ? -1 : key.indexOf('}', begin);
  return end > begin + 1 ? key.slice(begin + 1, end) : key;
}
