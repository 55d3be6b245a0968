/**
 * Where a request may carry what says who is calling: a token in `Authorization` (or a WebSocket's subprotocols), a cookie or
 * the query; or an API key in a field, whose name is in lower case.
 */
export type TokenSource =
  | { readonly from: 'bearer' }
  | { readonly from: 'cookie'; readonly name: string }
  | { readonly from: 'query'; readonly name: string }
  | { readonly from: 'apiKey'; readonly name: string };

/** The field of API keys, where no other is named. */
export const API_KEY_FIELD = 'x-api-key';

/** A source as it is written in a file: `bearer`, `cookie:session`, `query:token`, `apiKey`, `apiKey:x-service-key`. */
export function sourceText(source: TokenSource): string {
  const isShort = source.from === 'bearer' || (source.from === 'apiKey' && source.name === API_KEY_FIELD);
  return isShort ? source.from : `${source.from}:${source.name}`;
}
