/** Where a request may carry its token: in `Authorization` (or a WebSocket's subprotocols), a cookie or the query. */
export type TokenSource =
  | { readonly from: 'bearer' }
  | { readonly from: 'cookie'; readonly name: string }
  | { readonly from: 'query'; readonly name: string };

/** A source as it is written in a file: `bearer`, `cookie:session`, `query:token`. */
export function sourceText(source: TokenSource): string {
  return source.from === 'bearer' ? source.from : `${source.from}:${source.name}`;
}
