// Whether the gateway on this machine is ready, as an exit code: what the image's HEALTHCHECK runs.
// It asks the internal port, which takes plain HTTP whatever the other one is set to.
const port = process.env.INTERNAL_PORT || '8001';
const WITHIN_MS = 2000;

const ready = await fetch(`http://127.0.0.1:${port}/readyz`, { signal: AbortSignal.timeout(WITHIN_MS) }).then(
  ({ ok }) => ok,
  () => false,
);
process.exit(ready ? 0 : 1);
