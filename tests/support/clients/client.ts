import { type ClientRequest, type IncomingMessage, type RequestOptions, request } from 'node:http';
import { buffer } from 'node:stream/consumers';

export interface CallOptions extends RequestOptions {
  readonly body?: Buffer | string;
}

/** An answer that arrived whole. */
export interface CallResponse {
  readonly status: number;
  readonly reason: string;
  /** Field lines as they came: name, value, name, value. */
  readonly fields: readonly string[];
  /** The same by lower-case name, as Node joins them. */
  readonly headers: IncomingMessage['headers'];
  readonly body: Buffer;
  readonly trailers: readonly string[];
  /** Interim answers (1xx) that came before. */
  readonly interim: readonly { readonly status: number; readonly fields: readonly string[] }[];
}

/** Sends one request on a connection of its own. Rejects when the answer does not arrive whole. */
export async function call(url: URL | string, options: CallOptions = {}): Promise<CallResponse> {
  const { body, ...rest } = options;
  const req = open(url, rest);
  const interim: CallResponse['interim'][number][] = [];
  req.on('information', ({ statusCode, rawHeaders }) =>
    interim.push({ status: statusCode, fields: rawHeaders }),
  );
  req.end(body);
  const res = await answerTo(req);
  return { ...(await whole(res)), interim };
}

/** Begins a request that the test writes and ends itself. */
export function open(url: URL | string, options: RequestOptions = {}): ClientRequest {
  const req = request(url, { agent: false, ...options });
  // A request that fails later on than the test looks must not end the process.
  req.on('error', () => {});
  return req;
}

/** The head of the answer to `req`; its content is the caller's to read. */
export function answerTo(req: ClientRequest): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    req.once('response', resolve);
    req.once('error', reject);
  });
}

async function whole(res: IncomingMessage): Promise<Omit<CallResponse, 'interim'>> {
  const body = await buffer(res);
  return {
    status: res.statusCode ?? 0,
    reason: res.statusMessage ?? '',
    fields: res.rawHeaders,
    headers: res.headers,
    body,
    trailers: res.rawTrailers,
  };
}
