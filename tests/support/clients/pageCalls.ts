import type { Page } from 'playwright-core';

/** What a page may do with `fetch`, as far as it can be written down. */
export interface PageRequest {
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
  readonly credentials?: 'include' | 'omit';
}

/** All that a page gets to see of a response. */
export interface PageResponse {
  readonly status: number;
  readonly url: string;
  readonly redirected: boolean;
  /** Those that the browser lets it read, in lower case. */
  readonly fields: Readonly<Record<string, string>>;
  readonly body: string;
}

/** Has the page call `fetch`. Undefined: the browser lets it read nothing, not even the status. */
export function fetchIn(
  page: Page,
  url: string,
  request: PageRequest = {},
): Promise<PageResponse | undefined> {
  return page.evaluate(
    async ([url, init]) => {
      try {
        const response = await fetch(url, init as RequestInit);
        const { status, redirected } = response;
        const body = await response.text();
        const fields = Object.fromEntries(response.headers);
        return { status, url: response.url, redirected, fields, body };
      } catch (error) {
        if (error instanceof TypeError) return undefined;
        throw error;
      }
    },
    [url, request] as const,
  );
}

/**
 * Has the page open a WebSocket and send `text` when it is open. Resolves to what it hears, or to undefined when the
 * browser says that the handshake failed, of which a page learns nothing else.
 */
export function echoIn(
  page: Page,
  url: string,
  text: string,
  protocols: readonly string[] = [],
): Promise<string | undefined> {
  return page.evaluate(
    ([url, text, protocols]) =>
      new Promise<string | undefined>((resolve) => {
        const socket = new WebSocket(url.replace('http', 'ws'), [...protocols]);
        socket.addEventListener('open', () => socket.send(text));
        socket.addEventListener('message', ({ data }) => {
          resolve(String(data));
          socket.close();
        });
        socket.addEventListener('error', () => resolve(undefined));
      }),
    [url, text, protocols] as const,
  );
}
