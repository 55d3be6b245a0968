import { spawn } from 'node:child_process';
import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http';
import { pipeline } from 'node:stream/promises';
import { startUpstream, type Upstream } from './upstream.ts';

const HEAD_END = Buffer.from('\r\n\r\n');

/** Serves the bare repositories of `directory` by `git http-backend`, as a web server with CGI does (RFC 3875). */
export function startGitBackend(directory: string): Promise<Upstream> {
  const serve: RequestListener = (req, res) => {
    const backend = spawn('git', ['http-backend'], {
      env: cgiEnvironment(req, directory),
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    // It stops reading when it knows enough, and its client may leave: both end the process, and so the answer.
    pipeline(req, backend.stdin).catch(() => {});
    pipeline(contentOf(backend.stdout, res), res).catch(() => {});
  };
  return startUpstream(serve, { readsBody: false });
}

function cgiEnvironment(
  { url = '', method, headers }: IncomingMessage,
  directory: string,
): NodeJS.ProcessEnv {
  const [path = '', query = ''] = url.split('?', 2);
  const subject = headers['x-auth-subject'];
  return {
    PATH: process.env.PATH,
    GIT_PROJECT_ROOT: directory,
    GIT_HTTP_EXPORT_ALL: '1',
    // Who is known may push; on the internal port everybody is trusted.
    REMOTE_USER: typeof subject === 'string' ? subject : 'a service',
    PATH_INFO: path,
    QUERY_STRING: query,
    REQUEST_METHOD: method,
    CONTENT_TYPE: headers['content-type'],
    CONTENT_LENGTH: headers['content-length'],
    HTTP_CONTENT_ENCODING: headers['content-encoding'],
    GIT_PROTOCOL: String(headers['git-protocol'] ?? ''),
  };
}

/** A CGI answer is a head, in which the status is a field, and content that the end of the output ends. */
async function* contentOf(output: AsyncIterable<Buffer>, res: ServerResponse): AsyncGenerator<Buffer> {
  let head: Buffer | undefined = Buffer.alloc(0);
  for await (const chunk of output) {
    if (!head) {
      yield chunk;
      continue;
    }
    head = Buffer.concat([head, chunk]);
    const end = head.indexOf(HEAD_END);
    if (end === -1) continue;
    begin(res, head.subarray(0, end).toString('latin1'));
    yield head.subarray(end + HEAD_END.length);
    head = undefined;
  }
}

function begin(res: ServerResponse, head: string): void {
  for (const line of head.split('\r\n')) {
    const colon = line.indexOf(':');
    const [name, value] = [line.slice(0, colon), line.slice(colon + 1).trim()];
    if (name === 'Status') res.statusCode = Number.parseInt(value, 10);
    else res.setHeader(name, value);
  }
}
