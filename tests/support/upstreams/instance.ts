/**
 * What a gateway calls a replica of its settings whose host others share: the first one after the host alone, the
 * others after their ports as well.
 */
export function instanceOf(
  { url }: { readonly url: URL },
  [first]: readonly { readonly url: URL }[],
): string {
  return url.host === first?.url.host ? url.hostname : url.host;
}
