// A single-page application of another origin that uses the gateway. No build, no library: read it from top to bottom.

const ONE_MIB = 1024 * 1024;

const { gatewayPort } = await (await fetch('settings.json')).json();
/** By the host that the page is of, so that cookies are of one site. */
const gateway = `http://${location.hostname}:${gatewayPort}`;

/** The token of who is logged in. Kept in memory alone: a reload forgets it. */
let token;

/**
 * What there is to try. `auth` is what goes along: the user's token (the default), 'none', or 'wrong'. `times` requests
 * are sent one after the other, `atOnce` all together.
 */
const TRIES = [
  {
    id: 'read',
    name: 'Read twice: the second comes from the cache',
    expect: '200',
    path: '/budgeting/api/transactions',
    times: 2,
  },
  {
    id: 'catalogue',
    name: 'A public catalogue, without a token',
    expect: '200',
    path: '/catalogue/inventory',
    auth: 'none',
  },
  {
    id: 'moved',
    name: 'What has moved: the browser follows',
    expect: '308',
    path: '/tea/inventory',
    auth: 'none',
  },
  { id: 'anonymous', name: 'Without a token', expect: '401', path: '/budgeting/api/balance', auth: 'none' },
  {
    id: 'forged',
    name: 'With a token that somebody made up',
    expect: '401',
    path: '/budgeting/api/balance',
    auth: 'wrong',
  },
  { id: 'office', name: 'The office, which is for admins', expect: '403', path: '/office/api/balance' },
  { id: 'nowhere', name: 'What does not exist', expect: '404', path: '/nowhere' },
  {
    id: 'method',
    name: 'A method that the path does not take',
    expect: '405',
    method: 'DELETE',
    path: '/uploads',
  },
  {
    id: 'large',
    name: 'An upload of 2 MiB where 1 MiB may be',
    expect: '413',
    method: 'POST',
    path: '/uploads',
    bytes: 2 * ONE_MIB,
  },
  {
    id: 'crowd',
    name: 'Six reports at once, where two may be',
    expect: '429',
    path: '/reports/{n}?ms=1000',
    // Browsers open no more connections than that to a host.
    atOnce: 6,
  },
  {
    id: 'maintenance',
    name: 'A path under maintenance',
    expect: '503',
    path: '/printing/jobs',
    auth: 'none',
  },
];

const element = (id) => document.getElementById(id);

// --- Requests ---------------------------------------------------------------------------------------------------

/** The fields of a request; what is not among those that CORS always allows makes the browser ask first (preflight). */
function fieldsFor(auth = 'token') {
  if (auth === 'none' || (auth === 'token' && !token)) return {};
  return { Authorization: `Bearer ${auth === 'wrong' ? 'made.up.token' : token}` };
}

/** Sends a request, shows what came, and returns the response, or nothing where the browser let the page read none. */
async function send({ method = 'GET', path, auth, body, fields = {}, credentials }) {
  const startedAt = performance.now();
  // Without `cache: 'no-store'`: browsers then send Cache-Control: no-cache, which the gateway obeys.
  const init = {
    method,
    headers: { ...fieldsFor(auth), ...fields },
    body,
    credentials: credentials ?? (element('credentials').checked ? 'include' : 'omit'),
  };
  try {
    const response = await fetch(gateway + path, init);
    const content = await response.text();
    show({ method, path, response, content, tookMs: performance.now() - startedAt });
    return { response, content };
  } catch (error) {
    show({ method, path, error, tookMs: performance.now() - startedAt });
    return undefined;
  }
}

async function run({ times = 1, atOnce = 1, bytes, path, ...request }) {
  const body = bytes && new Uint8Array(bytes);
  // A public response with the origin "*" is not for requests with cookies.
  const credentials = request.auth === 'none' ? 'omit' : undefined;
  for (let n = 0; n < times; n++) {
    const some = Array.from({ length: atOnce }, (_, i) => path.replace('{n}', String(i + 1)));
    await Promise.all(some.map((each) => send({ ...request, path: each, body, credentials })));
  }
}

// --- Responses --------------------------------------------------------------------------------------------------

function show({ method, path, response, content = '', error, tookMs }) {
  const article = element('result').content.cloneNode(true).firstElementChild;
  const set = (selector, text) => {
    article.querySelector(selector).textContent = text;
  };
  const problem = problemIn(response, content);
  article.dataset.kind = kindOf(response);
  set('.status', response ? String(response.status) : 'no response');
  set('.request', `${method} ${path}`);
  set(
    '.took',
    `${Math.round(tookMs)} ms${response?.headers.get('X-Cache') ? `, cache ${response.headers.get('X-Cache')}` : ''}`,
  );
  set(
    '.title',
    problem.title ?? (response?.redirected ? `Redirected to ${new URL(response.url).pathname}` : ''),
  );
  set('.detail', problem.detail ?? (error ? `The browser let the page read nothing: ${error.message}` : ''));
  set('.id code', response?.headers.get('X-Request-Id') ?? problem.requestId ?? '');
  set('pre', content);
  article.querySelector('.body').hidden = content === '';
  article.querySelector('dl').replaceChildren(...fieldRows(response));
  article.querySelector('details').hidden = !response;
  element('results').prepend(article);
  element('empty').hidden = true;
}

/** What a refusal says of itself (RFC 9457), whatever its content type: the maintenance has a shape of its own. */
function problemIn(response, content) {
  if (!response || response.ok) return {};
  try {
    const { title, detail, error, requestId } = JSON.parse(content);
    return { title: title ?? error, detail, requestId };
  } catch {
    return {};
  }
}

function kindOf(response) {
  if (!response || response.status >= 500) return 'failed';
  if (response.status >= 400) return 'refused';
  return response.redirected ? 'moved' : 'good';
}

function fieldRows(response) {
  return [...(response?.headers ?? [])].flatMap(([name, value]) => {
    const term = document.createElement('dt');
    const description = document.createElement('dd');
    term.textContent = name;
    description.textContent = value;
    return [term, description];
  });
}

// --- Logging in and out -----------------------------------------------------------------------------------------

element('login').addEventListener('submit', async (event) => {
  event.preventDefault();
  const { username, password } = Object.fromEntries(new FormData(event.target));
  const login = await send({
    method: 'POST',
    path: '/userManagement/auth/login',
    auth: 'none',
    fields: { 'Content-Type': 'application/json' },
    body: JSON.stringify({ username, password }),
  });
  if (login?.response.ok) setToken(JSON.parse(login.content).access_token, username);
});

element('log-out').addEventListener('click', async () => {
  await send({ method: 'POST', path: '/userManagement/auth/logout' });
  // It is kept: what comes next shows that the gateway refuses it.
  element('who').textContent = 'Logged out. Requests still have the token, which is revoked: each is a 401.';
  element('log-out').disabled = true;
});

function setToken(issued, username) {
  token = issued;
  element('who').textContent = `${username}: requests have a token.`;
  element('log-out').disabled = false;
}

// --- A stream ---------------------------------------------------------------------------------------------------

let stream;

element('stream-start').addEventListener('click', follow);
element('stream-stop').addEventListener('click', () => stream?.abort());
document.addEventListener('keydown', ({ key }) => {
  if (key === 'Escape') stream?.abort();
});

/** Unlike an EventSource, fetch can send a token. */
async function follow() {
  stream = new AbortController();
  setFollowing(true);
  element('events').replaceChildren();
  const path = '/notification/stream?chunks=120&ms=500';
  const startedAt = performance.now();
  const shown = { method: 'GET', path };
  try {
    const headers = { ...fieldsFor(), Accept: 'text/event-stream' };
    const response = await fetch(gateway + path, { headers, signal: stream.signal });
    if (response.ok) await readEvents(response, addEvent);
    else show({ ...shown, response, content: await response.text(), tookMs: performance.now() - startedAt });
  } catch (error) {
    if (error.name === 'AbortError') addEvent('(ended by you)');
    else show({ ...shown, error, tookMs: performance.now() - startedAt });
  }
  setFollowing(false);
}

async function readEvents(response, onEvent) {
  let text = '';
  for await (const chunk of response.body.pipeThrough(new TextDecoderStream())) {
    text += chunk;
    const events = text.split('\n\n');
    text = events.pop();
    for (const event of events) onEvent(/^data: (.*)$/m.exec(event)?.[1] ?? '');
  }
}

function addEvent(text) {
  const item = document.createElement('li');
  item.textContent = text;
  element('events').append(item);
  element('events').scrollTop = element('events').scrollHeight;
}

function setFollowing(isFollowing) {
  element('stream-start').disabled = isFollowing;
  element('stream-stop').disabled = !isFollowing;
  // A button that is disabled loses the focus.
  element(isFollowing ? 'stream-stop' : 'stream-start').focus({ preventScroll: true });
}

// --- A WebSocket ------------------------------------------------------------------------------------------------

element('socket').addEventListener('submit', (event) => {
  event.preventDefault();
  const { text } = Object.fromEntries(new FormData(event.target));
  const say = (what) => {
    element('echo').textContent = what;
  };
  const protocols = token ? ['bearer', token] : [];
  const socket = new WebSocket(`${gateway.replace('http', 'ws')}/communication/ws`, protocols);
  socket.addEventListener('open', () => socket.send(text));
  socket.addEventListener('message', ({ data }) => {
    say(`The service said: ${data}`);
    socket.close();
  });
  // Of a refused handshake browsers say no more than that.
  socket.addEventListener('error', () => say('Refused. Log in: without a token no WebSocket opens.'));
});

// --- The page itself --------------------------------------------------------------------------------------------

element('origin').textContent = location.origin;
element('gateway').textContent = gateway;
element('theme').addEventListener('change', ({ target }) => {
  if (target.value === 'light dark') delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = target.value;
});

for (const each of TRIES) {
  const item = element('try').content.cloneNode(true);
  const button = item.querySelector('button');
  button.id = `try-${each.id}`;
  button.querySelector('.name').textContent = each.name;
  button.querySelector('.expect').textContent = each.expect;
  button.querySelector('code').textContent = `${each.method ?? 'GET'} ${each.path.replace('{n}', '1')}`;
  button.addEventListener('click', () => run(each));
  element('tries').append(item);
}
