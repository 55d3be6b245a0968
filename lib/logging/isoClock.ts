const SECOND_MS = 1000;

/** The time in ISO 8601 with milliseconds. Everything but the milliseconds is formatted once per second. */
export function isoClock(): () => string {
  let secondMs = Number.NaN;
  let upToSecond = '';
  return () => {
    const nowMs = Date.now();
    const sinceMs = nowMs - secondMs;
    if (sinceMs >= 0 && sinceMs < SECOND_MS) return `${upToSecond}${padded(sinceMs)}Z`;
    secondMs = nowMs - (nowMs % SECOND_MS);
    upToSecond = new Date(secondMs).toISOString().slice(0, -'000Z'.length);
    return `${upToSecond}${padded(nowMs - secondMs)}Z`;
  };
}

function padded(ms: number): string {
  if (ms >= 100) return String(ms);
  return ms >= 10 ? `0${ms}` : `00${ms}`;
}
