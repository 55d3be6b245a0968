// Does what wrk.lua does, where wrk is not installed: `node autocannon.mjs ORIGIN CONNECTIONS SECONDS`.
import autocannon from 'autocannon';

const {
  BENCH_METHOD,
  BENCH_PATH,
  BENCH_DISTINCT,
  BENCH_BODY_BYTES = '0',
  BENCH_TOKEN,
  BENCH_RATE,
} = process.env;
const [origin, connections, seconds] = process.argv.slice(2);
let count = 0;

const result = await autocannon({
  url: origin,
  connections: Number(connections),
  duration: Number(seconds),
  ...(BENCH_RATE && { overallRate: Number(BENCH_RATE) }),
  requests: [
    {
      method: BENCH_METHOD ?? 'GET',
      path: BENCH_PATH,
      headers: {
        'User-Agent': 'bench',
        Accept: '*/*',
        ...(BENCH_TOKEN && { Authorization: `Bearer ${BENCH_TOKEN}` }),
      },
      ...(BENCH_BODY_BYTES !== '0' && { body: 'x'.repeat(Number(BENCH_BODY_BYTES)) }),
      ...(BENCH_DISTINCT && { setupRequest: distinct }),
    },
  ],
});

/** No URL comes twice, in this run or another: no cache can answer. */
function distinct(request) {
  count += 1;
  return { ...request, path: `${BENCH_PATH}?page=${BENCH_DISTINCT}.${count}` };
}

const { requests, latency, errors, timeouts, non2xx } = result;
process.stdout.write(
  `${JSON.stringify({
    requests: requests.total,
    seconds: result.duration,
    notOk: non2xx,
    broken: errors + timeouts,
    p50Ms: latency.p50,
    p99Ms: latency.p99,
    p999Ms: latency.p99_9,
  })}\n`,
);
