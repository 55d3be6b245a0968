import * as kinds from '../kinds/kinds.ts';
import type { VariableGroup } from './variable.ts';

export const timeouts = {
  title: 'Timeouts',
  page: 'loadbalancers.md#what-clients-do-wrong',
  rows: {
    requestTimeoutMs: {
      name: 'REQUEST_TIMEOUT',
      kind: kinds.duration,
      default: '3s',
      description: "Longest time from a request's arrival to the start of its response; then 504.",
    },
    headersTimeoutMs: {
      name: 'HEADERS_TIMEOUT',
      kind: kinds.duration,
      default: '20s',
      description:
        "Longest time for a request's head to arrive, from the connection on; then the connection is closed.",
    },
    keepAliveTimeoutMs: {
      name: 'KEEP_ALIVE_TIMEOUT',
      kind: kinds.duration,
      default: '75s',
      description:
        "How long a client's idle connection stays open. Longer than what is in front (load balancers: mostly 60 s), so that no request meets a connection that is just being closed.",
    },
    connectionMaxAgeMs: {
      name: 'CONNECTION_MAX_AGE',
      kind: kinds.durationOrZero,
      default: '0',
      description:
        'Age of a client connection from which its next response says `Connection: close`, so that clients spread over new gateways too. 0: no limit.',
    },
    bodyTimeoutMs: {
      name: 'BODY_TIMEOUT',
      kind: kinds.duration,
      unset: 'the `REQUEST_TIMEOUT` of the service',
      description:
        'Time over which an upload must bring `MIN_UPLOAD_RATE`; otherwise it gets a 408. An upload that flows may take as long as it likes.',
    },
    minUploadRate: {
      name: 'MIN_UPLOAD_RATE',
      kind: kinds.bytes(0),
      default: '1KiB',
      description: 'Bytes a second that an upload must bring to go on. 0: any byte will do.',
    },
    sendTimeoutMs: {
      name: 'SEND_TIMEOUT',
      kind: kinds.durationOrZero,
      default: '1m',
      description:
        'Longest time that a client may leave its response unread; then the connection is cut. 0: no limit.',
    },
    upstreamTimeoutMs: {
      name: 'UPSTREAM_TIMEOUT',
      kind: kinds.duration,
      default: '10s',
      description: 'Longest time without a byte of a response that has begun; then the connection is cut.',
    },
    upstreamKeepAliveMs: {
      name: 'UPSTREAM_KEEP_ALIVE',
      kind: kinds.duration,
      default: '4s',
      description:
        'How long an idle connection to a replica is kept whose responses do not say in `Keep-Alive` how long the replica keeps it. It must be shorter than what the service keeps: Node has 5 s and says so, gunicorn 2 s, Tomcat 20 s.',
    },
    upstreamConnectionAgeMs: {
      name: 'UPSTREAM_CONNECTION_AGE',
      kind: kinds.durationOrZero,
      default: '30s',
      description:
        'Age from which a connection to an upstream that is given by name ends after the request that it carries, so that DNS is asked again. Connections to IP addresses have no age. 0: no limit.',
    },
  },
} as const satisfies VariableGroup;

export const shutdown = {
  title: 'Shutdown',
  page: 'operations.md#upgrade',
  rows: {
    drainTimeoutMs: {
      name: 'DRAIN_TIMEOUT',
      kind: kinds.durationOrZero,
      default: '8s',
      description:
        'Time that requests in flight have to finish when the gateway is told to stop. Whoever stops it must wait longer before it kills: `docker stop` waits for 10 s, unless it is told otherwise. 0: none.',
    },
    drainGraceMs: {
      name: 'DRAIN_GRACE',
      kind: kinds.durationOrZero,
      unset: '`6s` with `REUSE_PORT`, otherwise 0',
      description:
        'Of that time, how long idle connections stay open: a request that arrives there meanwhile is served, with `Connection: close`. Then they are closed. 0: they are closed at once.',
    },
  },
} as const satisfies VariableGroup;
